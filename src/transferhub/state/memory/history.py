"""`MemorySamples` and `MemoryLogs`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.model.history import (
    HistoryOf,
    LogLevel,
    LogLine,
    LogPage,
    OfRun,
    Point,
    Sample,
    Thinning,
)
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.sampling import (
    THINNED_STEPS,
    Kept,
    Reading,
    fill_page,
    floor,
    is_full,
    stretch,
    surplus,
    thinned,
    to_point,
)


class MemorySamples:
    """A complete Samples that is kept in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[RunId, datetime], Kept] = {}

    async def add(self, run: RunId, task: TaskId, sample: Sample) -> None:
        self._kept.setdefault((run, sample.at), Kept.of(run, task, sample))

    async def latest(self, runs: Sequence[RunId]) -> Mapping[RunId, Sample]:
        chosen = [at for at in self._sorted() if at.run in set(runs)]
        return {at.run: at.sample for at in chosen}

    async def series(
        self, of: HistoryOf, since: datetime, until: datetime, *, points: int
    ) -> Sequence[Point]:
        width = stretch(since, until, points)
        groups: dict[int, list[Kept]] = {}
        for at in self._sorted():
            if _is_of(at, of) and since <= at.sample.at < until:
                groups.setdefault((at.sample.at - since) // width, []).append(at)
        return [to_point(since + place * width, group) for place, group in groups.items()]

    async def thin(self, thinning: Thinning, before: datetime) -> int:
        end = floor(before, thinning.coarse)
        fine = [at for at in self._sorted() if at.step == thinning.fine and at.sample.at < end]
        if not fine:
            return 0
        end = floor(fine[0].sample.at, thinning.coarse) + THINNED_STEPS * thinning.coarse
        chosen = [at for at in fine if at.sample.at < end]
        self._drop(chosen)
        for at in thinned(chosen, thinning.coarse):
            self._kept[at.run, at.sample.at] = at
        return len(chosen)

    async def purge(self, before: datetime) -> int:
        return self._drop(at for at in self._sorted() if at.sample.at < before)

    async def forget(self, run: RunId) -> None:
        self._drop(at for at in self._sorted() if at.run == run)

    async def aclose(self) -> None:
        return

    def _sorted(self) -> list[Kept]:
        return sorted(self._kept.values(), key=lambda at: at.sample.at)

    def _drop(self, chosen: Iterable[Kept]) -> int:
        keys = [(at.run, at.sample.at) for at in chosen]
        for key in keys:
            del self._kept[key]
        return len(keys)


class MemoryLogs:
    """A complete Logs that is kept in memory."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._numbers: Counter[TaskId] = Counter()
        self._dropped: Counter[RunId] = Counter()

    async def append(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            self._numbers[line.task] += 1
            self._lines.append(replace(line, number=self._numbers[line.task]))
        for run in {line.run for line in lines}:
            self._bound(run)

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
        known = [line for line in self._lines if _is_of(line, of)]

        def read(place: int, count: int) -> Sequence[LogLine]:
            if after is not None:
                return [line for line in known if line.number > place][:count]
            return [line for line in reversed(known) if line.number < place][:count]

        last = known[-1].number if known else 0
        start = after if after is not None else before if before is not None else last + 1
        reading = Reading(
            forward=after is not None, start=start, level=level, words=words, limit=limit
        )
        page = fill_page(read, reading)
        return replace(page, dropped=sum(self._drops(of, known)))

    async def purge(self, before: datetime) -> int:
        last = {line.run: line.at for line in self._lines}
        old = [run for run, at in last.items() if at < before]
        for run in old:
            await self.forget(run)
        return len(old)

    async def forget(self, run: RunId) -> None:
        self._lines = [line for line in self._lines if line.run != run]
        self._dropped.pop(run, None)

    async def aclose(self) -> None:
        return

    def _bound(self, run: RunId) -> None:
        mine = [line for line in self._lines if line.run == run]
        sizes = [line.size for line in mine]
        if is_full(len(mine), sum(sizes)):
            gone = surplus(sizes, len(mine), sum(sizes))
            self._dropped[run] += gone
            self._lines = [line for line in self._lines if line not in mine[:gone]]

    def _drops(self, of: HistoryOf, known: Sequence[LogLine]) -> Iterator[int]:
        runs = {of.run} if isinstance(of, OfRun) else {line.run for line in known}
        return (self._dropped[run] for run in runs)


def _is_of(it: Kept | LogLine, of: HistoryOf) -> bool:
    return it.run == of.run if isinstance(of, OfRun) else it.task == of.task
