"""Cursors of pages: opaque to whoever holds them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from transferhub.errors import InputError
from transferhub.model.keys import can_be_key
from transferhub.model.pages import TaskSort
from transferhub.state.values import to_micros

RUNS = "runs"
"""The order of all lists of runs, newest first."""

EXPIRED_RUNS = "expired runs"
"""Oldest first."""

NEVER = (1 << 63) - 1
"""Stands for no moment at all, after all moments."""

_TRANSFERS = "transfers"
_MOST = 1 << 63


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in a sorted list: its value there, then its number."""

    value: int | str
    number: int


def moment_value(moment: datetime | None) -> int:
    """Microseconds since 1970."""
    return NEVER if moment is None else to_micros(moment)


def order_of_tasks(sort: TaskSort, *, descending: bool) -> str:
    return f"tasks {sort} {'down' if descending else 'up'}"


def write_cursor(order: str, place: Place) -> str:
    return _write([order, place.value, place.number])


def write_key_cursor(key: str) -> str:
    """Of a list of transfers, which is in the order of their keys."""
    return _write([_TRANSFERS, key])


def read_key_cursor(cursor: str) -> str | None:
    """The key after which the page begins; None for the first page.

    Raises:
        InputError: no cursor of a list of transfers.
    """
    if not cursor:
        return None
    try:
        written, key = json.loads(urlsafe_b64decode(cursor.encode()))
        fits = written == _TRANSFERS and isinstance(key, str) and can_be_key(key)
    except (ValueError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise _refused()
    return str(key)


def read_cursor(order: str, cursor: str, kind: type[int | str]) -> Place | None:
    """The place after which the page begins; None for the first page.

    Args:
        order: what tells the cursors of this list from those of others.
        kind: of `Place.value`.

    Raises:
        InputError: no cursor of this list.
    """
    if not cursor:
        return None
    try:
        written, value, number = json.loads(urlsafe_b64decode(cursor.encode()))
        # bool is an int, and half a surrogate pair is a str: no database takes either.
        fits = type(value) is kind and type(number) is int and abs(number) < _MOST
        if isinstance(value, str):
            fits = fits and "\x00" not in value.encode().decode()
        elif fits:
            fits = abs(value) < _MOST
    except (ValueError, TypeError, RecursionError):
        fits = False
    if not fits or written != order:
        raise _refused()
    return Place(value, number)


def _write(values: Sequence[object]) -> str:
    text = json.dumps(values, separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode()


def _refused() -> InputError:
    return InputError("after", "is no cursor of this list: use the one of a page of it")
