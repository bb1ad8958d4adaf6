"""`Shelf`: items by name in one partition of the hub's table."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from transferhub.aws.attributes import Item
from transferhub.aws.table import Table, When
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import HUB
from transferhub.state.values import whole_text

_LONGEST_NAME = 900
"""Bytes. A sort key holds 1,024, in an index also what a name is sorted behind."""

_DIGEST = 16


class Shelf:
    """Items of one kind, in the byte order of their names. Verbs raise StateError.

    One partition takes 1,000 write units and gives 3,000 read units a second: a hub's people and
    processes are far from it.
    """

    def __init__(self, connection: Connection, kind: str) -> None:
        self._connection = connection
        self._table = connection.table(HUB)
        self._partition = f"{kind}#"

    def key(self, name: str) -> Item:
        return {"pk": self._partition, "sk": name_key(name)}

    async def get(self, name: str) -> Item | None:
        with self._connection.failures():
            return await self._table.get(self.key(name))

    async def put(self, name: str, values: Item, when: When | None = None) -> bool:
        """False where the condition does not hold."""
        with self._connection.failures():
            return await self._table.put({**self.key(name), **values}, when)

    async def update(self, name: str, change: When, when: When | None = None) -> Item | None:
        """The item as it is now; None where the condition does not hold."""
        with self._connection.failures():
            return await self._table.update(self.key(name), change, when)

    async def delete(self, name: str, when: When | None = None) -> bool:
        """False where the condition does not hold."""
        with self._connection.failures():
            return await self._table.delete(self.key(name), when)

    async def items(
        self, *, after: str = "", limit: int = 0, keep: When | None = None
    ) -> Sequence[Item]:
        """By name, from after the name `after`; 0: all of them."""
        which = When("pk = :pk AND sk > :sk", {":pk": self._partition, ":sk": name_key(after)})
        with self._connection.failures():
            return await first_items(self._table, which, limit=limit, keep=keep)


async def first_items(
    table: Table,
    which: When,
    *,
    limit: int = 0,
    index: str = "",
    descending: bool = False,
    keep: When | None = None,
) -> list[Item]:
    """The first items of a partition that a filter leaves; 0: all of them. Raises AwsError."""
    found: list[Item] = []
    at_once = 0 if keep else limit
    async for page in table.pages(
        which, index=index, descending=descending, limit=at_once, keep=keep
    ):
        found += page
        if limit and len(found) >= limit:
            return found[:limit]
    return found


def name_key(name: str) -> str:
    """A part of a key for any name: in the byte order of names, and never empty. What is too long
    for a key is told apart by a digest."""
    text = f"#{whole_text(name)}"
    encoded = text.encode()
    if len(encoded) <= _LONGEST_NAME:
        return text
    digest = blake2b(encoded, digest_size=_DIGEST).hexdigest()
    return encoded[: _LONGEST_NAME - len(digest)].decode(errors="ignore") + digest


def changes(sets: Item, adds: Item | None = None, removes: Sequence[str] = ()) -> When:
    """An update: what attributes are set to, what is added to numbers, and which ones go. A
    condition may stand beside it that names them #name, and what they become :to_name."""
    given = {**sets, **(adds or {})}
    parts = {
        "SET": [f"#{name} = :to_{name}" for name in sets],
        "ADD": [f"#{name} :to_{name}" for name in adds or ()],
        "REMOVE": [f"#{name}" for name in removes],
    }
    return When(
        " ".join(f"{verb} {', '.join(of)}" for verb, of in parts.items() if of),
        {f":to_{name}": value for name, value in given.items()},
        {f"#{name}": name for name in (*given, *removes)},
    )


def equal(values: Item) -> When:
    """All of these attributes are what they are here."""
    return When(
        " AND ".join(f"#{name} = :{name}" for name in values),
        {f":{name}": value for name, value in values.items()},
        {f"#{name}": name for name in values},
    )


def both(first: When, second: When) -> When:
    """Both hold."""
    return When(
        f"{first.text} AND {second.text}",
        {**first.values, **second.values},
        {**first.names, **second.names},
    )


def key_of(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}
