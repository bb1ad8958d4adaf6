"""Some transfers of a run in pages: by the prefix of their keys, by state, by code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transferhub.model.keys import beyond, can_be_key
from transferhub.model.pages import Page
from transferhub.model.transfer import RunId, TransferRecord, TransferState
from transferhub.state.cursors import write_key_cursor
from transferhub.state.rules import states_with_code
from transferhub.state.sql.codec import (
    LEASED,
    STATE_CODES,
    from_text,
    to_text,
    to_words,
)
from transferhub.state.sql.dead_letters import histories
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.ledgers import find_run
from transferhub.state.sql.reading import RECORD_COLUMNS, to_record
from transferhub.state.sql.session import Session

LOOKED_THROUGH = 10_000
"""Transfers that are looked at for a page of those that no index finds."""

_COLUMNS = f"id, {RECORD_COLUMNS}"
_KEY = 1
_WALKED = frozenset({TransferState.WAITING, TransferState.DONE})
"""Most transfers are in one of these: an index of them would cost each of them."""


class _Span(NamedTuple):
    """A condition on the keys of a run, with its values."""

    sql: str
    values: tuple[object, ...]

    def until(self, key: str) -> _Span:
        return _Span(f"{self.sql} AND key <= ?", (*self.values, key))


def page(
    session: Session,
    run: RunId,
    *,
    prefix: str,
    states: Sequence[TransferState],
    code: str,
    after: str | None,
    limit: int,
) -> Page[TransferRecord]:
    """Args:
    after: a key; None is before all keys.
    """
    chosen = states_with_code(states) if code else states
    if (code and not chosen) or not can_be_key(prefix):
        return Page(items=())
    span = _span(find_run(session, run), to_text(prefix), after)
    border: str | None = None
    if not chosen:
        rows = _fetch(session, span, "", (), limit)
    elif _WALKED.isdisjoint(chosen):
        rows = _of_states(session, span, chosen, code, limit)
    else:
        border = _border(session, span)
        rows = _walk(session, span if border is None else span.until(border), chosen, limit)
    return _to_page(session, rows, border, limit)


def _to_page(
    session: Session, rows: Sequence[Row], border: str | None, limit: int
) -> Page[TransferRecord]:
    shown = rows[:limit]
    history = histories(session, [row[0] for row in shown])
    last = shown[-1][_KEY] if len(rows) > limit else border
    return Page(
        items=tuple(to_record(row[1:])._replace(history=tuple(history[row[0]])) for row in shown),
        cursor="" if last is None else write_key_cursor(from_text(last)),
    )


def _span(run_id: int, prefix: str, after: str | None) -> _Span:
    sql, values = "run_id = ?", [run_id, prefix]
    if after is not None and (last := to_text(after)) >= prefix:
        sql, values = f"{sql} AND key > ?", [run_id, last]
    elif prefix:
        sql = f"{sql} AND key >= ?"
    else:
        values = [run_id]
    end = beyond(prefix)
    return _Span(sql, tuple(values)) if end is None else _Span(f"{sql} AND key < ?", (*values, end))


def _of_states(
    session: Session, span: _Span, states: Sequence[TransferState], code: str, limit: int
) -> Sequence[Row]:
    """Each state has its own index; its first ones are among the first of all."""
    of_code, codes = ("AND code = ?", (to_words(code),)) if code else ("", ())
    rows: list[Row] = []
    for state in {STATE_CODES[state] for state in states}:
        # Those that are leased are in the index of what is due, with those that wait again.
        open_one = "AND state <= 1 AND due > 0" if state == LEASED else ""
        rows += _fetch(session, span, f"{open_one} AND state = {state} {of_code}", codes, limit)
    return sorted(rows, key=lambda row: str(row[_KEY]))[: limit + 1]


def _border(session: Session, span: _Span) -> str | None:
    """The last key that is looked at; None where all are."""
    place = f"FROM transfers WHERE {span.sql} ORDER BY key LIMIT 1 OFFSET {LOOKED_THROUGH - 1}"
    rows = session.fetch("key", place, *span.values)
    return rows[0][0] if rows else None


def _walk(
    session: Session, span: _Span, states: Sequence[TransferState], limit: int
) -> Sequence[Row]:
    codes = session.dialect.list([STATE_CODES[state] for state in states])
    return _fetch(session, span, f"AND state {session.dialect.any_of}", (codes,), limit)


def _fetch(
    session: Session, span: _Span, condition: str, values: Sequence[object], limit: int
) -> Sequence[Row]:
    """One more than `limit`, to tell whether there are more."""
    source = f"FROM transfers WHERE {span.sql} {condition} ORDER BY key LIMIT {limit + 1}"
    return session.fetch(_COLUMNS, source, *span.values, *values)
