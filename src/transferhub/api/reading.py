"""Reads what clients give, and writes what they get: the small values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from ariadne import ScalarType
from pydantic.alias_generators import to_camel, to_snake

from transferhub.errors import InputError
from transferhub.model.faults import InputErrors, flatten

Arguments = Mapping[str, Any]
Json = dict[str, Any]

Item = TypeVar("Item")
Member = TypeVar("Member", bound=StrEnum)

MOST = 1_000
"""Most things of one page."""

_PAGE = 50
_LAST_NUMBER = 1 << 63


def given(arguments: Arguments, name: str, default: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Null counts as left out."""
    value = arguments.get(name)
    return default if value is None else value


def page_size(
    arguments: Arguments, name: str = "first", *, default: int = _PAGE, most: int = MOST
) -> int:
    """How many things are asked for. A null is refused, since it would cost nothing."""
    size = arguments.get(name, default)
    if size is None or not 1 <= size <= most:
        raise InputError(name, f"must be 1 to {most:,}")
    return int(size)


def whole(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Counts come as Float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def member_of(kind: type[Member], value: str) -> Member:
    """The value of an enum of the schema."""
    return kind(value.lower())


def members_of(kind: type[Member], values: Sequence[str] | None) -> tuple[Member, ...]:
    return tuple(dict.fromkeys(member_of(kind, value) for value in values or ()))


def as_fields(arguments: Arguments) -> Json:
    """What was given, by the names that fields have in the models. Null counts as left out."""
    return {to_snake(name): value for name, value in arguments.items() if value is not None}


def told(value: StrEnum) -> str:
    """A value as an enum of the schema spells it."""
    return value.value.upper()


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parsed_moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).astimezone(UTC)


def page(found: Sequence[Item], size: int, told: Callable[[Item], Json], cursor: str) -> Json:
    """A page of a list that was asked for one more than `size`.

    Args:
        cursor: the field of the last thing that tells where the next page begins.
    """
    items = [told(item) for item in found[:size]]
    return {"items": items, "cursor": str(items[-1][cursor]) if len(found) > size else None}


def number_cursor(arguments: Arguments, name: str = "after") -> int | None:
    """The number at which a page begins; None where no cursor is given.

    Raises:
        InputError: it is no cursor of a list that goes by numbers.
    """
    cursor = given(arguments, name, "")
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and int(cursor[:20]) < _LAST_NUMBER):
        raise InputError(name, "is no cursor of this list: use the one of a page of it")
    return int(cursor)


def camel(field: str) -> str:
    """The field as the schema spells it, below others.

    >>> camel("schedule.windows.0.catch_up")
    'schedule.windows.0.catchUp'
    """
    return ".".join(to_camel(part) if "_" in part else part for part in field.split("."))


def renamed(error: InputError, name: Callable[[str], str]) -> InputError:
    """The same faults, of fields that are named otherwise."""
    faults = [
        InputError(
            name(fault.field), fault.message.removeprefix(f"{fault.field}: "), code=fault.code
        )
        for fault in flatten([error])
    ]
    return faults[0] if len(faults) == 1 else InputErrors(faults)


def refuse_unwritable(arguments: Arguments) -> None:
    """Refuses text that no database can hold.

    Raises:
        InputError: names the field.
    """
    for path, text in _texts(arguments, ()):
        if "\0" in text:
            raise InputError(path, "holds a zero byte")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(path, "is no Unicode text")


def _texts(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        below_input = path[1:] if path[:1] == ("input",) else path
        yield ".".join(below_input or path), value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, str(number)))


def _checked_moment(value: object) -> str:
    read = datetime.fromisoformat(value if isinstance(value, str) else "")
    if read.tzinfo is None:
        raise ValueError("it has no offset")
    try:
        return read.astimezone(UTC).isoformat()
    except OverflowError:
        raise ValueError("it is out of range") from None


SCALARS = (
    ScalarType("AWSDateTime", value_parser=_checked_moment),
    ScalarType("AWSJSON", serializer=json.dumps),
)
