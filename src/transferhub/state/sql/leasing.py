"""Work is given to workers, and given back."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from transferhub.model.transfer import Lease, Part, RunId, Upload, WorkerId, WorkKind
from transferhub.state.rules import fair_batch
from transferhub.state.sql.codec import (
    LEASED,
    TRANSFER_COLUMNS,
    WAITING,
    from_text,
    to_transfer,
    worker_code,
)
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.held import Held
from transferhub.state.sql.ledgers import NO_RUN, find_run
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.sql.uploads import load_uploads
from transferhub.state.values import to_micros

MIN_DUE = 1
"""0 is the due of work that was never leased."""

_OPEN = "run_id = ? AND state <= 1"  # to the letter the condition of the index
# Both kinds of rows have one shape: weight, id of the part or 0, id of the transfer, state,
# attempts, finish, upload, number, start and size of the part, and the transfer.
_TRANSFERS = (
    "CASE WHEN finish = 1 OR action = 1 THEN 0 ELSE size END AS weight, 0 AS part, id, state, "
    f"attempts, finish, upload_ref, 0 AS number, 0 AS start, 0 AS part_size, {TRANSFER_COLUMNS}"
)
_PARTS = (
    "p.size AS weight, p.id AS part, t.id, p.state, p.attempts, t.finish, t.upload_ref, p.number, "
    f"p.start, p.size AS part_size, t.{TRANSFER_COLUMNS.replace(', ', ', t.')}"
)
_weight = itemgetter(0)


def has_work(session: Session, run: RunId, now: datetime) -> bool:
    """Whether a lease would find work."""
    run_id, due = find_run(session, run), to_micros(now)
    return any(
        session.fetch("id", f"FROM {table} WHERE {_OPEN} AND due <= ? LIMIT 1", run_id, due)
        for table in ("transfers", "parts")
    )


def lease(
    session: Session,
    run: RunId,
    worker: WorkerId,
    *,
    limit: int,
    max_bytes: int,
    now: datetime,
    until: datetime,
    first: int,
) -> Sequence[Lease]:
    run_id = find_run(session, run)
    if run_id == NO_RUN:
        return []
    streams = _find_work(session, run_id, to_micros(now), limit)
    rows = fair_batch(streams, _weight, limit=limit, max_bytes=max_bytes, first=first)
    token = secrets.randbits(62)
    _give(session, run_id, rows, worker_code(worker), token, to_micros(until))
    uploads = load_uploads(session, {row[6] for row in rows if row[6] is not None})
    whole = _load_parts(session, [row[2] for row in rows if row[5]])
    return [_to_lease(run, token, row, uploads, whole) for row in rows]


def renew(session: Session, leases: Sequence[Lease], until: datetime) -> Sequence[Lease]:
    held = Held(session, leases)
    transfers, parts, lost = [], [], []
    for lease in leases:
        if (transfer := held.transfer(lease)) is not None:
            transfers.append(transfer.ident)
        elif (part := held.part(lease)) is not None:
            parts.append(part.ident)
        else:
            lost.append(lease)
    due = to_micros(until)
    session.execute_ids("UPDATE transfers SET due = ? WHERE id {ids}", transfers, due)
    session.execute_ids("UPDATE parts SET due = ? WHERE id {ids}", parts, due)
    return lost


def release(session: Session, leases: Sequence[Lease], now: datetime) -> None:
    held, tallies = Held(session, leases), Tallies()
    transfers, parts = [], []
    for lease in leases:
        if (transfer := held.transfer(lease)) is not None:
            transfers.append(transfer.ident)
            tallies.move(transfer.run_id, transfer.action, transfer.size, LEASED, WAITING)
        elif (part := held.part(lease)) is not None:
            parts.append(part.ident)
    _give_back(session, transfers, parts, now)
    tallies.save(session)


def reclaim(session: Session, run: RunId, workers: Sequence[WorkerId], now: datetime) -> int:
    run_id, tallies = find_run(session, run), Tallies()
    codes, dialect = [worker_code(worker) for worker in workers], session.dialect
    of_workers = f"WHERE {_OPEN} AND due > 0 AND state = {LEASED} AND worker"
    taken = {
        table: session.fetch(
            columns,
            f"FROM {table} {of_workers} {dialect.any_of} ORDER BY id {dialect.lock}",
            run_id,
            dialect.list(codes),
        )
        for table, columns in (("transfers", "id, action, size"), ("parts", "id"))
    }
    for _, action, size in taken["transfers"]:
        tallies.move(run_id, action, size, LEASED, WAITING)
    ids = {table: [row[0] for row in rows] for table, rows in taken.items()}
    _give_back(session, ids["transfers"], ids["parts"], now)
    tallies.save(session)
    return sum(map(len, ids.values()))


def _give_back(
    session: Session, transfers: Sequence[int], parts: Sequence[int], now: datetime
) -> None:
    for table, ids in (("transfers", transfers), ("parts", parts)):
        session.execute_ids(
            f"UPDATE {table} SET state = {WAITING}, due = ?, attempts = attempts - 1 "
            "WHERE id {ids}",
            ids,
            to_micros(now),
        )


def _find_work(session: Session, run_id: int, now: int, limit: int) -> list[Sequence[Row]]:
    """Up to `limit` rows each of parts, of what was leased before, and of new transfers."""
    free = session.dialect.lock_free
    parts = session.fetch(
        _PARTS,
        "FROM parts AS p JOIN transfers AS t ON t.id = p.transfer_id "
        "WHERE p.run_id = ? AND p.state <= 1 AND p.due <= ? "
        f"ORDER BY p.run_id, p.due, p.id LIMIT ? {session.dialect.lock_free_parts}",
        run_id,
        now,
        limit,
    )
    again = session.fetch(
        _TRANSFERS,
        f"FROM transfers WHERE {_OPEN} AND due >= {MIN_DUE} AND due <= ? "
        f"ORDER BY run_id, due, id LIMIT ? {free}",
        run_id,
        now,
        limit,
    )
    fresh = session.fetch(
        _TRANSFERS,
        f"FROM transfers WHERE {_OPEN} AND due = 0 ORDER BY run_id, due, id LIMIT ? {free}",
        run_id,
        limit,
    )
    return [parts, again, fresh]


def _give(
    session: Session, run_id: int, rows: Sequence[Row], worker: int, token: int, until: int
) -> None:
    tallies = Tallies()
    parts = [row[1] for row in rows if row[1]]
    transfers = [row[2] for row in rows if not row[1]]
    for row in rows:
        if not row[1] and row[3] == WAITING:
            tallies.move(run_id, row[16], row[12], WAITING, LEASED)
    for table, ids in (("transfers", transfers), ("parts", parts)):
        session.execute_ids(
            f"UPDATE {table} SET state = {LEASED}, due = ?, token = ?, worker = ?, "
            "attempts = attempts + 1 WHERE id {ids}",
            ids,
            until,
            token,
            worker,
        )
    tallies.save(session)


def _load_parts(session: Session, transfers: Sequence[int]) -> dict[int, list[Part]]:
    whole: defaultdict[int, list[Part]] = defaultdict(list)
    found = session.fetch_ids(
        "transfer_id, number, start, size, etag, proven",
        "FROM parts WHERE transfer_id {ids} ORDER BY transfer_id, number",
        transfers,
    )
    for transfer_id, number, start, size, etag, proven in found:
        whole[transfer_id].append(Part(number, start, size, from_text(etag), bool(proven)))
    return whole


def _to_lease(
    run: RunId,
    token: int,
    row: Row,
    uploads: dict[int, Upload],
    whole: dict[int, list[Part]],
) -> Lease:
    _, part, ident, _, attempts, finish, upload_ref, number, start, size, *transfer = row
    upload = None if upload_ref is None else uploads[upload_ref]
    value, attempt = to_transfer(WAITING, *transfer), attempts + 1
    if part:
        found = Part(number, start, size)
        return Lease(run, part, token, WorkKind.PART, value, attempt, found, upload)
    if finish:
        all_parts = tuple(whole.get(ident, ()))
        return Lease(run, ident, token, WorkKind.FINISH, value, attempt, None, upload, all_parts)
    return Lease(run, ident, token, WorkKind.TRANSFER, value, attempt, None, upload)
