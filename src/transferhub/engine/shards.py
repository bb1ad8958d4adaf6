"""Key ranges under way: their cursors, their edges, their rest."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from transferhub.engine.listing import Listing, StoreListing
from transferhub.engine.ranges import Alphabet, carries, common_prefix, midpoint, width
from transferhub.model.transfer import ScanCounts, Shard, Transfer

_UNKNOWN_PAGES = 1_000.0
"""Pages that a range is taken to have left where its letters do not tell."""

_WORTH_SPLITTING = 2.0
"""Pages that must be left for a split to gain time."""


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
    saved_at: float = field(default_factory=time.monotonic)
    listings: tuple[Listing, ...] = ()
    pages: int = 0
    pages_left: float = 0.0

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

    def split_at(self, alphabet: Alphabet, idle: int) -> str | None:
        """A key to split what is left at, None where a split would gain nothing.

        While the end of the range is far from the keys that were seen, the key is one at which a
        letter steps up, so that `idle` splits in a row reach from wide steps to narrow ones; near
        the end it is the middle.
        """
        if self.done or self.pages_left < _WORTH_SPLITTING:
            return None
        reached = [listing.reached for listing in self._store_listings()]
        low = max([self.position, self.after, *reached])
        if self.until is not None and low >= self.until:
            return None
        firsts = [listing.first for listing in self._store_listings() if listing.first]
        seen = len(common_prefix([low, *firsts]))
        steps = [
            step
            for step in carries(low, self.until, seen, alphabet)
            if step.startswith(self.prefix)
        ]
        if steps:
            return steps[max(0, len(steps) - idle)]
        return midpoint(low, self.until, self.prefix, alphabet)

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
        for listing in self.listings:
            listing.shrink(middle)
        return right

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
