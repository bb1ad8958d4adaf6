"""What a run did: samples of it as it went on, and what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId

SAMPLE_EVERY = timedelta(seconds=2)
"""How often the process that carries a run takes a sample of it."""


class OfRun(NamedTuple):
    """The history of one run."""

    run: RunId


class OfTask(NamedTuple):
    """The history of all runs of a task."""

    task: TaskId


HistoryOf = OfRun | OfTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A moment of a run.

    Attributes:
        phase: as the engine names it, such as "copying".
        listing: the run still finds more.
        bytes: copied so far, also of objects that are not done.
        objects: copied so far.
        failures: dead letters, of copies and deletes.
        open: transfers that wait or are under way.
        seconds_left: None while nobody can know.
    """

    at: datetime
    phase: str
    listing: bool
    bytes: int
    objects: int
    failures: int
    deleted: int
    open: int
    workers: int
    bytes_per_second: float = 0.0
    objects_per_second: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A stretch of a series.

    Attributes:
        at: its start.
        last: as it was at its end; of a task's series, of the run that was sampled last.
        workers: the most at once.
        bytes_per_second, objects_per_second: the mean of its samples.
        peak_bytes_per_second, peak_objects_per_second: the highest one.
    """

    at: datetime
    last: Sample
    workers: int
    bytes_per_second: float
    peak_bytes_per_second: float
    objects_per_second: float
    peak_objects_per_second: float


class Thinning(NamedTuple):
    """Samples of the step `fine` become one for each `coarse` once they are of this age."""

    age: timedelta
    fine: timedelta
    coarse: timedelta


AS_TAKEN = timedelta(0)
"""The step of samples that were not thinned yet."""

THINNINGS = (
    Thinning(timedelta(hours=2), AS_TAKEN, timedelta(seconds=30)),
    Thinning(timedelta(days=1), timedelta(seconds=30), timedelta(minutes=5)),
)
"""A run of a week leaves some 8,000 samples, and one of each further day 288."""

STEPS = (AS_TAKEN, *(thinning.coarse for thinning in THINNINGS))


class LogLevel(StrEnum):
    """How much a line of a log matters, from the least on."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(LogLevel)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What a run said.

    Attributes:
        action: names what happened; stable, see docs/operations/logs.md.
        worker: the process that says it.
        number: grows within a task; 0 before it is kept.
    """

    at: datetime
    level: LogLevel
    action: str
    message: str
    task: TaskId
    run: RunId
    worker: str = ""
    number: int = 0

    @property
    def size(self) -> int:
        """What it counts against the bound of its run, in bytes."""
        return len(self.message.encode(errors="replace")) + len(self.action) + _LINE_SIZE

    def has(self, words: Sequence[str]) -> bool:
        """Whether all of the casefolded words are in it."""
        text = f"{self.action} {self.worker} {self.message}".casefold()
        return all(word in text for word in words)


_LINE_SIZE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Lines in their order.

    Attributes:
        first: goes on before them, as `before`.
        last: goes on after them, as `after`; so a log is followed.
        more: there may be more in the direction that was asked for.
        dropped: lines of these runs that had to go for newer ones.
    """

    lines: Sequence[LogLine]
    first: int
    last: int
    more: bool
    dropped: int = 0


MOST_LINES = 10_000
MOST_LOG_BYTES = 4 << 20
"""What is kept of each run's log: within both, the newest lines."""
