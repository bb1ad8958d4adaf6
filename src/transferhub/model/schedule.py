"""When a task runs: its timing and windows, and what happens where runs meet or were missed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults, suggest
from transferhub.model.units import parse_bandwidth, parse_duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""By `datetime.weekday()`."""

LEAST_INTERVAL = timedelta(seconds=10)
MOST_INTERVAL = timedelta(days=3_660)
MOST_JITTER = timedelta(days=1)
MOST_CAUGHT_UP = 100
MOST_WINDOWS = 20
_MOST_EXPRESSION = 200
_YEARS = range(1970, 2200)
_CRON_FIELDS = 5

_Value = TypeVar("_Value")
_Member = TypeVar("_Member", bound=StrEnum)


class Overlap(StrEnum):
    """What a run that is due does while the task's last one is under way.

    SKIP: it is left out. QUEUE: it waits for the end. CANCEL: it asks the old one to stop, then
    waits for its end.
    """

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL = "cancel"


class CatchUp(StrEnum):
    """Which of the runs are started that came due while nobody could start them."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


class WindowKind(StrEnum):
    """RUN: runs start in such windows only. BANDWIDTH: another bandwidth holds."""

    RUN = "run"
    BANDWIDTH = "bandwidth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """At `anchor` and each `interval` after it; a day is 24 hours, whatever clocks show."""

    interval: timedelta
    anchor: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five fields as Debian's cron reads them, by the wall clocks of an IANA time zone."""

    expression: str
    zone: str = "UTC"

    @property
    def at_fixed_times(self) -> bool:
        """Neither minute nor hour begins with a star: cron treats such a job apart where clocks
        are put forward or back."""
        return not any(field.startswith("*") for field in self.expression.split()[:2])

    def walls(self, after: datetime) -> Iterator[datetime]:
        """The naive local times after `after` that match, be they on a clock or not."""
        from cronsim import CronSim  # noqa: PLC0415 - most starts need no schedule

        return CronSim(self.expression, after)


