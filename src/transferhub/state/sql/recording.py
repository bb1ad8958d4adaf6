"""What finders write: transfers and shards; and how a run is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.model.transfer import RunId, ScanCounts, Shard, Transfer
from transferhub.state.sql.codec import (
    ACTION_CODES,
    DIFFERENCE_CODES,
    HELD,
    IN_PARTS,
    SCAN_COLUMNS,
    STATE_CODES,
    WAITING,
    from_text,
    to_text,
)
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.ledgers import NO_RUN, find_run, open_run, seize_run
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.values import to_micros_or_none

_TRANSFER_COLUMNS: Columns = (
    ("key", "TEXT"),
    ("difference", "BIGINT"),
    ("action", "BIGINT"),
    ("size", "BIGINT"),
    ("etag", "TEXT"),
    ("modified_at", "BIGINT"),
    ("storage_class", "TEXT"),
    ("detail", "TEXT"),
    ("state", "BIGINT"),
)
_SIZE, _ACTION, _STATE = (
    [name for name, _ in _TRANSFER_COLUMNS].index(name) for name in ("size", "action", "state")
)
_ANEW_COLUMNS: Columns = (("id", "BIGINT"), *_TRANSFER_COLUMNS[1:])
_BEGIN_ANEW = (
    f"UPDATE transfers SET {', '.join(f'{name} = v.{name}' for name, _ in _ANEW_COLUMNS[1:])}, "
    "due = 0, token = NULL, worker = NULL, attempts = 0, finish = 0, open_parts = 0, "
    "upload_ref = NULL, moved_bytes = 0, destination_etag = NULL, code = NULL, message = NULL, "
    "note = NULL, ended_at = NULL "
    "FROM ({rows}) AS v WHERE transfers.id = v.id"
)

_SHARD_COLUMNS: Columns = (
    ("ident", "TEXT"),
    ("done", "BIGINT"),
    ("detail", "TEXT"),
    *((name, "BIGINT") for name in SCAN_COLUMNS),
)
_SHARD_NAMES = ", ".join(name for name, _ in _SHARD_COLUMNS)
_SHARD_CHANGES = ", ".join(f"{name} = excluded.{name}" for name, _ in _SHARD_COLUMNS[1:])
_SAVE_SHARDS = (
    f"INSERT INTO shards (run_id, {_SHARD_NAMES}) SELECT ?, {_SHARD_NAMES} FROM ({{rows}}) AS v "
    f"WHERE true ON CONFLICT (run_id, ident) DO UPDATE SET {_SHARD_CHANGES}"
)


def record(
    session: Session, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard]
) -> int:
    run_id = open_run(session, run)
    tallies, added = Tallies(), 0
    if transfers:
        rows = [_to_row(transfer) for transfer in transfers]
        for action, state, count, size in session.insert_new(run_id, _TRANSFER_COLUMNS, rows):
            tallies.add(run_id, action, state, count, size)
            added += count
    newest = {shard.ident: shard for shard in shards}
    rows = [_shard_to_row(newest[ident]) for ident in sorted(newest)]
    session.execute_rows(_SAVE_SHARDS, _SHARD_COLUMNS, rows, run_id)
    tallies.save(session)
    return added


def replace(
    session: Session, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard]
) -> bool:
    run_id = open_run(session, run)
    newest = {to_text(transfer.key): _to_row(transfer) for transfer in transfers}
    former = session.fetch(
        "id, key, action, state, size",
        f"FROM transfers WHERE run_id = ? AND key {session.dialect.any_of} "
        f"ORDER BY id {session.dialect.lock}",
        run_id,
        session.dialect.list([*newest]),
    )
    if any(row[3] <= IN_PARTS for row in former):
        return False
    record(session, run, transfers, shards)
    tallies, rows = Tallies(), []
    for ident, key, action, state, size in former:
        anew = newest[key]
        tallies.add(run_id, action, state, -1, -size)
        tallies.add(run_id, anew[_ACTION], anew[_STATE], 1, anew[_SIZE])
        rows.append((ident, *anew[1:]))
    session.execute_rows(_BEGIN_ANEW, _ANEW_COLUMNS, rows)
    tallies.save(session)
    return True


def shards(session: Session, run: RunId) -> Sequence[Shard]:
    rows = session.fetch(
        _SHARD_NAMES, "FROM shards WHERE run_id = ? ORDER BY ident", find_run(session, run)
    )
    return [
        Shard(
            ident=from_text(ident),
            done=bool(done),
            detail=from_text(detail),
            counts=ScanCounts(**dict(zip(SCAN_COLUMNS, counts, strict=True))),
        )
        for ident, done, detail, *counts in rows
    ]


def release_held(session: Session, run: RunId) -> int:
    # Alone: the sum and the change must be of the same transfers.
    run_id = seize_run(session, run)
    tallies, released = Tallies(), 0
    sums = session.fetch(
        "action, count(*) AS count, sum(size) AS size",
        f"FROM transfers WHERE run_id = ? AND state = {HELD} GROUP BY action",
        run_id,
    )
    for action, count, size in sums:
        tallies.add(run_id, action, HELD, -count, -int(size))
        tallies.add(run_id, action, WAITING, count, int(size))
        released += count
    session.execute(
        f"UPDATE transfers SET state = {WAITING} WHERE run_id = ? AND state = {HELD}",
        run_id,
    )
    tallies.save(session)
    return released


def reset(session: Session, run: RunId) -> None:
    run_id = seize_run(session, run)
    _forget_work(session, run_id)
    # After the transfers: whoever saved an upload in the meantime is seen.
    session.execute("UPDATE uploads SET abandoned = 1 WHERE run_id = ?", run_id)


def purge_some(session: Session, run: RunId, limit: int) -> bool:
    """Forgets so many transfers of the run at most, and all the rest with the last of them.

    Returns:
        Whether there may be more.
    """
    run_id = seize_run(session, run)
    if run_id == NO_RUN:
        return False
    some = "SELECT id FROM transfers WHERE run_id = ? ORDER BY key LIMIT ?"
    if session.execute(f"DELETE FROM transfers WHERE id IN ({some})", run_id, limit) == limit:
        return True
    _forget_work(session, run_id)
    session.execute("DELETE FROM uploads WHERE run_id = ?", run_id)
    session.execute("DELETE FROM ledgers WHERE id = ?", run_id)
    return False


def _forget_work(session: Session, run_id: int) -> None:
    # What workers hold, in the order in which they lock it.
    session.fetch(
        "count(*) AS count",
        f"FROM (SELECT id FROM transfers WHERE run_id = ? AND state <= {IN_PARTS} "
        f"ORDER BY id {session.dialect.lock}) AS held",
        run_id,
    )
    session.execute("DELETE FROM shards WHERE run_id = ?", run_id)
    # Takes parts and attempts along.
    session.execute("DELETE FROM transfers WHERE run_id = ?", run_id)
    # Last: whoever ended a transfer in the meantime has written its totals by now.
    session.execute("DELETE FROM tallies WHERE run_id = ?", run_id)


def _to_row(transfer: Transfer) -> Row:
    key, difference, size, etag, modified_at, storage_class, action, state, detail = transfer
    return (
        to_text(key),
        DIFFERENCE_CODES[difference],
        ACTION_CODES[action],
        size,
        etag,
        to_micros_or_none(modified_at),
        storage_class,
        to_text(detail) if detail else "",
        STATE_CODES[state],
    )


def _shard_to_row(shard: Shard) -> Row:
    counts = (getattr(shard.counts, name) for name in SCAN_COLUMNS)
    return (to_text(shard.ident), int(shard.done), to_text(shard.detail), *counts)
