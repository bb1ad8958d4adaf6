"""`SqlTaskStore`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from transferhub.errors import ConflictError
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import RunId
from transferhub.state.sql.codec import (
    from_micros,
    from_micros_or_none,
    from_text,
    to_micros,
    to_micros_or_none,
    to_text,
    to_words,
)
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session

_TASK = "ident, name, kind, spec, fingerprint, created_at, version"
_RUN = (
    "ident, task, task_version, state, created_at, started_at, ended_at, error_code, error, "
    "workers, summary, resumed, version"
)
_NEWEST = "ORDER BY created_at DESC, id DESC LIMIT ?"


class SqlTaskStore:
    """A TaskStore in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, url: str) -> Self:
        """Opens `sqlite:///path` or `postgresql://user@host/name`.

        Raises:
            InputError: the URL names no database that we know.
            StateError: the database cannot be used.
        """
        return cls(await Database.open(url))

    async def create_task(self, task: Task) -> None:
        if not await self._database.write(
            lambda session: _insert(session, "tasks", _TASK, _task_to_row(task))
        ):
            raise ConflictError(f"Task {task.ident} exists already.")

    async def get_task(self, ident: TaskId) -> Task | None:
        found = await self._find_tasks("WHERE ident = ?", to_text(ident))
        return found[0] if found else None

    async def find_task(self, fingerprint: str) -> Task | None:
        found = await self._find_tasks(f"WHERE fingerprint = ? {_NEWEST}", to_text(fingerprint), 1)
        return found[0] if found else None

    async def update_task(self, task: Task) -> Task:
        updated = replace(task, version=task.version + 1)
        row = _task_to_row(updated)
        if not await self._database.write(
            lambda session: _update(session, "tasks", _TASK, row, task.version)
        ):
            raise ConflictError(f"Task {task.ident} was changed by another writer; read it again.")
        return updated

    async def tasks(self, *, limit: int = 100) -> Sequence[Task]:
        return await self._find_tasks(_NEWEST, limit)

    async def create_run(self, run: Run) -> None:
        if not await self._database.write(
            lambda session: _insert(session, "runs", _RUN, _run_to_row(run))
        ):
            raise ConflictError(f"Run {run.ident} exists already.")

    async def get_run(self, ident: RunId) -> Run | None:
        found = await self._find_runs("WHERE ident = ?", to_text(ident))
        return found[0] if found else None

    async def update_run(self, run: Run) -> Run:
        updated = replace(run, version=run.version + 1)
        row = _run_to_row(updated)
        if not await self._database.write(
            lambda session: _update(session, "runs", _RUN, row, run.version)
        ):
            raise ConflictError(f"Run {run.ident} was changed by another writer; read it again.")
        return updated

    async def runs(
        self, *, task: TaskId | None = None, states: Sequence[RunState] = (), limit: int = 100
    ) -> Sequence[Run]:
        conditions, values = ["true"], []
        if task is not None:
            conditions.append("task = ?")
            values.append(to_text(task))
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values += [state.value for state in states]
        return await self._find_runs(f"WHERE {' AND '.join(conditions)} {_NEWEST}", *values, limit)

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _find_tasks(self, condition: str, *values: object) -> Sequence[Task]:
        rows = await self._database.read(
            lambda session: session.fetch(_TASK, f"FROM tasks {condition}", *values)
        )
        return [_row_to_task(row) for row in rows]

    async def _find_runs(self, condition: str, *values: object) -> Sequence[Run]:
        rows = await self._database.read(
            lambda session: session.fetch(_RUN, f"FROM runs {condition}", *values)
        )
        return [_row_to_run(row) for row in rows]


def _insert(session: Session, table: str, columns: str, row: Row) -> int:
    marks = ", ".join("?" * len(row))
    return session.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT (ident) DO NOTHING", *row
    )


def _update(session: Session, table: str, columns: str, row: Row, version: int) -> int:
    changes = ", ".join(f"{name} = ?" for name in columns.split(", "))
    return session.execute(
        f"UPDATE {table} SET {changes} WHERE ident = ? AND version = ?", *row, row[0], version
    )


def _task_to_row(task: Task) -> Row:
    return (
        to_text(task.ident),
        to_words(task.name),
        to_text(task.kind),
        json.dumps(dict(task.spec)),
        to_text(task.fingerprint),
        to_micros(task.created_at),
        task.version,
    )


def _row_to_task(row: Row) -> Task:
    ident, name, kind, spec, fingerprint, created_at, version = row
    return Task(
        ident=TaskId(from_text(ident)),
        name=from_text(name),
        kind=from_text(kind),
        spec=json.loads(spec),
        fingerprint=from_text(fingerprint),
        created_at=from_micros(created_at),
        version=version,
    )


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
    )
