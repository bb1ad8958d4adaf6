"""Lines of logs as items hold them: packed, and several to each."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from transferhub.model.history import LogLevel, LogLine
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.values import from_micros, to_micros

MOST_PACKED = 500
"""Lines of one item. Numbers follow each other there, so that it tells where to look for one."""

_MOST_BYTES = 256 << 10
"""Before they are packed. An item holds 400 KB."""

_LEVELS = tuple(LogLevel)


class Packed(NamedTuple):
    """Lines of one run, whose numbers follow each other."""

    lines: Sequence[LogLine]

    @property
    def size(self) -> int:
        """What they count against the bound of their run."""
        return sum(line.size for line in self.lines)


def pack(lines: Sequence[LogLine | None]) -> bytes:
    """Lines of one task, with their runs. None: one that was forgotten."""
    runs = list(dict.fromkeys(line.run for line in lines if line))
    rows = [line and [runs.index(line.run), *_to_row(line)] for line in lines]
    text = json.dumps([runs, rows], separators=(",", ":"))
    return zlib.compress(text.encode())


def unpack(packed: bytes, task: TaskId, first: int) -> list[LogLine | None]:
    """Args:
    first: the number of the first one.
    """
    runs, rows = json.loads(zlib.decompress(packed))
    return [
        row and _from_row(row[1:], task, RunId(runs[row[0]]), number)
        for number, row in enumerate(rows, first)
    ]


def portions(lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
    """Runs of lines that an item can hold, in their order."""
    portion: list[LogLine] = []
    size = 0
    for line in lines:
        if portion and (len(portion) == MOST_PACKED or size + line.size > _MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += line.size
    if portion:
        yield portion


def stretches(lines: Sequence[LogLine | None]) -> Iterator[Packed]:
    """What becomes an item each: of one run, its numbers one after another. The same lines always
    become the same ones."""
    alike: list[LogLine] = []
    for line in lines:
        if alike and (line is None or line.run != alike[-1].run):
            yield from map(Packed, portions(alike))
            alike = []
        if line is not None:
            alike.append(line)
    yield from map(Packed, portions(alike))


def numbered(lines: Sequence[LogLine], last: int) -> list[LogLine]:
    """With their numbers, of which the greatest is `last`."""
    return [replace(line, number=at) for at, line in enumerate(lines, last - len(lines) + 1)]


def _to_row(line: LogLine) -> list[Any]:
    return [to_micros(line.at), line.level.rank, line.action, line.message, line.worker]


def _from_row(row: Sequence[Any], task: TaskId, run: RunId, number: int) -> LogLine:
    at, level, action, message, worker = row
    return LogLine(
        at=from_micros(at),
        level=_LEVELS[level],
        action=action,
        message=message,
        task=task,
        run=run,
        worker=worker,
        number=number,
    )
