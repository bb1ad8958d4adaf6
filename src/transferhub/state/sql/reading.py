"""What people ask: totals, and the transfers in the order of their keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from transferhub.model.transfer import (
    Action,
    RunId,
    ScanCounts,
    Tally,
    Totals,
    TransferRecord,
    TransferState,
)
from transferhub.state.sql.codec import (
    ACTIONS,
    PART_DONE,
    SCAN_COLUMNS,
    STATE_CODES,
    STATES,
    TRANSFER_COLUMNS,
    from_text,
    to_text,
    to_transfer,
)
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.ledgers import find_run
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros_or_none

RECORD_COLUMNS = (
    f"{TRANSFER_COLUMNS}, state, attempts, moved_bytes, destination_etag, code, message, note, "
    "ended_at"
)
_WIDTH = len(TRANSFER_COLUMNS.split(", "))
_SCAN_SUMS = ", ".join(f"sum({name}) AS {name}" for name in SCAN_COLUMNS)


def ledgers(session: Session, after: str, limit: int) -> Sequence[RunId]:
    source = "FROM ledgers WHERE run > ? ORDER BY run LIMIT ?"
    return [RunId(from_text(run)) for (run,) in session.fetch("run", source, to_text(after), limit)]


def totals(session: Session, run: RunId) -> Totals:
    run_id = find_run(session, run)
    tallies, moved_bytes = _tallies(session, run_id)
    ((shards, done, *sums),) = session.fetch(
        f"count(*) AS shards, sum(done) AS done, {_SCAN_SUMS}",
        "FROM shards WHERE run_id = ?",
        run_id,
    )
    ((uploads,),) = session.fetch("count(*) AS count", "FROM uploads WHERE run_id = ?", run_id)
    counts = (int(value or 0) for value in sums)
    return Totals(
        scan=ScanCounts(**dict(zip(SCAN_COLUMNS, counts, strict=True))),
        shards=shards,
        shards_done=done or 0,
        tallies=tallies,
        moved_bytes=moved_bytes,
        uploads=uploads,
    )


def part_bytes(session: Session, run: RunId) -> int:
    ((size,),) = session.fetch(
        "sum(size) AS size",
        f"FROM parts WHERE run_id = ? AND state = {PART_DONE}",
        find_run(session, run),
    )
    return int(size or 0)


def transfers_after(
    session: Session, run: RunId, states: Collection[TransferState], after: str | None, limit: int
) -> Sequence[TransferRecord]:
    """Up to `limit` transfers from after the key `after`; None is before all keys."""
    any_state = f"AND state {session.dialect.any_of}" if states else ""
    codes = [session.dialect.list([STATE_CODES[state] for state in states])] if states else []
    later, after_key = ("", []) if after is None else ("AND key > ?", [to_text(after)])
    rows = session.fetch(
        RECORD_COLUMNS,
        f"FROM transfers WHERE run_id = ? {later} {any_state} ORDER BY key LIMIT ?",
        find_run(session, run),
        *after_key,
        *codes,
        limit,
    )
    return [to_record(row) for row in rows]


def known(session: Session, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
    rows = session.fetch(
        RECORD_COLUMNS,
        f"FROM transfers WHERE run_id = ? AND key {session.dialect.any_of}",
        find_run(session, run),
        session.dialect.list([to_text(key) for key in keys]),
    )
    return {record.transfer.key: record for record in map(to_record, rows)}


def to_record(row: Row) -> TransferRecord:
    """Reads RECORD_COLUMNS."""
    state, attempts, moved_bytes, etag, code, message, note, ended_at = row[_WIDTH:]
    return TransferRecord(
        transfer=to_transfer(state, *row[:_WIDTH]),
        state=STATES[state],
        attempts=attempts,
        moved_bytes=moved_bytes,
        destination_etag=etag or "",
        code=from_text(code or ""),
        message=from_text(message or ""),
        note=from_text(note or ""),
        ended_at=from_micros_or_none(ended_at),
    )


def _tallies(
    session: Session, run_id: int
) -> tuple[Mapping[tuple[Action, TransferState], Tally], int]:
    rows = session.fetch(
        "action, state, sum(count) AS count, sum(size) AS size, sum(moved_bytes) AS moved_bytes",
        "FROM tallies WHERE run_id = ? GROUP BY action, state",
        run_id,
    )
    tallies = {
        (ACTIONS[action], STATES[state]): Tally(int(count), int(size))
        for action, state, count, size, _ in rows
        if count
    }
    return tallies, sum(int(row[-1]) for row in rows)
