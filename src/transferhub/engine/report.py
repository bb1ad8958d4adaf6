"""The written end of a run: a row for every key that was not SAME, and whether all of it
balances."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transferhub.engine.folders import replacing
from transferhub.engine.progress import Summary
from transferhub.model.transfer import NOT_KEPT, Action, Totals, TransferRecord, TransferState

COLUMNS = (
    "key",
    "difference",
    "action",
    "state",
    "size",
    "etag",
    "destination_etag",
    "modified_at",
    "storage_class",
    "moved_bytes",
    "attempts",
    "ended_at",
    "code",
    "message",
    "note",
)

_ROWS_AT_ONCE = 2_000
_KEPT = "The run's numbers are kept: dth report writes it again."


async def write_report(path: Path, records: AsyncIterator[TransferRecord]) -> int:
    """Writes the rows as CSV.gz, whole or not at all.

    Returns:
        Of how many copies the destination could not keep everything.

    Raises:
        StateError: the file cannot be written.
    """
    noted = 0
    with (
        replacing("the report", path, comfort=_KEPT) as partial,
        gzip.open(partial, "wb", compresslevel=3) as file,
    ):
        file.write(_lines([COLUMNS]))
        batch: list[Sequence[Any]] = []
        async for record in records:
            batch.append(_row(record))
            noted += record.state is TransferState.DONE and record.note.startswith(NOT_KEPT)
            if len(batch) >= _ROWS_AT_ONCE:
                file.write(_lines(batch))
                batch = []
        file.write(_lines(batch))
    return noted


def write_summary(path: Path, summary: Summary) -> None:
    """Writes the summary as JSON beside the report, whole or not at all.

    Raises:
        StateError: the file cannot be written.
    """
    with replacing("the summary", path, comfort=_KEPT) as partial:
        partial.write_text(json.dumps(document(summary), indent=2) + "\n", encoding="utf-8")


def document(summary: Summary) -> dict[str, Any]:
    """The JSON document of a run's end."""
    fields = asdict(summary)
    scan = fields.pop("scan")
    fields["status"] = summary.status.value
    error = {"code": fields.pop("error_code"), "message": fields.pop("error")}
    whole = {"run": fields.pop("run"), "status": fields.pop("status"), **scan, **fields}
    whole["faults"], whole["notes"] = list(summary.faults), list(summary.notes)
    if error["code"]:
        whole["error"] = error
    return whole


def balance(totals: Totals) -> list[str]:
    """What does not add up, a sentence each; empty where everything does."""
    scan = totals.scan
    faults = []
    seen = scan.same + scan.new + scan.changed + scan.filtered + scan.archived
    if scan.scanned_source != seen:
        faults.append(
            f"scanned {scan.scanned_source} source objects, but same + new + changed + filtered +"
            f" archived is {seen}"
        )
    ended = totals.tally(
        Action.COPY,
        TransferState.DONE,
        TransferState.FAILED,
        TransferState.VANISHED,
        TransferState.SKIPPED,
    ).count
    if scan.new + scan.changed != ended:
        faults.append(
            f"new + changed is {scan.new + scan.changed}, but done + failed + vanished + skipped is"
            f" {ended}"
        )
    archived = totals.tally(Action.COPY, TransferState.ARCHIVED).count
    if scan.archived != archived:
        faults.append(f"archived is {scan.archived}, but {archived} are recorded")
    extra = totals.tally(Action.DELETE, *TransferState).count
    if scan.extra != extra:
        faults.append(f"extra is {scan.extra}, but {extra} are recorded")
    if totals.shards != totals.shards_done:
        faults.append(
            f"{totals.shards - totals.shards_done} key ranges were not compared to the end"
        )
    return faults


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _row(record: TransferRecord) -> Sequence[Any]:
    transfer = record.transfer
    modified, ended = transfer.modified_at, record.ended_at
    return (
        transfer.key,
        transfer.difference.value,
        transfer.action.value,
        record.state.value,
        transfer.size,
        transfer.etag,
        record.destination_etag,
        modified.isoformat() if modified else "",
        transfer.storage_class,
        record.moved_bytes,
        record.attempts,
        ended.isoformat() if ended else "",
        record.code,
        record.message,
        record.note,
    )
