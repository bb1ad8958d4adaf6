"""When a schedule's runs come: pure arithmetic over `model.schedule`.

Every run has one moment, which jitter and windows are part of; it is the same whoever asks, and
from wherever one counts. Where clocks change, cron expressions behave as Debian's cron documents:
a job at fixed times that the change skips runs at once after it, and one that the change repeats
runs once; a job with a star for its minute or hour follows the clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from hashlib import sha256
from itertools import chain, islice, takewhile
from typing import assert_never
from zoneinfo import ZoneInfo

from transferhub.model.run import Run, Task, Trigger
from transferhub.model.schedule import Cron, Every, Once, Schedule, Timing, Window, WindowKind

_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DAY_SECONDS = 86_400
_FORTNIGHT = 15
"""Days in which every window comes at least once, even where a change of clocks skips one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowNow:
    """What a task's windows allow at a moment.

    Attributes:
        bandwidth: the window whose bandwidth holds instead of the task's own.
        changes_at: when one of the others changes next; None where that is not within two weeks.
    """

    may_run: bool
    bandwidth: Window | None
    changes_at: datetime | None

    def limit(self, usual: int | None) -> int | None:
        """Bytes per second, where the task's own limit is `usual`; None is no limit."""
        return self.bandwidth.bandwidth if self.bandwidth else usual


def next_runs(schedule: Schedule, after: datetime, count: int, *, key: str = "") -> list[datetime]:
    """The first `count` runs after `after`, in UTC, strictly increasing.

    Args:
        key: the task's id; jitter differs from task to task.
    """
    return list(islice(_runs(schedule, after, key), count))


def due(
    schedule: Schedule, since: datetime, now: datetime, *, key: str = "", limit: int = 1
) -> list[datetime]:
    """The latest `limit` runs from `since` to `now`, both included, oldest first.

    A long outage costs little: it looks back from `now` until it has found enough.
    """
    back = timedelta(hours=1)
    while True:
        start = max(since - _TICK, now - back)
        until_now = takewhile(lambda moment: moment <= now, _runs(schedule, start, key))
        found = deque(until_now, maxlen=limit)
        if len(found) == limit or start < since:
            return list(found)
        back *= 4


def may_work(run: Run, task: Task, now: datetime) -> bool:
    """Whether the task's windows let the run go on. Whoever starts one by hand means now."""
    if not task.schedule or run.trigger is Trigger.PERSON:
        return True
    return window_now(Schedule.from_json(task.schedule), now).may_run


def window_now(schedule: Schedule, now: datetime) -> WindowNow:
    may_run, bandwidth = _allowed(schedule, now)
    around = range(-1, _FORTNIGHT)
    edges = chain.from_iterable(chain(*(_spans(w, now, around) for w in schedule.windows)))
    changes = (
        edge
        for edge in sorted({edge for edge in edges if edge > now})
        if _allowed(schedule, edge) != (may_run, bandwidth)
    )
    return WindowNow(may_run=may_run, bandwidth=bandwidth, changes_at=next(changes, None))


# Runs: occurrences of the timing, moved by jitter, then to where a window opens


def _runs(schedule: Schedule, after: datetime, key: str) -> Iterator[datetime]:
    """A run that comes while windows are closed waits for the next one; several become one."""
    windows = _windows(schedule, WindowKind.RUN)
    start = after if _may_run(windows, after) else _closed_since(windows, after) - _TICK
    last = after
    while True:
        for moment in _jittered(schedule, start, key):
            opened = moment if _may_run(windows, moment) else _opening(windows, moment)
            if opened is None:
                return
            if opened > last:
                last = opened
                yield opened
            if opened > moment:
                start = opened
                break
        else:
            return


def _jittered(schedule: Schedule, after: datetime, key: str) -> Iterator[datetime]:
    occurrences = _occurrences(schedule.timing, after - schedule.jitter)
    if not schedule.jitter:
        yield from occurrences
        return
    moment = next(occurrences, None)
    while moment is not None:
        following = next(occurrences, None)
        room = min(schedule.jitter, following - moment) if following else schedule.jitter
        moved = moment + _share(room, key, moment)
        if moved > after:
            yield moved
        moment = following


def _share(room: timedelta, key: str, moment: datetime) -> timedelta:
    """A part of `room` in whole seconds, less than all of it, spread evenly over keys and
    moments."""
    digest = sha256(f"{key}\0{moment.astimezone(UTC).isoformat()}".encode()).digest()
    part = int.from_bytes(digest[:8]) / 2**64
    return timedelta(seconds=int(part * room.total_seconds()))


