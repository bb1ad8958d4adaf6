"""The ports of what runs did: samples of them, and their logs.

Verbs are atomic and durable when they return, and raise StateError where the state cannot be
reached or written. Many processes may use them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from transferhub.model.history import (
    HistoryOf,
    LogLevel,
    LogLine,
    LogPage,
    Point,
    Sample,
    Thinning,
)
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId


class Samples(Protocol):
    """Samples of runs; older ones at coarser steps."""

    async def add(self, run: RunId, task: TaskId, sample: Sample) -> None:
        """Does nothing where the run has one of this moment."""

    async def latest(self, runs: Sequence[RunId]) -> Mapping[RunId, Sample]:
        """The newest one of each of these runs that has any."""

    async def series(
        self, of: HistoryOf, since: datetime, until: datetime, *, points: int
    ) -> Sequence[Point]:
        """The time from `since` until before `until` in up to `points` stretches of one length, in
        their order, without those that have no sample."""

    async def thin(self, thinning: Thinning, before: datetime) -> int:
        """Merges some samples of before then into one for each step, the oldest first: nothing is
        lost of counts, means and peaks. Returns how many it merged; 0 once there are none left."""

    async def purge(self, before: datetime) -> int:
        """Forgets some of what is older; returns how many samples, 0 once there are none left."""

    async def forget(self, run: RunId) -> None: ...

    async def aclose(self) -> None: ...


class Logs(Protocol):
    """The logs of runs. Of each run the newest lines are kept, MOST_LINES and MOST_LOG_BYTES."""

    async def append(self, lines: Sequence[LogLine]) -> None:
        """Adds them in their order, and numbers them. Whoever follows a log misses none."""

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
        """The first lines after the number `after`; else the last ones, before `before` if given.

        It looks at a bounded number of lines, so that a page may have fewer than `limit`, even
        none, while there is more.

        Args:
            level: from it on.
            words: which the lines hold, each of them, in any case.
        """

    async def purge(self, before: datetime) -> int:
        """Forgets some of the logs whose last line is older; returns of how many runs, 0 once there
        are none left."""

    async def forget(self, run: RunId) -> None: ...

    async def aclose(self) -> None: ...