Timing = Once | Every | Cron


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` to `end` by the clocks of `zone`, on the days it begins.

    An `end` that is not after `start` is the next day's.

    Attributes:
        days: by `datetime.weekday()`.
        bandwidth: bytes per second of a BANDWIDTH window; None lifts the limit.
    """

    kind: WindowKind
    start: time
    end: time
    days: frozenset[int] = frozenset(range(len(DAYS)))
    zone: str = "UTC"
    bandwidth: int | None = None

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "kind": self.kind.value,
            "days": [DAYS[day] for day in sorted(self.days)],
            "from": f"{self.start:%H:%M}",
            "to": f"{self.end:%H:%M}",
            "zone": self.zone,
        }
        if self.kind is WindowKind.BANDWIDTH:
            document["bandwidth"] = self.bandwidth
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a task runs.

    Attributes:
        jitter: each run starts up to so much later, and always before the next one.
        most_caught_up: how many missed runs CatchUp.ALL starts, the latest ones.
        windows: without one of kind RUN, runs may start at all times. Of BANDWIDTH windows that
            overlap the first one holds.
    """

    timing: Timing
    jitter: timedelta = timedelta()
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.ONE
    most_caught_up: int = 10
    windows: tuple[Window, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **_timing_to_json(self.timing),
            "jitter": _duration_to_json(self.jitter),
            "overlap": self.overlap.value,
            "catch_up": self.catch_up.value,
            "most_caught_up": self.most_caught_up,
            "windows": [window.to_json() for window in self.windows],
        }

    @classmethod
    def from_json(cls, document: object, *, field: str = "schedule") -> Self:
        """Reads what `to_json` gives, or what a person wrote.

        Raises:
            InputError: what is wrong; InputErrors, naming each field, where it is more than one
                thing.
        """
        fields = _Fields(document, field, _SCHEDULE_FIELDS)
        zone = fields.read("zone", _zone, "UTC")
        schedule = cls(
            timing=_timing(fields, zone),
            jitter=fields.read("jitter", _jitter, timedelta()),
            overlap=fields.read("overlap", _one_of(Overlap), Overlap.SKIP),
            catch_up=fields.read("catch_up", _one_of(CatchUp), CatchUp.ONE),
            most_caught_up=fields.read("most_caught_up", _most_caught_up, 10),
            windows=fields.read("windows", _windows(zone), ()),
        )
        if schedule.catch_up is CatchUp.ALL and schedule.overlap is not Overlap.QUEUE:
            fields.refuse("catch_up", "all needs overlap: queue, since one run follows another")
        raise_faults(fields.faults)
        return schedule


_TIMINGS = ("once", "every", "cron")
_SCHEDULE_FIELDS = (
    *_TIMINGS,
    *("anchor", "zone", "jitter", "overlap", "catch_up", "most_caught_up", "windows"),
)
_WINDOW_FIELDS = ("kind", "days", "from", "to", "zone", "bandwidth")


class _Fields:
    """The fields of one JSON object, and what is wrong with them."""

    def __init__(self, document: object, name: str, known: Collection[str]) -> None:
        if not isinstance(document, Mapping):
            raise InputError(name, f"{document!r} is no object with {_list(known)}")
        self._document: Mapping[Any, object] = document
        self._name = name
        self.faults: list[InputError] = []
        for key in map(str, document):
            if key not in known:
                self.refuse(key, f"there is no such field{suggest(key, known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._document

    def refuse(self, key: str, sentence: str) -> None:
        self.faults.append(InputError(f"{self._name}.{key}".rstrip("."), sentence))

    def read(self, key: str, parse: Callable[[object, str], _Value], default: _Value) -> _Value:
        """The value, or `default` where it is absent or refused."""
        if key not in self._document:
            return default
        try:
            return parse(self._document[key], f"{self._name}.{key}")
        except InputError as error:
            self.faults.append(error)
            return default

    def require(self, key: str, parse: Callable[[object, str], _Value], default: _Value) -> _Value:
        if key not in self._document:
            self.refuse(key, "is missing")
        return self.read(key, parse, default)


# Timing


def _timing(fields: _Fields, zone: str) -> Timing:
    given = [name for name in _TIMINGS if name in fields]
    if len(given) != 1:
        fields.refuse("", f"write exactly one of {_list(_TIMINGS)}")
    if "anchor" in fields and "every" not in fields:
        fields.refuse("anchor", "belongs to every; leave it out")
    anchor = fields.read("anchor", _moment_in(zone), EPOCH)
    once = Once(at=fields.read("once", _moment_in(zone), EPOCH))
    every = Every(interval=fields.read("every", _interval, LEAST_INTERVAL), anchor=anchor)
    cron = Cron(expression=fields.read("cron", _expression, "0 0 * * *"), zone=zone)
    return once if "once" in given else every if "every" in given else cron


def _timing_to_json(timing: Timing) -> dict[str, Any]:
    match timing:
        case Once():
            return {"once": timing.at.isoformat()}
        case Every():
            interval = _duration_to_json(timing.interval)
            return {"every": interval, "anchor": timing.anchor.isoformat()}
        case Cron():
            return {"cron": timing.expression, "zone": timing.zone}


def _moment_in(zone: str) -> Callable[[object, str], datetime]:
    def parse(value: object, field: str) -> datetime:
        try:
            moment = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
        except ValueError:
            raise InputError(
                field, f'{value!r} is no time; write one such as "2026-12-01T02:00:00+01:00"'
            ) from None
        if moment.year not in _YEARS:
            raise InputError(field, f"{value!r} is not between 1970 and {_YEARS[-1]}")
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)

    return parse


def _interval(value: object, field: str) -> timedelta:
    interval = _duration(value, field)
    if not LEAST_INTERVAL <= interval <= MOST_INTERVAL:
        raise InputError(field, f"{value!r} is not between 10 seconds and ten years")
    return interval


def _expression(value: object, field: str) -> str:
    from cronsim import CronSimError  # noqa: PLC0415 - most starts need no schedule

    text = " ".join(value.split()) if isinstance(value, str) else ""
    if len(text.split()) != _CRON_FIELDS or len(text) > _MOST_EXPRESSION:
        raise InputError(
            field,
            f"{value!r} has not the five fields minute, hour, day of month, month, day of week; "
            'write them such as "30 2 * * mon-fri"',
        )
    try:
        next(Cron(expression=text).walls(datetime(2000, 1, 1)))  # noqa: DTZ001 - a wall clock
    except CronSimError as error:
        part = str(error).removeprefix("Bad ")
        raise InputError(field, f"the {part} of {text!r} cannot be; correct it") from None
    except StopIteration:
        raise InputError(field, f"no day ever matches {text!r}; correct its day or month") from None
    return text


def _zone(value: object, field: str) -> str:
    name = value if isinstance(value, str) else ""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InputError(
            field,
            f"there is no time zone {value!r}{suggest(name, available_timezones())}"
            if name
            else f"{value!r} is no time zone; write a name such as Europe/Berlin",
        ) from None
    return name


# Policies


def _jitter(value: object, field: str) -> timedelta:
    jitter = _duration(value, field)
    if jitter > MOST_JITTER:
        raise InputError(field, f"{value!r} is more than a day; write less")
    return jitter


def _most_caught_up(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_CAUGHT_UP:
        raise InputError(field, f"{value!r} is no number from 1 to {MOST_CAUGHT_UP}")
    return value


def _one_of(kind: type[_Member]) -> Callable[[object, str], _Member]:
    def parse(value: object, field: str) -> _Member:
        known = [member.value for member in kind]
        if value not in known:
            raise InputError(field, f"{value!r} is none of {_list(known)}; write one of them")
        return kind(value)

    return parse


# Windows


def _windows(zone: str) -> Callable[[object, str], tuple[Window, ...]]:
    def parse(value: object, field: str) -> tuple[Window, ...]:
        if not isinstance(value, list) or len(value) > MOST_WINDOWS:
            raise InputError(field, f"write a list of at most {MOST_WINDOWS} windows")
        windows, faults = [], []
        for number, item in enumerate(value):
            try:
                windows.append(_window(item, f"{field}.{number}", zone))
            except InputError as error:
                faults.append(error)
        raise_faults(faults)
        return tuple(windows)

    return parse


def _window(document: object, name: str, zone: str) -> Window:
    fields = _Fields(document, name, _WINDOW_FIELDS)
    kind = fields.read("kind", _one_of(WindowKind), WindowKind.RUN)
    if kind is WindowKind.RUN and "bandwidth" in fields:
        fields.refuse("bandwidth", "belongs to windows of kind: bandwidth; set that kind")
    window = Window(
        kind=kind,
        start=fields.require("from", _wall_time, time()),
        end=fields.require("to", _wall_time, time()),
        days=fields.read("days", _weekdays, frozenset(range(len(DAYS)))),
        zone=fields.read("zone", _zone, zone),
        bandwidth=fields.require("bandwidth", _bandwidth, None)
        if kind is WindowKind.BANDWIDTH
        else None,
    )
    raise_faults(fields.faults)
    return window


def _wall_time(value: object, field: str) -> time:
    if value == "24:00":
        return time()
    try:
        return datetime.strptime(value if isinstance(value, str) else "", "%H:%M").time()  # noqa: DTZ007
    except ValueError:
        raise InputError(
            field, f'{value!r} is no time of day; write one in quotes, such as "22:30"'
        ) from None


def _weekdays(value: object, field: str) -> frozenset[int]:
    if not isinstance(value, list) or not value or any(day not in DAYS for day in value):
        raise InputError(field, f"{value!r} is no list of days; write some of {_list(DAYS)}")
    return frozenset(DAYS.index(day) for day in value)


def _bandwidth(value: object, field: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        return parse_bandwidth(value, field=field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(
            field, f'{value!r} is no bandwidth; write one such as "50MB/s", or null for no limit'
        )
    return value


# Shared


def _duration(value: object, field: str) -> timedelta:
    if not isinstance(value, str):
        raise InputError(field, f'{value!r} is no duration; write one such as "90s" or "1h30m"')
    return parse_duration(value, field=field)


def _duration_to_json(duration: timedelta) -> str:
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def _list(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
