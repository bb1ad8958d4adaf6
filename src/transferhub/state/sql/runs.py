"""`SqlRuns`: the half of `SqlTaskStore` that keeps runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import ALL_RUNS, Page, RunFilter
from transferhub.model.run import Run, RunOrder, RunState, TaskId, Trigger
from transferhub.model.transfer import RunId
from transferhub.state.cursors import EXPIRED_RUNS, RUNS, Place, read_cursor, write_cursor
from transferhub.state.refusals import run_changed, run_exists, run_lost
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, to_micros_or_none

_UPDATED = (
    "task, task_version, state, created_at, started_at, ended_at, error_code, error, workers, "
    "summary, resumed, version, cause, asked, scheduled_at"
)
_RUN = f"ident, {_UPDATED}, keeper, kept_until"
_CREATED_AT = 4
_INSERT = (
    f"INSERT INTO runs ({_RUN}) VALUES ({', '.join('?' * len(_RUN.split()))}) "
    "ON CONFLICT DO NOTHING"
)
_CHANGES = ", ".join(f"{name} = ?" for name in _UPDATED.split(", "))
_UPDATE = f"UPDATE runs SET {_CHANGES} WHERE ident = ? AND version = ?"
_CLAIM = (
    "UPDATE runs SET state = 'running', keeper = ?, kept_until = ?, version = version + 1 "
    "WHERE id = ?"
)
_LAPSED = (
    "FROM runs WHERE state = 'running' AND keeper <> '' AND kept_until <= ? "
    "ORDER BY kept_until, id LIMIT 1"
)
_QUEUED = "FROM runs WHERE state = 'queued' ORDER BY created_at, id LIMIT 1"
# As its index says it.
_UNTOLD = "FROM runs WHERE ended_at > told_at AND cause <> 'command' ORDER BY ended_at, id LIMIT ?"
_MINE = "ident = ? AND keeper = ? AND keeper <> '' AND state = 'running'"


_EXPIRED = (
    "FROM runs WHERE (created_at, id) > (?, ?) AND created_at < ? AND ended_at < ? "
    "AND state NOT IN ('queued', 'running') AND EXISTS (SELECT 1 FROM runs AS later "
    "WHERE later.task = runs.task AND (later.created_at, later.id) > (runs.created_at, runs.id)) "
    "ORDER BY created_at, id LIMIT ?"
)
_DELETE = "DELETE FROM runs WHERE ident = ? AND version = ? AND state NOT IN ('queued', 'running')"


class SqlRuns:
    """A RunStore in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def create_run(self, run: Run) -> Run:
        row = _run_to_row(run)
        kept = await self._database.write(lambda session: _create(session, run, row))
        if kept is None:
            raise run_exists(run.ident)
        return kept

    async def get_run(self, ident: RunId) -> Run | None:
        return await self._database.read(lambda session: _find(session, ident))

    async def update_run(self, run: Run) -> Run:
        row = _run_to_row(replace(run, version=run.version + 1))[1:-2]

        def update(session: Session) -> Run | None:
            changed = session.execute(_UPDATE, *row, to_text(run.ident), run.version)
            return _find(session, run.ident) if changed else None

        updated = await self._database.write(update)
        if updated is None:
            raise run_changed(run.ident)
        return updated

    async def runs(
        self, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        place = read_cursor(RUNS, after, int)
        rows = await self._database.read(lambda session: _newest(session, chosen, place, limit + 1))
        return _page(rows, limit, RUNS)

    async def latest_runs(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Run]:
        if not tasks:
            return {}
        source = (
            "FROM runs WHERE id IN (SELECT (SELECT r.id FROM runs AS r WHERE r.task = t.column1 "
            "ORDER BY r.created_at DESC, r.id DESC LIMIT 1) "
            f"FROM (VALUES {', '.join(['(?)'] * len(tasks))}) AS t)"
        )
        names = [to_text(task) for task in tasks]
        rows = await self._database.read(lambda session: session.fetch(_RUN, source, *names))
        return {run.task: run for run in map(_row_to_run, rows)}

    async def claim_run(self, keeper: str, duration: timedelta) -> Run | None:
        now = self._clock()
        times = to_micros(now), to_micros(now + duration)
        return await self._database.write(lambda session: _claim(session, to_text(keeper), *times))

    async def keep_run(self, run: Run, duration: timedelta) -> Run:
        until = to_micros(self._clock() + duration)

        def keep(session: Session) -> Run | None:
            update = f"UPDATE runs SET kept_until = ? WHERE {_MINE}"
            kept = session.execute(update, until, to_text(run.ident), to_text(run.keeper))
            return _find(session, run.ident) if kept else None

        kept = await self._database.write(keep)
        if kept is None:
            raise run_lost(run)
        return kept

    async def expired_runs(
        self, before: datetime, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        place, moment = read_cursor(EXPIRED_RUNS, after, int) or Place(-1, -1), to_micros(before)
        values = place.value, place.number, moment, moment, limit + 1
        rows = await self._database.read(lambda s: s.fetch(f"{_RUN}, id", _EXPIRED, *values))
        return _page(rows, limit, EXPIRED_RUNS)

    async def delete_run(self, run: Run) -> bool:
        name = to_text(run.ident)
        return bool(await self._database.write(lambda s: s.execute(_DELETE, name, run.version)))

    async def unknown_runs(self, idents: Sequence[RunId]) -> Sequence[RunId]:
        if not idents:
            return []
        values = f"(VALUES {', '.join(['(?)'] * len(idents))})"
        source = f"FROM {values} AS t WHERE EXISTS (SELECT 1 FROM runs WHERE ident = t.column1)"
        names = [to_text(ident) for ident in idents]
        rows = await self._database.read(lambda s: s.fetch("t.column1 AS name", source, *names))
        known = {name for (name,) in rows}
        return [ident for ident, name in zip(idents, names, strict=True) if name not in known]

    async def release_run(self, run: Run) -> None:
        update = (
            "UPDATE runs SET state = 'queued', keeper = '', kept_until = NULL, "
            f"version = version + 1 WHERE {_MINE}"
        )
        mine = to_text(run.ident), to_text(run.keeper)
        await self._database.write(lambda session: session.execute(update, *mine))

    async def untold_runs(self, *, limit: int = 100) -> Sequence[Run]:
        rows = await self._database.read(lambda session: session.fetch(_RUN, _UNTOLD, limit))
        return [_row_to_run(row) for row in rows]

    async def note_told(self, run: Run) -> None:
        if run.ended_at is not None:
            ended_at, ident = to_micros(run.ended_at), to_text(run.ident)
            update = "UPDATE runs SET told_at = ? WHERE ident = ? AND told_at < ?"
            await self._database.write(
                lambda session: session.execute(update, ended_at, ident, ended_at)
            )

    async def aclose(self) -> None:
        await self._database.aclose()


def _page(rows: Sequence[Row], limit: int, order: str) -> Page[Run]:
    """Of rows that end with their number; one more than `limit` where there are more."""
    page, cursor = rows[:limit], ""
    if page and len(rows) > limit:
        cursor = write_cursor(order, Place(page[-1][_CREATED_AT], page[-1][-1]))
    return Page(items=tuple(_row_to_run(row) for row in page), cursor=cursor)


def _create(session: Session, run: Run, row: Row) -> Run | None:
    """The run as it is kept; None where its id is another one's."""
    if session.execute(_INSERT, *row):
        return run
    if run.scheduled_at is None:
        return None
    occurrence = to_text(run.task), to_micros(run.scheduled_at)
    rows = session.fetch(_RUN, "FROM runs WHERE task = ? AND scheduled_at = ?", *occurrence)
    return _row_to_run(rows[0]) if rows else None


def _find(session: Session, ident: RunId) -> Run | None:
    rows = session.fetch(_RUN, "FROM runs WHERE ident = ?", to_text(ident))
    return _row_to_run(rows[0]) if rows else None


def _newest(session: Session, chosen: RunFilter, place: Place | None, limit: int) -> Sequence[Row]:
    """Each state is read by itself: an index has the runs of one in order, not those of many."""
    rows: list[Row] = []
    for state in chosen.states or (None,):
        conditions, values = _conditions(chosen, state, place)
        source = f"FROM runs WHERE {conditions} ORDER BY created_at DESC, id DESC LIMIT ?"
        rows += session.fetch(f"{_RUN}, id", source, *values, limit)
    return sorted(rows, key=lambda row: (row[_CREATED_AT], row[-1]), reverse=True)[:limit]


def _conditions(
    chosen: RunFilter, state: RunState | None, place: Place | None
) -> tuple[str, list[object]]:
    found: list[tuple[str, Sequence[object]]] = [("true", ())]
    if chosen.task is not None:
        found.append(("task = ?", (to_text(chosen.task),)))
    if state is not None:
        found.append(("state = ?", (state.value,)))
    if chosen.trigger is not None:
        found.append(("cause = ?", (chosen.trigger.value,)))
    if chosen.since is not None:
        found.append(("created_at >= ?", (to_micros(chosen.since),)))
    if chosen.until is not None:
        found.append(("created_at < ?", (to_micros(chosen.until),)))
    if place is not None:
        found.append(("(created_at, id) < (?, ?)", (place.value, place.number)))
    values = [value for _, given in found for value in given]
    return " AND ".join(condition for condition, _ in found), values


def _claim(session: Session, keeper: str, now: int, until: int) -> Run | None:
    free = session.dialect.lock_free
    rows = session.fetch("id, ident", f"{_LAPSED} {free}", now) or session.fetch(
        "id, ident", f"{_QUEUED} {free}"
    )
    if not rows:
        return None
    [(number, ident)] = rows
    session.execute(_CLAIM, keeper, until, number)
    return _find(session, RunId(from_text(ident)))


def _run_to_row(run: Run) -> Row:
    return (
        to_text(run.ident),
        to_text(run.task),
        run.task_version,
        run.state.value,
        to_micros(run.created_at),
        to_micros_or_none(run.started_at),
        to_micros_or_none(run.ended_at),
        to_text(run.error_code),
        to_words(run.error),
        json.dumps(run.workers),
        json.dumps(dict(run.summary)),
        run.resumed,
        run.version,
        run.trigger.value,
        run.order.value,
        to_micros_or_none(run.scheduled_at),
        to_text(run.keeper),
        to_micros_or_none(run.kept_until),
    )


def _row_to_run(row: Row) -> Run:
    return Run(
        ident=RunId(from_text(row[0])),
        task=TaskId(from_text(row[1])),
        task_version=row[2],
        state=RunState(row[3]),
        created_at=from_micros(row[4]),
        started_at=from_micros_or_none(row[5]),
        ended_at=from_micros_or_none(row[6]),
        error_code=from_text(row[7]),
        error=from_text(row[8]),
        workers=tuple(json.loads(row[9])),
        summary=json.loads(row[10]),
        resumed=row[11],
        version=row[12],
        trigger=Trigger(row[13]),
        order=RunOrder(row[14]),
        scheduled_at=from_micros_or_none(row[15]),
        keeper=from_text(row[16]),
        kept_until=from_micros_or_none(row[17]),
    )
