"""`SqlLogs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.model.history import HistoryOf, LogLevel, LogLine, LogPage, OfRun
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.sampling import MOST_SURPLUS, Reading, fill_page, is_full, surplus
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_COLUMNS: Columns = (
    ("run", "TEXT"),
    ("number", "BIGINT"),
    ("task", "TEXT"),
    ("at", "BIGINT"),
    ("level", "BIGINT"),
    ("action", "TEXT"),
    ("message", "TEXT"),
    ("worker", "TEXT"),
    ("size", "BIGINT"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_INSERT = f"INSERT INTO log_lines ({_NAMES}) SELECT {_NAMES} FROM ({{rows}}) AS v"
_NUMBER = (
    "INSERT INTO log_numbers (task, number) VALUES (?, ?) "
    "ON CONFLICT (task) DO UPDATE SET number = log_numbers.number + excluded.number "
    "RETURNING number"
)
_COUNT = (
    "INSERT INTO logs (run, task, lines, size, dropped, last_at) VALUES (?, ?, ?, ?, 0, ?) "
    "ON CONFLICT (run) DO UPDATE SET lines = logs.lines + excluded.lines, "
    "size = logs.size + excluded.size, last_at = excluded.last_at"
)
_DROP = "UPDATE logs SET lines = lines - ?, size = size - ?, dropped = dropped + ? WHERE run = ?"
_OLD = "FROM logs WHERE last_at < ? ORDER BY last_at LIMIT 20"
_LEVELS = tuple(LogLevel)


class SqlLogs:
    """Logs in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, lines: Sequence[LogLine]) -> None:
        def append(session: Session) -> None:
            # In one order everywhere, so that two writers never wait for each other in a circle.
            for task in sorted({line.task for line in lines}):
                _append(session, task, [line for line in lines if line.task == task])

        await self._database.write(append)

    async def page(
        self,
        of: HistoryOf,
        *,
        level: LogLevel = LogLevel.DEBUG,
        words: str = "",
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> LogPage:
        column, ident = "run" if isinstance(of, OfRun) else "task", to_text(of[0])
        beyond, order = (">", "") if after is not None else ("<", "DESC")
        source = (
            f"FROM log_lines WHERE {column} = ? AND number {beyond} ? "
            f"ORDER BY number {order} LIMIT ?"
        )

        def read(session: Session) -> LogPage:
            reading = Reading(
                forward=after is not None,
                start=_start(session, column, ident, after if after is not None else before),
                level=level,
                words=words,
                limit=limit,
            )
            page = fill_page(
                lambda place, count: [
                    _from_row(row) for row in session.fetch(_NAMES, source, ident, place, count)
                ],
                reading,
            )
            [(dropped,)] = session.fetch(
                "sum(dropped) AS dropped", f"FROM logs WHERE {column} = ?", ident
            )
            return replace(page, dropped=int(dropped or 0))

        return await self._database.read(read)

    async def purge(self, before: datetime) -> int:
        def purge(session: Session) -> int:
            rows = session.fetch(
                "run, last_at", f"{_OLD} {session.dialect.lock}", to_micros(before)
            )
            for run, _ in rows:
                _forget(session, run)
            return len(rows)

        return await self._database.write(purge)

    async def forget(self, run: RunId) -> None:
        await self._database.write(lambda session: _forget(session, to_text(run)))

    async def aclose(self) -> None:
        await self._database.aclose()


def _start(session: Session, column: str, ident: str, given: int | None) -> int:
    """Where to begin; beyond the newest line where nothing is given."""
    if given is not None:
        return given
    newest = f"FROM log_lines WHERE {column} = ? ORDER BY number DESC LIMIT 1"
    rows = session.fetch("number", newest, ident)
    return int(rows[0][0]) + 1 if rows else 1


def _append(session: Session, task: TaskId, lines: Sequence[LogLine]) -> None:
    last = session.insert(_NUMBER, to_text(task), len(lines))
    first = last - len(lines) + 1
    rows = [_to_row(line, number) for number, line in enumerate(lines, first)]
    session.execute_rows(_INSERT, _COLUMNS, rows)
    for run in sorted({line.run for line in lines}):
        _count(session, to_text(run), [line for line in lines if line.run == run])


def _count(session: Session, run: str, lines: Sequence[LogLine]) -> None:
    size = sum(line.size for line in lines)
    task, last_at = to_text(lines[0].task), to_micros(max(line.at for line in lines))
    session.execute(_COUNT, run, task, len(lines), size, last_at)
    [(count, size)] = session.fetch("lines, size", "FROM logs WHERE run = ?", run)
    while is_full(count, size):
        oldest = "FROM log_lines WHERE run = ? ORDER BY number LIMIT ?"
        rows = session.fetch("number, size", oldest, run, MOST_SURPLUS)
        gone = rows[: surplus([at for _, at in rows], count, size)]
        freed = sum(at for _, at in gone)
        session.execute("DELETE FROM log_lines WHERE run = ? AND number <= ?", run, gone[-1][0])
        session.execute(_DROP, len(gone), freed, len(gone), run)
        count, size = count - len(gone), size - freed


def _forget(session: Session, run: str) -> None:
    session.execute("DELETE FROM log_lines WHERE run = ?", run)
    session.execute("DELETE FROM logs WHERE run = ?", run)


def _to_row(line: LogLine, number: int) -> Row:
    return (
        to_text(line.run),
        number,
        to_text(line.task),
        to_micros(line.at),
        line.level.rank,
        to_words(line.action),
        to_words(line.message),
        to_words(line.worker),
        line.size,
    )


def _from_row(row: Row) -> LogLine:
    run, number, task, at, level, action, message, worker, _ = row
    return LogLine(
        at=from_micros(at),
        level=_LEVELS[level],
        action=from_text(action),
        message=from_text(message),
        task=TaskId(from_text(task)),
        run=RunId(from_text(run)),
        worker=from_text(worker),
        number=number,
    )
