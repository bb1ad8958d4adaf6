"""Sizes, rates, durations and moments as people write and read them.

K, M, G, T and KB, MB, GB, TB are powers of 1,000; KiB, MiB, GiB, TiB are powers of 1,024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from transferhub.errors import InputError

_POWERS: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{letter: 1_000**power for power, letter in enumerate("kmgtp", start=1)},
    **{f"{letter}b": 1_000**power for power, letter in enumerate("kmgtp", start=1)},
    **{f"{letter}ib": 1_024**power for power, letter in enumerate("kmgtp", start=1)},
}
_SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PERIODS: Mapping[str, int] = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600}

_STEP = 1_000
_TENTHS_BELOW = 10
"""Seconds below which tenths are shown."""

_QUANTITY = re.compile(r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<unit>[A-Za-z]*)", re.ASCII)
_BITS = re.compile(r"[KkMmGgTt]b|[kmgt]?bits?", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhdw])+", re.ASCII)
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])", re.ASCII)


def parse_bytes(text: str, *, field: str) -> int:
    """A size in bytes.

    >>> parse_bytes("16MiB", field="part_size")
    16777216
    """
    number, unit = _quantity(text, field, "a size such as 500MB or 16MiB")
    if _BITS.fullmatch(unit) and unit not in ("kb", "mb", "gb", "tb"):
        raise InputError(field, f"{text!r} counts bits; write bytes, such as 50MB or 50MiB")
    power = _POWERS.get(unit.lower())
    if power is None:
        raise InputError(field, f"{unit!r} in {text!r} is no unit of size; write B, KB, MiB, GB …")
    return round(number * power)


def parse_bandwidth(text: str, *, field: str) -> int:
    """Bytes per second; at least 1.

    >>> parse_bandwidth("50MB/s", field="bandwidth")
    50000000
    """
    size, seconds = _per(text, field, "a bandwidth such as 50MB/s")
    rate = parse_bytes(size, field=field) // seconds
    if rate < 1:
        raise InputError(
            field, f"{text!r} is less than one byte a second; leave it out for no limit"
        )
    return rate


def parse_rate(text: str, *, field: str) -> float:
    """Events per second; more than 0.

    >>> parse_rate("30/min", field="requests")
    0.5
    """
    count, seconds = _per(text, field, "a rate such as 500/s")
    rate = _number(count, field) / seconds
    if rate <= 0:
        raise InputError(field, f"{text!r} allows nothing; leave it out for no limit")
    return rate


def parse_count(text: str, *, field: str) -> int:
    """A whole number.

    >>> parse_count("10k", field="max_delete")
    10000
    """
    number = _number(text, field)
    if number != int(number):
        raise InputError(field, f"{text!r} is not a whole number")
    return int(number)


def parse_duration(text: str, *, field: str) -> timedelta:
    """Seconds, minutes, hours, days, weeks, or several of them.

    >>> parse_duration("1h30m", field="lease")
    datetime.timedelta(seconds=5400)
    """
    compact = text.replace(" ", "").lower()
    if not _DURATION.fullmatch(compact):
        raise InputError(
            field, f"{text!r} is no duration; write one such as 90s, 30m, 12h, 7d or 1h30m"
        )
    try:
        return timedelta(
            seconds=sum(float(n) * _SECONDS[unit] for n, unit in _SPAN.findall(compact))
        )
    except OverflowError:
        raise InputError(field, f"{text!r} is too long") from None


def is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text.replace(" ", "").lower()) is not None


def parse_moment(text: str, *, field: str, now: datetime) -> datetime:
    """A time in the past ("7d" before `now`) or an ISO 8601 time; UTC where it names no zone.

    >>> parse_moment("2024-05-01", field="newer_than", now=datetime.now(UTC)).isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    try:
        if is_duration(text):
            return now - parse_duration(text, field=field)
        moment = datetime.fromisoformat(text.strip())
    except OverflowError:
        raise InputError(field, f"{text!r} lies before the year 1") from None
    except ValueError:
        raise InputError(
            field, f"{text!r} is no time; write an age such as 7d, or 2024-05-01T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_bytes(size: float) -> str:
    """A size with one digit after the point.

    >>> format_bytes(1_500_000_000)
    '1.5 GB'
    """
    if round(size) < _STEP:
        return f"{size:.0f} B"
    for unit in ("KB", "MB", "GB", "TB"):
        size /= _STEP
        if round(size, 1) < _STEP:  # what would be printed as 1000.0 belongs to the next unit
            return f"{size:.1f} {unit}"
    return f"{size / _STEP:,.1f} PB"


def format_count(count: int) -> str:
    """A number in groups of three digits.

    >>> format_count(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def format_seconds(seconds: float) -> str:
    """A duration in its two largest units.

    >>> format_seconds(7_512)
    '2h 05m'
    """
    if round(seconds, 1) < _TENTHS_BELOW:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def _quantity(text: str, field: str, example: str) -> tuple[float, str]:
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise InputError(field, f"{text!r} is not {example}")
    return float(found["number"].replace("_", "")), found["unit"]


def _per(text: str, field: str, example: str) -> tuple[str, int]:
    """What stands before "/s" and the seconds of the period; "/s" may be left out."""
    amount, slash, period = text.strip().partition("/")
    seconds = _PERIODS.get(period.strip().lower(), 0) if slash else 1
    if not amount or not seconds:
        raise InputError(field, f"{text!r} is not {example}")
    return amount, seconds


def _number(text: str, field: str) -> float:
    number, unit = _quantity(text, field, "a number such as 500 or 10k")
    power = _POWERS.get(unit.lower()) if len(unit) <= 1 and unit.lower() != "b" else None
    if power is None:
        raise InputError(field, f"{unit!r} in {text!r} is no unit of a count; write k, M or G")
    return number * power
