"""The end of an attempt that failed: another one, a new beginning, or a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from transferhub.model.transfer import Failure, Lease, Transfer
from transferhub.state.rules import HISTORY_LIMIT, attempts_after_part
from transferhub.state.sql.codec import (
    DIFFERENCE_CODES,
    FAILED,
    IN_PARTS,
    LEASED,
    WAITING,
    to_text,
    to_words,
)
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.held import Held, HeldPart, HeldTransfer, TransferOfParts
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.values import to_micros, to_micros_or_none

_AGAIN_COLUMNS: Columns = (("id", "BIGINT"), ("due", "BIGINT"), ("attempts", "BIGINT"))
_AGAIN = (
    "UPDATE {table} SET state = {state}, due = v.due, attempts = v.attempts "
    "FROM ({{rows}}) AS v WHERE {table}.id = v.id"
)
_RETRY = _AGAIN.format(table="transfers", state=WAITING)
_RETRY_PART = _AGAIN.format(table="parts", state=WAITING)

_OVER_COLUMNS: Columns = (
    ("id", "BIGINT"),
    ("state", "BIGINT"),
    ("due", "BIGINT"),
    ("attempts", "BIGINT"),
    ("code", "TEXT"),
    ("message", "TEXT"),
    ("ended_at", "BIGINT"),
)
_OVER = (
    "UPDATE transfers SET state = v.state, due = v.due, attempts = v.attempts, code = v.code, "
    "message = v.message, ended_at = v.ended_at, finish = 0, open_parts = 0, upload_ref = NULL "
    "FROM ({rows}) AS v WHERE transfers.id = v.id"
)

_FRESH_COLUMNS: Columns = (
    ("id", "BIGINT"),
    ("difference", "BIGINT"),
    ("size", "BIGINT"),
    ("etag", "TEXT"),
    ("modified_at", "BIGINT"),
    ("storage_class", "TEXT"),
    ("detail", "TEXT"),
)
_FRESH = (
    "UPDATE transfers SET difference = v.difference, size = v.size, etag = v.etag, "
    "modified_at = v.modified_at, storage_class = v.storage_class, detail = v.detail "
    "FROM ({rows}) AS v WHERE transfers.id = v.id"
)

_ATTEMPT_COLUMNS: Columns = (
    ("transfer_id", "BIGINT"),
    ("at", "BIGINT"),
    ("code", "TEXT"),
    ("message", "TEXT"),
)
_ADD_ATTEMPTS = (
    "INSERT INTO attempts (transfer_id, at, code, message) "
    "SELECT transfer_id, at, code, message FROM ({rows}) AS v WHERE true"
)
_KEEP_NEWEST = (
    "DELETE FROM attempts WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
    "(PARTITION BY transfer_id ORDER BY id DESC) AS age FROM attempts WHERE transfer_id {ids}) "
    f"AS aged WHERE age > {HISTORY_LIMIT})"
)


def fail(session: Session, failures: Sequence[Failure], now: datetime) -> Sequence[Lease]:
    held = Held(session, [failure.lease for failure in failures])
    changes, lost = _Changes(now), []
    for failure in failures:
        if (transfer := held.transfer(failure.lease)) is not None:
            changes.add_transfer(failure, transfer)
        elif (part := held.part(failure.lease)) is None or part.transfer_id in changes.over:
            lost.append(failure.lease)
        else:
            changes.add_part(failure, part, held.transfers_of_parts[part.transfer_id])
    changes.save(session)
    return lost


class _Over(NamedTuple):
    """A transfer that starts over or is given up."""

    row: HeldTransfer | TransferOfParts
    state: int  # before
    attempts: int


class _Changes:
    """Collects what failures change, and writes it.

    Attributes:
        over: the transfers that start over or are given up; their parts are dropped.
    """

    def __init__(self, now: datetime) -> None:
        self.over: dict[int, Row] = {}
        self._now = to_micros(now)
        self._again: list[Row] = []
        self._parts_again: list[Row] = []
        self._fresh: list[Row] = []
        self._abandoned: list[int] = []
        self._history: list[Row] = []
        self._tallies = Tallies()

    def add_transfer(self, failure: Failure, row: HeldTransfer) -> None:
        attempts = row.attempts - (not failure.counted)
        self._add_history(failure, row.ident)
        if failure.retry_at is not None and failure.fresh is None:
            self._again.append((row.ident, to_micros(failure.retry_at), attempts))
            self._tallies.move(row.run_id, row.action, row.size, LEASED, WAITING)
        else:
            self._start_over(failure, _Over(row, LEASED, attempts))

    def add_part(self, failure: Failure, part: HeldPart, row: TransferOfParts) -> None:
        attempts = part.attempts - (not failure.counted)
        self._add_history(failure, row.ident)
        if failure.retry_at is not None and failure.fresh is None:
            self._parts_again.append((part.ident, to_micros(failure.retry_at), attempts))
        else:
            after = attempts_after_part(row.attempts, attempts, failure)
            self._start_over(failure, _Over(row, IN_PARTS, after))

    def save(self, session: Session) -> None:
        session.execute_rows(_RETRY, _AGAIN_COLUMNS, self._again)
        session.execute_rows(_RETRY_PART, _AGAIN_COLUMNS, self._parts_again)
        session.execute_rows(_OVER, _OVER_COLUMNS, [*self.over.values()])
        session.execute_rows(_FRESH, _FRESH_COLUMNS, self._fresh)
        session.execute_ids("DELETE FROM parts WHERE transfer_id {ids}", [*self.over])
        session.execute_ids("UPDATE uploads SET abandoned = 1 WHERE id {ids}", self._abandoned)
        session.execute_rows(_ADD_ATTEMPTS, _ATTEMPT_COLUMNS, self._history)
        session.execute_ids(_KEEP_NEWEST, sorted({row[0] for row in self._history}))
        self._tallies.save(session)

    def _add_history(self, failure: Failure, ident: int) -> None:
        if failure.counted or failure.retry_at is None:
            words = to_words(failure.code), to_words(failure.message)
            self._history.append((ident, self._now, *words))

    def _start_over(self, failure: Failure, over: _Over) -> None:
        row, size = over.row, over.row.size
        if failure.fresh is not None:
            size = failure.fresh.size
            self._fresh.append(_fresh_row(row.ident, failure.fresh))
        if row.upload_ref is not None:
            self._abandoned.append(row.upload_ref)
        if failure.retry_at is None:
            state, due, ended_at = FAILED, self._now, self._now
            code, message = to_words(failure.code), to_words(failure.message)
            self.over[row.ident] = (row.ident, state, due, over.attempts, code, message, ended_at)
        else:
            state, due = WAITING, to_micros(failure.retry_at)
            self.over[row.ident] = (row.ident, state, due, over.attempts, None, None, None)
        self._tallies.add(row.run_id, row.action, over.state, -1, -row.size)
        self._tallies.add(row.run_id, row.action, state, 1, size)


def _fresh_row(ident: int, fresh: Transfer) -> Row:
    return (
        ident,
        DIFFERENCE_CODES[fresh.difference],
        fresh.size,
        fresh.etag,
        to_micros_or_none(fresh.modified_at),
        fresh.storage_class,
        to_text(fresh.detail),
    )
