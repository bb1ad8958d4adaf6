"""Dead letters: shown, counted, and queued again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from transferhub.model.keys import beyond, can_be_key
from transferhub.model.transfer import Attempt, FailureGroup, RunId, TransferRecord
from transferhub.state.rules import glob_prefix, key_matcher
from transferhub.state.sql.codec import (
    FAILED,
    WAITING,
    from_text,
    to_text,
    to_words,
)
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.ledgers import find_run, seize_run
from transferhub.state.sql.reading import RECORD_COLUMNS, to_record
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.values import from_micros, to_micros

_PAGE = 1_000
_DEAD = f"run_id = ? AND state = {FAILED}"  # to the letter the condition of the index


def failures(
    session: Session, run: RunId, *, code: str, key: str, after: str, limit: int
) -> Sequence[TransferRecord]:
    run_id = find_run(session, run)
    found: list[Row] = []
    columns = f"key AS at, id, {RECORD_COLUMNS}"
    for page in _pages(session, run_id, columns, code=code, key=key, after=to_text(after)):
        found += page
        if len(found) >= limit:
            break
    history = histories(session, [row[1] for row in found[:limit]])
    return [to_record(row[2:])._replace(history=tuple(history[row[1]])) for row in found[:limit]]


def failure_groups(session: Session, run: RunId) -> Sequence[FailureGroup]:
    run_id = find_run(session, run)
    rows = session.fetch(
        "code, count(*) AS count, sum(size) AS size, min(key) AS first",
        f"FROM transfers WHERE {_DEAD} GROUP BY code",
        run_id,
    )
    groups = [
        FailureGroup(
            code=from_text(code),
            count=count,
            size=int(size),
            example_key=from_text(first),
            example_message=_message(session, run_id, first),
        )
        for code, count, size, first in rows
    ]
    return sorted(groups, key=lambda group: (-group.count, group.code))


def redrive(
    session: Session, run: RunId, *, code: str, key: str, keys: Sequence[str], now: datetime
) -> int:
    # Alone: it locks in the order of keys, all others in that of ids.
    run_id, tallies, count = seize_run(session, run), Tallies(), 0
    columns, lock = "key, id, action, size", session.dialect.lock
    for page in _pages(session, run_id, columns, code=code, key=key, keys=keys, lock=lock):
        session.execute_ids(
            f"UPDATE transfers SET state = {WAITING}, due = ?, attempts = 0, code = NULL, "
            "message = NULL, ended_at = NULL WHERE id {ids}",
            [row[1] for row in page],
            to_micros(now),
        )
        for _, _, action, size in page:
            tallies.move(run_id, action, size, FAILED, WAITING)
        count += len(page)
    tallies.save(session)
    return count


def _pages(
    session: Session,
    run_id: int,
    columns: str,
    *,
    code: str,
    key: str,
    after: str | None = None,
    keys: Sequence[str] = (),
    lock: str = "",
) -> Iterator[Sequence[Row]]:
    """Dead letters in the order of their keys. The first column is the key as it is stored."""
    matches = key_matcher(key)
    chosen, values = _choice(session, code=code, key=key, keys=keys)
    while True:
        later, after_key = ("", []) if after is None else ("AND key > ?", [after])
        rows = session.fetch(
            columns,
            f"FROM transfers WHERE {_DEAD} {later} {chosen} ORDER BY key LIMIT {_PAGE} {lock}",
            run_id,
            *after_key,
            *values,
        )
        yield [row for row in rows if matches(from_text(row[0]))]
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def _choice(
    session: Session, *, code: str, key: str, keys: Sequence[str]
) -> tuple[str, Sequence[object]]:
    """Conditions on dead letters, with their values; what a glob means beyond its beginning is not
    among them."""
    sql, values = "", list[object]()
    if code:
        sql, values = "AND code = ?", [to_words(code)]
    if (prefix := glob_prefix(key)) and can_be_key(prefix):
        sql, values = f"{sql} AND key >= ?", [*values, to_text(prefix)]
        if (end := beyond(to_text(prefix))) is not None:
            sql, values = f"{sql} AND key < ?", [*values, end]
    if keys:
        only = [to_text(key) for key in keys if can_be_key(key)]
        sql, values = (
            f"{sql} AND key {session.dialect.any_of}",
            [*values, session.dialect.list(only)],
        )
    return sql, values


def histories(session: Session, transfers: Sequence[int]) -> dict[int, list[Attempt]]:
    histories: defaultdict[int, list[Attempt]] = defaultdict(list)
    rows = session.fetch_ids(
        "transfer_id, at, code, message",
        "FROM attempts WHERE transfer_id {ids} ORDER BY id",
        transfers,
    )
    for transfer_id, at, code, message in rows:
        attempt = Attempt(from_micros(at), from_text(code), from_text(message))
        histories[transfer_id].append(attempt)
    return histories


def _message(session: Session, run_id: int, key: str) -> str:
    rows = session.fetch("message", "FROM transfers WHERE run_id = ? AND key = ?", run_id, key)
    return from_text(rows[0][0])
