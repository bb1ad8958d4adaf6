"""The JSON documents that `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from transferhub.cli.host import Finding, Verification
from transferhub.cli.streams import Stream
from transferhub.cli.text import iso_time
from transferhub.engine.progress import Progress, Summary
from transferhub.model.run import Run, RunState, Task
from transferhub.model.transfer import FailureGroup, ScanCounts, Totals, TransferRecord

Document = dict[str, Any]

_OF_THE_END = ("run", "status", "start_bytes", "seconds", "noted", "report", "notes", "faults")
"""Fields of a summary that the ledger does not tell."""


def print_json(document: Document, out: Stream) -> None:
    out.line(as_json(document, out))


def as_json(value: object, out: Stream) -> str:
    """Keys stay readable where the terminal can show them."""
    ascii_only = "utf" not in out.encoding.lower()
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only)
    return text if _encodable(text) else json.dumps(value, indent=2)


def summary_document(summary: Summary) -> Document:
    """The same as beside the report and as `dth report --json` prints."""
    from transferhub.engine.report import document

    return document(summary)


def cut_off_document(
    progress: Progress, status: RunState, error: tuple[str, str] | None
) -> Document:
    """Of a run that could not sum itself up. `error` is its code and message."""
    summary = Summary.of(progress.run, status, progress.totals, seconds=progress.seconds)
    document = summary_document(summary)
    if error is not None:
        document["error"] = {"code": error[0], "message": error[1]}
    return document


def scan_document(scan: ScanCounts) -> Document:
    """What was seen of both sides, in objects or images."""
    return {
        "scanned_source": scan.scanned_source,
        "scanned_destination": scan.scanned_destination,
        "same": scan.same,
        "new": scan.new,
        "changed": scan.changed,
        "extra": scan.extra,
        "filtered": scan.filtered,
        "archived": scan.archived,
    }


def verification_document(found: Verification) -> Document:
    scan = found.scan
    return {
        "equal": found.equal,
        **scan_document(scan),
        "seconds": round(found.seconds, 3),
        "differences": [
            {"key": key, "difference": verdict.value} for key, verdict in found.differences
        ],
    }


def run_document(run: Run, task: Task) -> Document:
    document: Document = {
        "run": run.ident,
        "status": run.state.value,
        "created_at": iso_time(run.created_at),
        "started_at": iso_time(run.started_at),
        "ended_at": iso_time(run.ended_at),
        "resumed": run.resumed,
        "task": {"id": task.ident, "name": task.name, "kind": task.kind, "spec": plain(task.spec)},
        "summary": plain(run.summary),
    }
    if run.error or run.error_code:
        document["error"] = {"code": run.error_code, "message": run.error}
    return document


def show_document(run: Run, task: Task, totals: Totals) -> Document:
    counts = counts_document(Summary.of(run.ident, run.state, totals, seconds=0.0))
    counts["ranges"] = {"done": totals.shards_done, "known": totals.shards}
    return run_document(run, task) | {"totals": counts}


def counts_document(summary: Summary) -> Document:
    """The counts of a run that may still go on."""
    counts = summary_document(summary)
    for key in _OF_THE_END:
        counts.pop(key)
    return counts


def group_document(group: FailureGroup) -> Document:
    return {
        "code": group.code,
        "count": group.count,
        "bytes": group.size,
        "example": {"key": group.example_key, "message": group.example_message},
    }


def failure_document(record: TransferRecord) -> Document:
    return {
        "key": record.transfer.key,
        "action": record.transfer.action.value,
        "size": record.transfer.size,
        "code": record.code,
        "message": record.message,
        "attempts": record.attempts,
        "ended_at": iso_time(record.ended_at),
        "history": [
            {"at": iso_time(attempt.at), "code": attempt.code, "message": attempt.message}
            for attempt in record.history
        ],
    }


def finding_document(finding: Finding) -> Document:
    return {
        "name": finding.name,
        "value": finding.value,
        "origin": finding.origin,
        "level": finding.level,
        "advice": finding.advice,
    }


def plain(values: Mapping[str, Any]) -> Document:
    """A copy that json can write, whatever kind of mapping it was."""
    return {
        name: plain(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def _encodable(text: str) -> bool:
    """False where a key is not valid Unicode, which only escapes can say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
