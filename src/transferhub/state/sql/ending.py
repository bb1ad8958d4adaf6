"""The end of work that went well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from transferhub.model.transfer import Lease, Outcome, PartOutcome, TransferState
from transferhub.state.rules import END_STATES
from transferhub.state.sql.codec import (
    IN_PARTS,
    LEASED,
    PART_DONE,
    STATE_CODES,
    WAITING,
    to_text,
    to_words,
)
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.held import Held
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.values import to_micros

_END_COLUMNS: Columns = (
    ("id", "BIGINT"),
    ("state", "BIGINT"),
    ("moved_bytes", "BIGINT"),
    ("destination_etag", "TEXT"),
    ("code", "TEXT"),
    ("note", "TEXT"),
)
_END = (
    "UPDATE transfers SET ended_at = ?, state = v.state, moved_bytes = v.moved_bytes, "
    "destination_etag = v.destination_etag, code = v.code, message = NULL, note = v.note, "
    "upload_ref = NULL FROM ({rows}) AS v WHERE transfers.id = v.id"
)

_PART_COLUMNS: Columns = (("id", "BIGINT"), ("etag", "TEXT"), ("proven", "BIGINT"))
_END_PART = (
    f"UPDATE parts SET state = {PART_DONE}, etag = v.etag, proven = v.proven "
    "FROM ({rows}) AS v WHERE parts.id = v.id"
)
_COUNT_COLUMNS: Columns = (("id", "BIGINT"), ("ended", "BIGINT"))
_COUNT = (
    "UPDATE transfers SET open_parts = open_parts - v.ended FROM ({rows}) AS v "
    "WHERE transfers.id = v.id"
)
_FINISH = f"UPDATE transfers SET state = {WAITING}, finish = 1, due = ? WHERE id {{ids}}"


def check_end(outcomes: Sequence[Outcome]) -> None:
    if not END_STATES.issuperset([outcome.state for outcome in outcomes]):
        raise ValueError("a transfer ends as DONE, VANISHED or SKIPPED")


def complete(session: Session, outcomes: Sequence[Outcome], now: datetime) -> Sequence[Lease]:
    held, tallies = Held(session, [outcome.lease for outcome in outcomes]), Tallies()
    ended: list[Row] = []
    lost: list[Lease] = []
    completed: list[int] = []
    abandoned: list[int] = []
    whole: list[int] = []
    for outcome in outcomes:
        lease, state, moved_bytes, etag, code, note = outcome
        row = held.transfer(lease)
        if row is None:
            lost.append(lease)
            continue
        end = STATE_CODES[state]
        words = to_words(note) if note else None
        ended.append((row.ident, end, moved_bytes, etag, code or None, words))
        tallies.move(row.run_id, row.action, row.size, LEASED, end)
        tallies.add_moved(row.run_id, row.action, end, moved_bytes)
        if row.finish:
            whole.append(row.ident)
        if row.upload_ref is not None:
            kept = abandoned if not row.finish or state is not TransferState.DONE else completed
            kept.append(row.upload_ref)
    session.execute_rows(_END, _END_COLUMNS, ended, to_micros(now))
    session.execute_ids("DELETE FROM uploads WHERE id {ids}", completed)
    session.execute_ids("UPDATE uploads SET abandoned = 1 WHERE id {ids}", abandoned)
    session.execute_ids("DELETE FROM parts WHERE transfer_id {ids}", whole)
    tallies.save(session)
    return lost


def complete_parts(
    session: Session, outcomes: Sequence[PartOutcome], now: datetime
) -> Sequence[Lease]:
    held = Held(session, [outcome.lease for outcome in outcomes])
    ended: list[Row] = []
    lost: list[Lease] = []
    counts: Counter[int] = Counter()
    for outcome in outcomes:
        part = held.part(outcome.lease)
        if part is None:
            lost.append(outcome.lease)
            continue
        ended.append((part.ident, to_text(outcome.etag), int(outcome.proven)))
        counts[part.transfer_id] += 1
    session.execute_rows(_END_PART, _PART_COLUMNS, ended)
    session.execute_rows(_COUNT, _COUNT_COLUMNS, sorted(counts.items()))
    _finish_if_whole(session, held, sorted(counts), now)
    return lost


def _finish_if_whole(session: Session, held: Held, ids: Sequence[int], now: datetime) -> None:
    found = session.fetch_ids("id", "FROM transfers WHERE open_parts = 0 AND id {ids}", ids)
    whole, tallies = [row[0] for row in found], Tallies()
    for ident in whole:
        transfer = held.transfers_of_parts[ident]
        tallies.move(transfer.run_id, transfer.action, transfer.size, IN_PARTS, WAITING)
    session.execute_ids(_FINISH, whole, to_micros(now))
    tallies.save(session)
