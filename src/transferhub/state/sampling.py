"""How samples are merged, and how pages of logs are filled; the same in all adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from transferhub.model.history import (
    AS_TAKEN,
    MOST_LINES,
    MOST_LOG_BYTES,
    LogLevel,
    LogLine,
    LogPage,
    Point,
    Sample,
)
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId

THINNED_STEPS = 10
"""Coarse steps that one call of `thin` merges."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A sample as it is kept.

    Attributes:
        sample: the last one, with the means of the rates and the most workers of all.
        step: of its thinning.
        weight: how many it was made of.
    """

    run: RunId
    task: TaskId
    sample: Sample
    peak_bytes_per_second: float
    peak_objects_per_second: float
    step: timedelta = AS_TAKEN
    weight: int = 1

    @classmethod
    def of(cls, run: RunId, task: TaskId, sample: Sample) -> Kept:
        return cls(
            run=run,
            task=task,
            sample=sample,
            peak_bytes_per_second=sample.bytes_per_second,
            peak_objects_per_second=sample.objects_per_second,
        )


def merge(kept: Iterable[Kept], step: timedelta) -> Kept:
    """One for all of these, which are of one run; it may not be empty."""
    ordered = sorted(kept, key=lambda at: at.sample.at)
    last, weight = ordered[-1], sum(at.weight for at in ordered)

    def mean(rate: Callable[[Sample], float]) -> float:
        return sum(rate(at.sample) * at.weight for at in ordered) / weight

    return replace(
        last,
        sample=replace(
            last.sample,
            workers=max(at.sample.workers for at in ordered),
            bytes_per_second=mean(lambda sample: sample.bytes_per_second),
            objects_per_second=mean(lambda sample: sample.objects_per_second),
        ),
        peak_bytes_per_second=max(at.peak_bytes_per_second for at in ordered),
        peak_objects_per_second=max(at.peak_objects_per_second for at in ordered),
        step=step,
        weight=weight,
    )


def thinned(kept: Iterable[Kept], step: timedelta) -> list[Kept]:
    """One for each run and each `step`."""
    groups: dict[tuple[RunId, datetime], list[Kept]] = {}
    for at in kept:
        groups.setdefault((at.run, floor(at.sample.at, step)), []).append(at)
    return [merge(group, step) for group in groups.values()]


def floor(moment: datetime, step: timedelta) -> datetime:
    """The start of the step that the moment is in."""
    start = datetime.min.replace(tzinfo=moment.tzinfo)
    return moment - (moment - start) % step


def stretch(since: datetime, until: datetime, points: int) -> timedelta:
    """How long each point of a series is."""
    return ceil((until - since) / _MICROSECOND / points) * _MICROSECOND or _MICROSECOND


def to_point(at: datetime, kept: Iterable[Kept]) -> Point:
    group = [*kept]
    merged = merge(group, AS_TAKEN)
    return Point(
        at=at,
        last=max((one.sample for one in group), key=lambda sample: sample.at),
        workers=merged.sample.workers,
        bytes_per_second=merged.sample.bytes_per_second,
        peak_bytes_per_second=merged.peak_bytes_per_second,
        objects_per_second=merged.sample.objects_per_second,
        peak_objects_per_second=merged.peak_objects_per_second,
    )


_KEPT_SHARE = 0.9
"""Down to which a log that is full is cut, so that not every line cuts it again."""

MOST_SURPLUS = 2_000
"""Lines that an adapter needs to look at, at once, to see which go."""


def is_full(lines: int, size: int) -> bool:
    return lines > MOST_LINES or size > MOST_LOG_BYTES


def is_cut(lines: int, size: int) -> bool:
    """Whether enough of a log that was full is gone."""
    return lines <= MOST_LINES * _KEPT_SHARE and size <= MOST_LOG_BYTES * _KEPT_SHARE


def surplus(sizes: Iterable[int], lines: int, size: int) -> int:
    """How many lines of a full log must go.

    Args:
        sizes: of its lines, the oldest first.
        lines, size: of all of it.
    """
    gone = 0
    for one in sizes:
        if is_cut(lines, size):
            break
        gone, lines, size = gone + 1, lines - 1, size - one
    return gone


_READ_AT_ONCE = 1_000
_MOST_READS = 5
"""Some 5,000 lines take 60 ms; whoever searches further asks for the next page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a page of a log shows.

    Attributes:
        start: the number to begin beyond, in the direction of reading.
    """

    forward: bool
    start: int
    level: LogLevel
    words: str
    limit: int


def fill_page(read: Callable[[int, int], Sequence[LogLine]], reading: Reading) -> LogPage:
    """Reads lines until a page is full.

    Args:
        read: so many lines beyond a number, in the direction of reading.
    """
    filling = _filling(reading)
    wanted = next(filling)
    while True:
        try:
            wanted = filling.send(read(*wanted))
        except StopIteration as filled:
            page: LogPage = filled.value
            return page


async def fill_page_from(
    read: Callable[[int, int], Awaitable[Sequence[LogLine]]], reading: Reading
) -> LogPage:
    """As `fill_page`, of lines that have to be waited for."""
    filling = _filling(reading)
    wanted = next(filling)
    while True:
        lines = await read(*wanted)
        try:
            wanted = filling.send(lines)
        except StopIteration as filled:
            page: LogPage = filled.value
            return page


def _filling(reading: Reading) -> Generator[tuple[int, int], Sequence[LogLine], LogPage]:
    """Yields what to read next, takes the lines, and returns the page."""
    sought = reading.words.casefold().split()
    limit, start = reading.limit, reading.start
    found: list[LogLine] = []
    place, more = start, True
    for reads in range(_MOST_READS):
        count = _READ_AT_ONCE if reads else limit + 1  # which is all, where nothing is sought
        lines = yield place, count
        more = len(lines) == count
        for line in lines:
            if len(found) == limit:
                more = True
                break
            place = line.number
            if line.level.rank >= reading.level.rank and line.has(sought):
                found.append(line)
        if not more or len(found) == limit:
            break
    first, last = (start + 1, place) if reading.forward else (place, start - 1)
    ordered = found if reading.forward else found[::-1]
    return LogPage(lines=ordered, first=first, last=last, more=more)
