"""`SqlTaskStore`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Self

from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import (
    ALL_TASKS,
    Page,
    TaskFilter,
    TaskSort,
    search_text,
    search_words,
    sort_name,
)
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.cursors import (
    NEVER,
    Place,
    moment_value,
    order_of_tasks,
    read_cursor,
    write_cursor,
)
from transferhub.state.refusals import task_changed, task_exists
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.runs import SqlRuns
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_TASK = (
    "ident, name, kind, spec, fingerprint, created_at, version, updated_at, description, owner, "
    "tags, schedule, state, next_run_at, limits, events"
)
_WRITTEN = f"{_TASK}, sort_name, words"
_INSERT = (
    f"INSERT INTO tasks ({_WRITTEN}) VALUES ({', '.join('?' * len(_WRITTEN.split()))}) "
    "ON CONFLICT (ident) DO NOTHING"
)
_CHANGES = ", ".join(f"{name} = ?" for name in _WRITTEN.split(", "))
_KEEP_VERSION = f"INSERT INTO task_versions ({_TASK}) SELECT {_TASK} FROM tasks WHERE ident = ?"
_SORTS = {
    TaskSort.CREATED: "created_at",
    TaskSort.UPDATED: "updated_at",
    TaskSort.NAME: "sort_name",
    TaskSort.NEXT_RUN: "next_run_at",
}


class SqlTaskStore(SqlRuns):
    """A TaskStore in SQLite or PostgreSQL; each verb is one transaction."""

    @classmethod
    async def open(cls, url: str, clock: Clock = utc_now) -> Self:
        """Opens `sqlite:///path` or `postgresql://user@host/name`.

        Raises:
            InputError: the URL names no database that we know.
            StateError: the database cannot be used.
        """
        return cls(await Database.open(url), clock)

    async def create_task(self, task: Task) -> None:
        row = _task_to_row(task)
        if not await self._database.write(lambda session: session.execute(_INSERT, *row)):
            raise task_exists(task.ident)

    async def get_task(self, ident: TaskId) -> Task | None:
        return _first(await self._find("FROM tasks WHERE ident = ?", to_text(ident)))

    async def find_task(self, fingerprint: str, *, owner: str = "") -> Task | None:
        source = (
            "FROM tasks WHERE fingerprint = ? AND owner = ? "
            "ORDER BY created_at DESC, id DESC LIMIT 1"
        )
        return _first(await self._find(source, to_text(fingerprint), to_words(owner)))

    async def update_task(self, task: Task) -> Task:
        updated = replace(task, version=task.version + 1)
        row = _task_to_row(updated)
        if not await self._database.write(lambda session: _update(session, row, task.version)):
            raise task_changed(task.ident)
        return updated

    async def task_version(self, ident: TaskId, version: int) -> Task | None:
        source = (
            f"FROM (SELECT {_TASK} FROM tasks WHERE ident = ? AND version = ? UNION ALL "
            f"SELECT {_TASK} FROM task_versions WHERE ident = ? AND version = ?) AS found"
        )
        return _first(await self._find(source, to_text(ident), version, to_text(ident), version))

    async def task_versions(self, ident: TaskId, *, limit: int = 100) -> Sequence[Task]:
        former = "FROM task_versions WHERE ident = ? ORDER BY version DESC LIMIT ?"

        def fetch(session: Session) -> Sequence[Row]:
            rows = session.fetch(_TASK, "FROM tasks WHERE ident = ?", to_text(ident))
            return [*rows, *session.fetch(_TASK, former, to_text(ident), limit)][:limit]

        return [_row_to_task(row) for row in await self._database.read(fetch)]

    async def delete_task(self, ident: TaskId, *, with_runs: bool) -> bool:
        name = to_text(ident)
        return await self._database.write(
            lambda session: _delete(session, name, with_runs=with_runs)
        )

    async def tasks(
        self,
        chosen: TaskFilter = ALL_TASKS,
        *,
        sort: TaskSort = TaskSort.CREATED,
        descending: bool = True,
        after: str = "",
        limit: int = 100,
    ) -> Page[Task]:
        order = order_of_tasks(sort, descending=descending)
        place = read_cursor(order, after, str if sort is TaskSort.NAME else int)
        where, values = _conditions(chosen)
        column, sign, turn = _SORTS[sort], *(("<", "DESC") if descending else (">", "ASC"))
        from_place = f" AND ({column}, id) {sign} (?, ?)" if place else ""
        place_values = (place.value, place.number) if place else ()
        source = f"FROM tasks WHERE {where}{from_place} ORDER BY {column} {turn}, id {turn} LIMIT ?"

        def fetch(session: Session) -> tuple[Sequence[Row], int]:
            columns = f"{_TASK}, {column} AS place, id"
            rows = session.fetch(columns, source, *values, *place_values, limit + 1)
            total = session.fetch("count(*) AS total", f"FROM tasks WHERE {where}", *values)
            return rows, total[0][0]

        rows, total = await self._database.read(fetch)
        page = rows[:limit]
        more = page and len(rows) > limit
        return Page(
            items=tuple(_row_to_task(row[:-2]) for row in page),
            cursor=write_cursor(order, Place(*page[-1][-2:])) if more else "",
            total=total,
        )

    async def due_tasks(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int = 100
    ) -> Sequence[Task]:
        moment, ident = after or (None, "")
        values = () if moment is None else (to_micros(moment), to_text(ident))
        from_place = " AND (next_run_at, ident) > (?, ?)" if values else ""
        source = (
            f"FROM tasks WHERE state = 'active' AND next_run_at < {NEVER} AND next_run_at <= ?"
            f"{from_place} ORDER BY next_run_at, ident LIMIT ?"
        )
        return await self._find(source, to_micros(until), *values, limit)

    async def event_tasks(self) -> Sequence[Task]:
        return await self._find("FROM tasks WHERE events <> '{}' ORDER BY ident")

    async def plan_task(
        self, ident: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        update = "UPDATE tasks SET next_run_at = ? WHERE ident = ? AND next_run_at = ?"
        values = moment_value(next_run_at), to_text(ident), moment_value(known)
        return bool(await self._database.write(lambda session: session.execute(update, *values)))

    async def _find(self, source: str, *values: object) -> Sequence[Task]:
        rows = await self._database.read(lambda session: session.fetch(_TASK, source, *values))
        return [_row_to_task(row) for row in rows]


def _first(tasks: Sequence[Task]) -> Task | None:
    return tasks[0] if tasks else None


def _update(session: Session, row: Row, version: int) -> bool:
    ident = row[0]
    known = "FROM tasks WHERE ident = ? AND version = ?"
    if not session.fetch("version", f"{known} {session.dialect.lock}", ident, version):
        return False
    session.execute(_KEEP_VERSION, ident)
    session.execute(f"UPDATE tasks SET {_CHANGES} WHERE ident = ?", *row, ident)
    return True


def _delete(session: Session, ident: str, *, with_runs: bool) -> bool:
    if not session.fetch("id", f"FROM tasks WHERE ident = ? {session.dialect.lock}", ident):
        return False
    if with_runs:
        session.execute("DELETE FROM task_versions WHERE ident = ?", ident)
        session.execute("DELETE FROM runs WHERE task = ?", ident)
    else:
        session.execute(_KEEP_VERSION, ident)
    session.execute("DELETE FROM tasks WHERE ident = ?", ident)
    return True


def _conditions(chosen: TaskFilter) -> tuple[str, list[object]]:
    found = [("true", "")]
    if chosen.state is not None:
        found.append(("state = ?", chosen.state.value))
    if chosen.owner:
        found.append(("owner = ?", to_words(chosen.owner)))
    if chosen.kind:
        found.append(("kind = ?", to_text(chosen.kind)))
    if chosen.tag:
        found.append(("tags LIKE ? ESCAPE '!'", _containing(json.dumps(chosen.tag))))
    words = [_containing(to_words(word)) for word in search_words(chosen.words)]
    found += [("words LIKE ? ESCAPE '!'", word) for word in words]
    return " AND ".join(condition for condition, _ in found), [value for _, value in found[1:]]


def _containing(text: str) -> str:
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text}%"


def _task_to_row(task: Task) -> Row:
    return (
        to_text(task.ident),
        to_words(task.name),
        to_text(task.kind),
        json.dumps(dict(task.spec)),
        to_text(task.fingerprint),
        to_micros(task.created_at),
        task.version,
        to_micros(task.updated_at),
        to_words(task.description),
        to_words(task.owner),
        json.dumps(task.tags),
        json.dumps(dict(task.schedule)),
        task.state.value,
        moment_value(task.next_run_at),
        json.dumps(dict(task.limits)),
        json.dumps(dict(task.events)),
        to_words(sort_name(task)),
        to_words(search_text(task)),
    )


def _row_to_task(row: Row) -> Task:
    return Task(
        ident=TaskId(from_text(row[0])),
        name=from_text(row[1]),
        kind=from_text(row[2]),
        spec=json.loads(row[3]),
        fingerprint=from_text(row[4]),
        created_at=from_micros(row[5]),
        version=row[6],
        updated_at=from_micros(row[7]),
        description=from_text(row[8]),
        owner=from_text(row[9]),
        tags=tuple(json.loads(row[10])),
        schedule=json.loads(row[11]),
        state=TaskState(row[12]),
        next_run_at=None if row[13] == NEVER else from_micros(row[13]),
        limits=json.loads(row[14]),
        events=json.loads(row[15]),
    )
