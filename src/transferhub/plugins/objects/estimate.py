"""What a run would do, ask and cost, before it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from transferhub.model.transfer import Difference, ScanCounts
from transferhub.plugins.objects.prices import PriceTable, RequestKind
from transferhub.stores.base import DELETE_BATCH, PAGE_KEYS

FIRST_KEYS = 20
"""Most keys that a preview shows."""

Where = Literal["source", "destination"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How fast a run is expected to go.

    The defaults are cautious for one machine near the stores: the published 10 objects a second of
    the original's smallest machine with 4 threads, times 16 for our 64 transfers at once, and four
    fifths of a network of 1 Gbit/s.
    """

    objects_per_second: float = 160.0
    bytes_per_second: float = 100e6
    lists_per_second: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a scan found to do.

    Attributes:
        multipart_objects: objects that are written in parts.
        parts: of all of these.
        deletes: objects to delete.
        source_lists, destination_lists: list requests; None counts one for each full page.
        source_heads, destination_heads: HEAD requests: a manifest's keys and checksums are looked
            at, and so is the source of what is copied in parts or by the server.
        tagged_objects: objects whose tags are read.
        server_copy: the server copies, so that no byte leaves it.
    """

    scan: ScanCounts
    multipart_objects: int = 0
    parts: int = 0
    deletes: int = 0
    source_lists: int | None = None
    destination_lists: int | None = None
    source_heads: int = 0
    destination_heads: int = 0
    tagged_objects: int = 0
    server_copy: bool = False

    @property
    def copies(self) -> int:
        return self.scan.new + self.scan.changed


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """Requests of one kind at one side. `cost` is None where the price is not known."""

    where: Where
    kind: RequestKind
    count: int
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstKey:
    """One of the first keys that would be copied or deleted."""

    key: str  # at the source; "" for one to delete
    destination: str  # key at the destination
    size: int
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A dry run's findings.

    Attributes:
        bytes: to copy.
        requests: only kinds that would be asked.
        egress_cost: of the bytes that leave the source, to the internet; None where not known.
        cost: of all requests and egress whose price is known.
        unpriced: providers that have no known price: then `cost` says "at least".
        prices_from: where the prices are from, a line for each provider.
        seconds: expected.
    """

    scan: ScanCounts
    copies: int
    deletes: int
    bytes: int
    requests: tuple[RequestCount, ...]
    egress_cost: float | None
    cost: float
    currency: str
    unpriced: tuple[str, ...]
    prices_from: tuple[str, ...]
    seconds: float
    first_keys: tuple[FirstKey, ...] = ()

    def requests_of(self, kind: RequestKind) -> int:
        return sum(request.count for request in self.requests if request.kind is kind)


def estimate(
    work: Work,
    *,
    source: str,
    destination: str,
    prices: PriceTable,
    rates: Rates | None = None,
    first_keys: Sequence[FirstKey] = (),
) -> Preview:
    """What `work` takes.

    Args:
        source, destination: providers, as `Location.provider_name` names them.
    """
    names = {"source": source, "destination": destination}
    requests = tuple(
        RequestCount(
            where=where, kind=kind, count=count, cost=_cost(prices, names[where], kind, count)
        )
        for where, kind, count in _requests(work)
        if count
    )
    leaving = 0 if work.server_copy else work.scan.copy_bytes
    known = prices.providers.get(source)
    egress = known.of_egress(leaving) if known else (0.0 if not leaving else None)
    costs = [*(request.cost for request in requests), egress]
    used = dict.fromkeys(names[request.where] for request in requests)
    if egress is None:
        used.setdefault(source)
    return Preview(
        scan=work.scan,
        copies=work.copies,
        deletes=work.deletes,
        bytes=work.scan.copy_bytes,
        requests=requests,
        egress_cost=egress,
        cost=sum(cost for cost in costs if cost is not None),
        currency=prices.currency,
        unpriced=tuple(_unpriced(requests, names, source if egress is None else "")),
        prices_from=tuple(_origins(prices, used)),
        seconds=_seconds(work, requests, rates or Rates()),
        first_keys=tuple(first_keys[:FIRST_KEYS]),
    )


def _requests(work: Work) -> Iterator[tuple[Where, RequestKind, int]]:
    whole = work.copies - work.multipart_objects
    reads = 0 if work.server_copy else whole + work.parts
    yield "source", RequestKind.LIST, _pages(work.source_lists, work.scan.scanned_source)
    yield (
        "destination",
        RequestKind.LIST,
        _pages(work.destination_lists, work.scan.scanned_destination),
    )
    yield "source", RequestKind.HEAD, work.source_heads
    yield "destination", RequestKind.HEAD, work.destination_heads
    yield "source", RequestKind.GET, reads
    yield "source", RequestKind.TAGS, work.tagged_objects
    yield "destination", RequestKind.PUT, whole
    yield "destination", RequestKind.MULTIPART, 2 * work.multipart_objects + work.parts
    yield "destination", RequestKind.DELETE, -(-work.deletes // DELETE_BATCH)


def _pages(told: int | None, keys: int) -> int:
    return told if told is not None else max(1, -(-keys // PAGE_KEYS))


def _cost(prices: PriceTable, provider: str, kind: RequestKind, count: int) -> float | None:
    known = prices.providers.get(provider)
    return known.of_requests(kind, count) if known else None


def _unpriced(
    requests: Sequence[RequestCount], names: dict[str, str], source_egress: str
) -> list[str]:
    providers = [names[request.where] for request in requests if request.cost is None]
    return list(dict.fromkeys([*providers, *([source_egress] if source_egress else [])]))


def _origins(prices: PriceTable, providers: dict[str, None]) -> Iterator[str]:
    for provider in providers:
        known = prices.providers.get(provider)
        if known:
            yield f"{provider}: {known.note} ({known.as_of})"


def _seconds(work: Work, requests: Sequence[RequestCount], rates: Rates) -> float:
    """Listing and copying go on together, so the slower one decides."""
    lists = max((r.count for r in requests if r.kind is RequestKind.LIST), default=0)
    items = work.copies + work.parts + -(-work.deletes // DELETE_BATCH)
    return max(
        lists / rates.lists_per_second,
        items / rates.objects_per_second,
        work.scan.copy_bytes / rates.bytes_per_second,
    )