# Occurrences


def _occurrences(timing: Timing, after: datetime) -> Iterator[datetime]:
    match timing:
        case Once():
            return iter([timing.at] if timing.at > after else [])
        case Every():
            return _every(timing, after)
        case Cron():
            zone = ZoneInfo(timing.zone)
            return (_fixed if timing.at_fixed_times else _flowing)(timing, zone, after)
        case _:
            assert_never(timing)


def _every(timing: Every, after: datetime) -> Iterator[datetime]:
    number = max(0, (after - timing.anchor) // timing.interval + 1)
    while True:
        yield timing.anchor + number * timing.interval
        number += 1


def _fixed(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for wall in cron.walls(_wall(after, zone)):
        moment = _instant(wall, zone)
        if moment > last:  # several may have been skipped together, and `after` be a repeated hour
            last = moment
            yield moment


def _flowing(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Each time that the clock shows, change of clocks by change of clocks."""
    first = after.replace(microsecond=0) + _SECOND
    while True:
        start = _wall(first, zone)
        offset = start - _wall(first, UTC)
        for wall in cron.walls(start - _SECOND):
            moment = wall.replace(tzinfo=UTC) - offset
            change = _change(zone, first, moment)
            if change is not None:
                first = change
                break
            first = moment
            yield moment
        else:
            return


# Clocks


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock shows this first; where it never does, when it was put over it."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(moment, zone) == wall:
        return moment
    return _change(zone, moment - 2 * _DAY, moment) or moment


def _change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment after `start`, and not after `end`, from which the clock is another."""
    low, last = (int(moment.timestamp()) for moment in (start, end))
    before = _offset(zone, low)
    for high in chain(range(low + _DAY_SECONDS, last, _DAY_SECONDS), [last]):
        if _offset(zone, high) != before:
            changed = bisect_left(
                range(high), True, low, high, key=lambda second: _offset(zone, second) != before
            )
            return datetime.fromtimestamp(changed, UTC)
        low = high
    return None


def _offset(zone: ZoneInfo, second: int) -> timedelta | None:
    return datetime.fromtimestamp(second, zone).utcoffset()


# Windows


def _windows(schedule: Schedule, kind: WindowKind) -> list[Window]:
    return [window for window in schedule.windows if window.kind is kind]


def _allowed(schedule: Schedule, moment: datetime) -> tuple[bool, Window | None]:
    wider = (w for w in _windows(schedule, WindowKind.BANDWIDTH) if _is_open(w, moment))
    return _may_run(_windows(schedule, WindowKind.RUN), moment), next(wider, None)


def _may_run(windows: Sequence[Window], moment: datetime) -> bool:
    return not windows or any(_is_open(window, moment) for window in windows)


def _is_open(window: Window, moment: datetime) -> bool:
    return any(start <= moment < end for start, end in _spans(window, moment, range(-1, 1)))


def _opening(windows: Sequence[Window], moment: datetime) -> datetime | None:
    """When the first of them opens after `moment`."""
    openings = (
        next((start for start, _ in _spans(w, moment, range(_FORTNIGHT)) if start > moment), None)
        for w in windows
    )
    return min((opening for opening in openings if opening), default=None)


def _closed_since(windows: Sequence[Window], moment: datetime) -> datetime:
    """When the last of them closed, where none is open at `moment`."""
    days = range(0, -_FORTNIGHT, -1)
    closings = (
        next((end for _, end in _spans(w, moment, days) if end <= moment), None) for w in windows
    )
    return max((closing for closing in closings if closing), default=moment)


def _spans(
    window: Window, moment: datetime, days: Iterable[int]
) -> Iterator[tuple[datetime, datetime]]:
    """From when to when the window is open, for the days counted from that of `moment`."""
    zone = ZoneInfo(window.zone)
    today = moment.astimezone(zone).date()
    for day in (today + number * _DAY for number in days):
        if day.weekday() in window.days:
            start, end = _span(window, zone, day)
            if start < end:  # not where clocks were put over it
                yield start, end


def _span(window: Window, zone: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    last = day if window.end > window.start else day + _DAY
    start, end = datetime.combine(day, window.start), datetime.combine(last, window.end)
    return _instant(start, zone), _instant(end, zone)
