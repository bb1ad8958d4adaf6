"""One side of a compare: a verified walk over a range of a store's keys."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import lt
from types import TracebackType
from typing import Protocol, Self

from transferhub.errors import UnsupportedError
from transferhub.model.objects import ListPage, ObjectEntry
from transferhub.stores.base import ObjectStore

NO_KEY = ""
"""Stands for "no key follows" where a key could stand; no object has an empty key."""


class OrderError(Exception):
    """A store's listing was seen out of byte order. The finder's own; never leaves it."""

    def __init__(self, store: ObjectStore, last: str, key: str) -> None:
        super().__init__(f"{store.location} lists {key!r} after {last!r}")
        self.store = store


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where one side's keys are: those of `store` that start with `base`.

    Keys are compared *relative*, which means without `base`.
    """

    store: ObjectStore
    base: str

    async def page(self, prefix: str, after: str, token: str) -> ListPage:
        return await self.store.list(
            self.base + prefix, start_after=self.base + after if after else "", token=token
        )

    async def any_after(self, prefix: str, after: str) -> str:
        """The first relative key that the store lists after `after`, NO_KEY where there is none.
        A store may be wrong in that, or ignore `after`: it is good for a guess."""
        page = await self.store.list(
            self.base + prefix, start_after=self.base + after if after else "", limit=1
        )
        return next((entry.key[len(self.base) :] for entry in page.entries), NO_KEY)

    def refuse_strangers(self, prefix: str, entries: Sequence[ObjectEntry]) -> None:
        """Raises UnsupportedError where a listing holds keys that were not asked for."""
        start = self.base + prefix
        if not start:
            return
        stranger = next((entry.key for entry in entries if not entry.key.startswith(start)), None)
        if stranger is not None:
            raise UnsupportedError(
                f"{self.store.location} lists {stranger!r} although only keys that start with"
                f" {start!r} were asked for, so it cannot be compared; name the keys with"
                " --manifest instead"
            )

    async def pages(self, prefix: str) -> AsyncGenerator[list[ObjectEntry]]:
        """All entries in the store's own order. The page that follows is fetched meanwhile."""
        token = ""
        fetch = asyncio.create_task(self.page(prefix, "", token))
        try:
            while True:
                page = await fetch
                self.refuse_strangers(prefix, page.entries)
                if page.next_token:
                    _must_advance(self.store, token, page.next_token)
                    token = page.next_token
                    fetch = asyncio.create_task(self.page(prefix, "", token))
                yield page.entries
                if not page.next_token:
                    return
        finally:
            fetch.cancel()
            await asyncio.gather(fetch, return_exceptions=True)


class Listing(Protocol):
    """The keys of a range, relative and strictly ascending, page by page.

    Attributes:
        keys, entries: what was fetched and not taken yet, key by key.
        ended: nothing follows `keys`.
        first: the first key after the range's start, NO_KEY if there is none, None while not known.
        beyond: the first key after the range's end, likewise.
    """

    keys: list[str]
    entries: list[ObjectEntry]
    ended: bool
    first: str | None
    beyond: str | None

    async def fill(self) -> None:
        """Fetches until there are keys or the end is known."""

    def shrink(self, until: str) -> None:
        """Lowers the end of the range."""

    def take(self, horizon: str | None) -> tuple[list[str], list[ObjectEntry]]:
        """Removes and returns what lies at or before `horizon` (None: all)."""


