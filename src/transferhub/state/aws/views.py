"""Views: lists of what the hub's table holds, each in one order.

An item that is listed has an entry in each of its views, a small item of its own, and all of them
change in the transaction that changes the item. So lists are read with one query, in their order,
and, unlike indexes of DynamoDB, never behind the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, Action, Delete, Put, Rows, When
from transferhub.errors import StateError
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import HUB
from transferhub.state.cursors import Place

_MOST_BYTES = 400 * 1024
"""Of an item."""

_LONGEST_KEY = 2_048
"""Bytes of a `pk`."""

_PAGE = 1_000
"""Entries that are looked at with one request where not all of them are wanted."""

_OFFSET = 1 << 63
_NUMBERS = {"pk": "numbers", "sk": "numbers"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An item's place in a view.

    Attributes:
        view: the partition of all its entries.
        at: sorts them, as bytes.
        facts: what the view is filtered by.
    """

    view: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Item:
        return {"pk": self.view, "sk": self.at}

    @property
    def item(self) -> Item:
        return {**self.key, **self.facts}


class Listed(Protocol):
    """What the table holds as one item and its entries."""

    @property
    def title(self) -> str:
        """Names it for people."""

    @property
    def edition(self) -> int:
        """Counts every change of the item: what was read is changed only where it still is so."""

    @property
    def key(self) -> Item: ...

    @property
    def item(self) -> Item:
        """With its key and its edition."""

    def entries(self) -> Sequence[Entry]: ...


class HubItems:
    """The hub's table. Verbs raise StateError; reads see all that was written before.

    What people ask for may be longer than any key, or no text at all: it is not there.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = connection.table(HUB)

    async def find(self, key: Item) -> Item | None:
        if not _can_be_key(key["pk"]):
            return None
        with self._connection.failures():
            return await self._table.get(key)

    async def find_many(self, keys: Sequence[Item]) -> list[Item]:
        """Those that there are, in no order. No key may be twice among them."""
        with self._connection.failures():
            return await self._table.get_many([key for key in keys if _can_be_key(key["pk"])])

    async def next_number(self) -> int:
        """A greater one than all before; some are never given."""
        with self._connection.failures():
            item = await self._table.update(_NUMBERS, When("ADD given :one", {":one": 1}))
        return int(item["given"]) if item else 0

    async def change(self, old: Listed | None, new: Listed | None, *more: Action) -> bool:
        """Replaces an item and its entries, all or nothing, together with `more`.

        Args:
            old: as it was read; None: there is none yet.
            new: of the next edition; None: it is deleted.

        Returns:
            False where the item is not `old` any more: nothing was written then.

        Raises:
            StateError: also where the item is larger than DynamoDB takes it.
        """
        if new is not None:
            _check_size(new)
        actions = [*_changes(old, new), *more]
        with self._connection.failures():
            match actions:
                case [Put(item, when)]:
                    return await self._table.put(item, when)
                case _:
                    return await self._table.transact(actions)

    async def delete(self, keys: Sequence[Item]) -> None:
        """Deletes items that have no entries, not together."""
        with self._connection.failures():
            await self._table.write(deletes=keys)

    async def page(
        self,
        view: str,
        *,
        low: str = "",
        high: str = "",
        descending: bool = False,
        limit: int = 0,
        after: Item | None = None,
        keep: When | None = None,
    ) -> Rows:
        """Entries of a view.

        Args:
            low: the first place of them; "" for all.
            high: the last one; "" for all.
            limit: of entries looked at, also of those that `keep` leaves out.
        """
        if (high and low > high) or not _can_be_key(view):
            return Rows([], None)
        with self._connection.failures():
            return await self._table.query(
                _between(view, low, high),
                descending=descending,
                limit=limit,
                after=after,
                keep=keep,
            )

    async def view(
        self,
        view: str,
        *,
        low: str = "",
        high: str = "",
        descending: bool = False,
        limit: int = 0,
        keep: When | None = None,
    ) -> list[Item]:
        """The first `limit` entries of a view (0: all) that `keep` keeps."""
        found: list[Item] = []
        after: Item | None = None
        while True:
            rows = await self.page(
                view,
                low=low,
                high=high,
                descending=descending,
                limit=_PAGE if limit and keep else limit and limit - len(found),
                after=after,
                keep=keep,
            )
            found += rows.items
            after = rows.after
            if after is None or (limit and len(found) >= limit):
                return found[:limit] if limit else found

    async def aclose(self) -> None:
        await self._connection.aclose()


def moment_text(micros: int) -> str:
    """Sorts as `moment_value` does."""
    return f"{micros + _OFFSET:016x}"


def place_text(place: Place) -> str:
    """Sorts by the moment that is the place's value, then by its number."""
    return f"{moment_text(int(place.value))}{place.number + _OFFSET:016x}"


def text_place(text: str) -> Place:
    return Place(int(text[:16], 16) - _OFFSET, int(text[16:], 16) - _OFFSET)


def neighbour(text: str, step: int) -> str:
    """The place before (-1) or after (1) one that `place_text` gave."""
    return f"{int(text, 16) + step:032x}"


def _can_be_key(text: str) -> bool:
    try:
        return len(text.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False


def _between(view: str, low: str, high: str) -> When:
    match low, high:
        case "", "":
            return When("pk = :pk", {":pk": view})
        case _, "":
            return When("pk = :pk AND sk >= :low", {":pk": view, ":low": low})
        case "", _:
            return When("pk = :pk AND sk <= :high", {":pk": view, ":high": high})
    return When("pk = :pk AND sk BETWEEN :low AND :high", {":pk": view, ":low": low, ":high": high})


def _changes(old: Listed | None, new: Listed | None) -> list[Action]:
    as_read = ABSENT if old is None else When("edition = :read", {":read": old.edition})
    before = {} if old is None else {(at.view, at.at): at for at in old.entries()}
    now = {} if new is None else {(at.view, at.at): at for at in new.entries()}
    actions: list[Action] = []
    if new is not None:
        actions.append(Put(new.item, as_read))
    elif old is not None:
        actions.append(Delete(old.key, as_read))
    actions += [Delete(entry.key) for place, entry in before.items() if place not in now]
    actions += [Put(entry.item) for place, entry in now.items() if before.get(place) != entry]
    return actions


def _check_size(listed: Listed) -> None:
    size = sum(len(name) + len(str(value).encode()) for name, value in listed.item.items())
    if size > _MOST_BYTES:
        raise StateError(
            f"{listed.title} takes {size // 1024:,} KB, and DynamoDB holds no item of more than"
            f" {_MOST_BYTES // 1024} KB: make its texts and lists shorter.",
            code="state_too_large",
        )
