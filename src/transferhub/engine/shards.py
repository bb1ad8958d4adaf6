"""Key ranges under way: their cursors, their edges, their rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from transferhub.engine.listing import Listing, StoreListing
from transferhub.engine.ranges import Alphabet, carries, common_prefix, cuts, width
from transferhub.model.transfer import ScanCounts, Shard, Transfer

_UNKNOWN_PAGES = 1_000.0
"""Pages that a range is taken to have left where its letters do not tell."""

_LEAST_PAGES = 2.0
"""Pages of each range that a cut makes: the last one of each is listed in vain by half."""

_NEARLY_FULL = 0.15
"""Pages that the last page of a range had better lack: a little more is a request of its own."""

_FAR_PAGES = 500.0
"""A range that seems to have more left is rather one whose end is far from its keys."""


@dataclass(slots=True, kw_only=True)
class Edge:
    """Where one side's listing of a range begins and what follows it: NO_KEY is the end of all
    keys, None is not known yet. Ranges that touch must agree, or keys were lost between them.
    `last` is the last key of the range itself, "" while there is none."""

    first: str | None = None
    last: str = ""
    beyond: str | None = None


@dataclass(slots=True, kw_only=True)
class RangeShard:
    """A range of relative keys after `after` up to `until`, of those that start with `prefix`.

    Attributes:
        scope: index of the prefix among the scan's.
        position: every key up to here is decided.
        unordered: names of the sides that are sorted on disk.
        pending: decided and not recorded yet.
        unsaved: it went on since it was recorded.
        probed: where its keys end was asked, and nothing has changed since.
    """

    ident: str
    scope: int
    prefix: str
    after: str = ""
    until: str | None = None
    position: str = ""
    done: bool = False
    counts: ScanCounts = field(default_factory=ScanCounts)
    unordered: frozenset[str] = frozenset()
    source: Edge = field(default_factory=Edge)
    destination: Edge = field(default_factory=Edge)
    pending: list[Transfer] = field(default_factory=list)
    unsaved: bool = False
    saved_at: float = field(default_factory=time.monotonic)
    listings: tuple[Listing, ...] = ()
    pages: int = 0
    pages_left: float = 0.0
    probed: bool = False

    def to_record(self) -> Shard:
        detail = {
            "scope": self.scope,
            "prefix": self.prefix,
            "after": self.after,
            "until": self.until,
            "position": self.position,
            "unordered": sorted(self.unordered),
            "source": _edge_values(self.source),
            "destination": _edge_values(self.destination),
        }
        return Shard(
            ident=self.ident, done=self.done, detail=json.dumps(detail), counts=self.counts
        )

    @classmethod
    def from_record(cls, record: Shard) -> RangeShard:
        detail: dict[str, Any] = json.loads(record.detail)
        return cls(
            ident=record.ident,
            scope=detail["scope"],
            prefix=detail["prefix"],
            after=detail["after"],
            until=detail["until"],
            position=detail["position"],
            done=record.done,
            counts=record.counts,
            unordered=frozenset(detail["unordered"]),
            source=Edge(**detail["source"]),
            destination=Edge(**detail["destination"]),
        )

    def estimate(self, alphabet: Alphabet) -> None:
        """Guesses from what was listed how many pages are left."""
        self.pages_left = max(
            (
                self._left(listing, alphabet)
                for listing in self._store_listings()
                if not listing.ended
            ),
            default=0.0,
        )

    @property
    def low(self) -> str:
        """The last key that any side has listed. Splits come after it."""
        reached = [listing.reached for listing in self._store_listings()]
        return max([self.position, self.after, *reached])

    @property
    def is_far(self) -> bool:
        """Its end is so far from the keys that were seen that asking where they end pays."""
        return not self.probed and self.pages_left >= _FAR_PAGES

    def can_be_cut(self, pieces: int) -> bool:
        return not self.done and self.pages_left >= pieces * _LEAST_PAGES

    def steps(self, alphabet: Alphabet) -> list[str]:
        """Keys beyond which the range may end: see `carries`. The widest step first."""
        low = self.low
        firsts = [listing.first for listing in self._store_listings() if listing.first]
        seen = len(common_prefix([low, *firsts]))
        steps = carries(low, self.until, seen, alphabet)
        return [step for step in steps if step.startswith(self.prefix)]

    def cuts(self, pieces: int, alphabet: Alphabet) -> list[str]:
        """Keys that cut what is left into so many even ranges, ascending; fewer where there is not
        enough left. The page that is on its way stays with the first."""
        low = self.low
        if not self.can_be_cut(2) or (self.until is not None and low >= self.until):
            return []
        pieces = min(pieces, int(self.pages_left / _LEAST_PAGES))
        # No more of them than take as many requests one after the other.
        each = ceil(self.pages_left / pieces) - _NEARLY_FULL
        pieces = min(pieces, ceil(self.pages_left / each))
        near = 1.0 / self.pages_left
        shares = [near + (1.0 - near) * number / pieces for number in range(1, pieces)]
        return cuts(low, self.until, self.prefix, shares, alphabet)

    def split_all(self, keys: Sequence[str], name: Callable[[], str]) -> list[RangeShard]:
        """Splits at each of the ascending keys and returns the new shards."""
        return [self.split(key, name()) for key in reversed(keys)]

    def split(self, middle: str, ident: str) -> RangeShard:
        """Gives everything after `middle` to a new shard."""
        right = RangeShard(
            ident=ident,
            scope=self.scope,
            prefix=self.prefix,
            after=middle,
            until=self.until,
            position=middle,
        )
        self.until = middle
        self.probed = False
        for listing in self.listings:
            listing.shrink(middle)
        return right

    @property
    def open_listing(self) -> StoreListing | None:
        """A listing that has not ended, the source's first."""
        return next((each for each in self._store_listings() if not each.ended), None)

    def _left(self, listing: StoreListing, alphabet: Alphabet) -> float:
        start = listing.first or self.after
        listed = width(start, self.until, start, listing.reached, alphabet)
        if listed <= 0.0:
            return _UNKNOWN_PAGES
        return self.pages * (1.0 - listed) / listed

    def _store_listings(self) -> list[StoreListing]:
        return [each for each in self.listings if isinstance(each, StoreListing)]


def _edge_values(edge: Edge) -> dict[str, str | None]:
    return {"first": edge.first, "last": edge.last, "beyond": edge.beyond}