class Window:
    """The part of a listing that was fetched, cut to a range. A base for listings."""

    def __init__(self, after: str, until: str | None) -> None:
        self.after = after
        self.until = until
        self.keys: list[str] = []
        self.entries: list[ObjectEntry] = []
        self.ended = False
        self.first: str | None = None
        self.beyond: str | None = None

    def extend(self, keys: list[str], entries: list[ObjectEntry]) -> None:
        """Adds ascending keys, leaving out those at or before the start and after the end."""
        if keys and keys[0] <= self.after:
            cut = bisect_right(keys, self.after)
            keys, entries = keys[cut:], entries[cut:]
        if not keys:
            return
        if self.first is None:
            self.first = keys[0]
        self.keys, self.entries = self.keys + keys, self.entries + entries
        self._cut()

    def finish(self) -> None:
        """Nothing follows what was added."""
        self.ended = True
        if self.first is None:
            self.first = NO_KEY
        if self.beyond is None:
            self.beyond = NO_KEY

    def shrink(self, until: str) -> None:
        self.until = until
        self._cut()

    def take(self, horizon: str | None) -> tuple[list[str], list[ObjectEntry]]:
        if horizon is None or not self.keys or self.keys[-1] <= horizon:
            taken = self.keys, self.entries
            self.keys, self.entries = [], []
            return taken
        cut = bisect_right(self.keys, horizon)
        taken = self.keys[:cut], self.entries[:cut]
        self.keys, self.entries = self.keys[cut:], self.entries[cut:]
        return taken

    def _cut(self) -> None:
        if self.until is None or not self.keys or self.keys[-1] <= self.until:
            return
        cut = bisect_right(self.keys, self.until)
        self.beyond = self.keys[cut]
        self.keys, self.entries = self.keys[:cut], self.entries[:cut]
        self.ended = True


class StoreListing(Window):
    """A range of a store, listed in the store's own order, which is verified key by key.

    The page that follows is fetched while the present one is compared. A server may ignore the
    start of the range, or return keys at or before it: those are left out.
    """

    def __init__(self, side: Side, prefix: str, after: str, until: str | None) -> None:
        super().__init__(after, until)
        self._side = side
        self._prefix = prefix
        self._last = ""
        self._token = ""
        self._fetch: asyncio.Task[ListPage] | None = asyncio.create_task(self._page())

    @property
    def side(self) -> Side:
        return self._side

    @property
    def reached(self) -> str:
        """The last key that was fetched."""
        return self._last

    async def fill(self) -> None:
        while not self.keys and not self.ended:
            assert self._fetch is not None
            page = await self._fetch
            self._fetch = None
            self._accept(page)

    def _accept(self, page: ListPage) -> None:
        start = len(self._side.base)
        entries = page.entries
        # Of keys in order, all start with what the first and the last start with.
        self._side.refuse_strangers(self._prefix, (*entries[:1], *entries[-1:]))
        keys = [entry.key[start:] for entry in entries] if start else [e.key for e in entries]
        if keys and keys[0] == self._last:  # some servers repeat the key that a page starts after
            keys, entries = keys[1:], entries[1:]
        self._verify(keys)
        self.extend(keys, entries)
        if self.ended:
            return
        if page.next_token:
            _must_advance(self._side.store, self._token, page.next_token)
            self._token = page.next_token
            self._fetch = asyncio.create_task(self._page())
        else:
            self.finish()

    def _verify(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        if keys[0] < self._last:
            raise OrderError(self._side.store, self._last, keys[0])
        if not all(map(lt, keys, keys[1:])):
            last, key = next(pair for pair in pairwise(keys) if pair[0] >= pair[1])
            raise OrderError(self._side.store, last, key)
        self._last = keys[-1]

    async def _page(self) -> ListPage:
        return await self._side.page(self._prefix, self.after, self._token)

    async def aclose(self) -> None:
        self.ended = True  # or a page that has come and is still to be accepted would fetch another
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _must_advance(store: ObjectStore, token: str, following: str) -> None:
    if token == following:
        raise UnsupportedError(
            f"{store.location} gives the same continuation token again, so its listing never ends;"
            " name the keys with --manifest instead",
            code="listing_loops",
        )


async def first_key(side: Side, prefix: str, after: str, beyond: str) -> str:
    """The first key after `beyond` in a listing that starts after `after`, or NO_KEY."""
    async with StoreListing(side, prefix, after, None) as listing:
        while True:
            await listing.fill()
            keys, _ = listing.take(None)
            cut = bisect_right(keys, beyond)
            if cut < len(keys):
                return keys[cut]
            if listing.ended and not listing.keys:
                return NO_KEY
