"""What a task may use, however many machines carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults, suggest
from transferhub.model.units import parse_bandwidth, parse_rate

_Number = TypeVar("_Number", int, float)

_MOST_CONCURRENCY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """None is no limit of the task: those of each machine hold in any case.

    Attributes:
        bandwidth: bytes per second, of all machines together.
        requests: per second, of all machines together.
        concurrency: transfers under way at once on each machine.
    """

    bandwidth: int | None = None
    requests: float | None = None
    concurrency: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For `from_json`; what is None is left out."""
        values = {name: getattr(self, name) for name in _READERS}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, document: object, *, field: str = "limits") -> Self:
        """Reads numbers, and text such as "50MB/s"; None and "" count as left out.

        Raises:
            InputError: what is wrong; InputErrors, naming each field, where it is more than one.
        """
        if not isinstance(document, Mapping):
            raise InputError(field, "is no object of limits such as bandwidth: 50MB/s")
        faults: list[InputError] = []
        values: dict[str, Any] = {}
        for name, value in document.items():
            try:
                values[name] = _read(name, value, f"{field}.{name}")
            except InputError as fault:
                faults.append(fault)
        raise_faults(faults)
        return cls(**values)


def _read(name: object, value: object, field: str) -> object:
    reader = _READERS.get(str(name))
    if reader is None:
        hint = suggest(str(name), _READERS) or f"; there are {', '.join(_READERS)}"
        raise InputError(field[:80], f"there is no such limit{hint}")
    return None if value is None or value == "" else reader(value, field)


def _bandwidth(value: object, field: str) -> int:
    if isinstance(value, str):
        if value.strip().isdecimal():  # bytes, which nobody means
            raise InputError(field, f"{value!r} has no unit; write it such as {value.strip()}MB/s")
        return parse_bandwidth(value, field=field)
    return _above_zero(value, field, int, "bytes per second, such as 50MB/s")


def _requests(value: object, field: str) -> float:
    if isinstance(value, str):
        return parse_rate(value, field=field)
    return _above_zero(value, field, float, "requests per second, such as 500/s")


def _concurrency(value: object, field: str) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    count = _above_zero(number, field, int, "a count of transfers")
    if count > _MOST_CONCURRENCY:
        raise InputError(field, f"must be at most {_MOST_CONCURRENCY:,}")
    return count


def _above_zero(value: object, field: str, kind: Callable[[Any], _Number], what: str) -> _Number:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf") or kind(value) != value:  # type: ignore[operator]
        raise InputError(field, f"{str(value)[:40]!r} is none; write {what}")
    return kind(value)


_READERS: Mapping[str, Callable[[object, str], object]] = {
    "bandwidth": _bandwidth,
    "requests": _requests,
    "concurrency": _concurrency,
}
