import asyncio
import hashlib
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.listing import NO_KEY, OrderError, Side, StoreListing, first_key
from transferhub.errors import TransientError, UnsupportedError
from transferhub.model.objects import Attributes, ListPage, ObjectEntry, WriteOptions
from transferhub.stores.base import PAGE_KEYS
from transferhub.stores.faulty import Fault, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore, Order
from transferhub.stores.wrapper import Verb

keys = st.text(st.sampled_from("ab/-\x00é\U0001f600"), min_size=1, max_size=4)
key_sets = st.sets(keys, max_size=30).map(sorted)
servers = st.fixed_dictionaries(
    {
        "page_keys": st.integers(1, 7),
        "ignores_start_after": st.booleans(),
        "start_after_inclusive": st.booleans(),
    }
)


async def filled(names: Sequence[str], **options: Any) -> MemoryStore:
    store = MemoryStore(**options)
    md5 = hashlib.md5(b"", usedforsecurity=False).digest()
    for name in names:
        await store.put(name, b"", attributes=Attributes(), options=WriteOptions(), md5=md5)
    return store


class Scripted(MemoryStore):
    """Lists pages as they were written down: (keys, token of the page that follows)."""

    def __init__(self, *pages: tuple[Sequence[str], str]) -> None:
        super().__init__()
        self.pages = pages
        self._at = count()

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        names, following = self.pages[next(self._at) % len(self.pages)]
        entries = [ObjectEntry(name, 0, "", None) for name in names]
        return ListPage(entries=entries, next_token=following)


async def walked(
    store: MemoryStore,
    *,
    base: str = "",
    prefix: str = "",
    after: str = "",
    until: str | None = None,
) -> list[str]:
    found: list[str] = []
    async with StoreListing(Side(store=store, base=base), prefix, after, until) as listing:
        while not (listing.ended and not listing.keys):
            await listing.fill()
            names, entries = listing.take(None)
            assert [entry.key for entry in entries] == [base + name for name in names]
            found += names
    return found


@given(names=key_sets, server=servers, after=keys | st.just(""), until=st.none() | keys)
def test_a_range_holds_exactly_its_keys_whatever_the_server_does_with_start_after(
    names: list[str], server: dict[str, object], after: str, until: str | None
) -> None:
    async def check() -> None:
        store = await filled(names, **server)
        found = await walked(store, after=after, until=until)
        assert found == [n for n in names if after < n and (until is None or n <= until)]

    asyncio.run(check())


@given(names=key_sets, server=servers, base=st.sampled_from(["a", "a/"]), prefix=keys)
def test_keys_are_relative_to_their_base(
    names: list[str], server: dict[str, object], base: str, prefix: str
) -> None:
    async def check() -> None:
        store = await filled(names, **server)
        found = await walked(store, base=base, prefix=prefix)
        start = base + prefix
        assert found == [n.removeprefix(base) for n in names if n.startswith(start)]

    asyncio.run(check())


@given(names=key_sets, server=servers, after=keys | st.just(""), until=st.none() | keys)
def test_the_edges_of_a_range_are_its_first_key_and_the_one_that_follows(
    names: list[str], server: dict[str, object], after: str, until: str | None
) -> None:
    async def check() -> None:
        store = await filled(names, **server)
        async with StoreListing(Side(store=store, base=""), "", after, until) as listing:
            while not listing.ended:
                await listing.fill()
                listing.take(None)
            following = [n for n in names if n > after]
            beyond = [n for n in following if until is not None and n > until]
            assert listing.beyond == next(iter(beyond), NO_KEY)
            if until is None or not beyond or following[0] <= until:
                assert listing.first == next(iter(following), NO_KEY)

    asyncio.run(check())


@given(
    names=key_sets,
    page=st.integers(1, 5),
    cuts=st.lists(keys, max_size=4),
    fills=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_a_range_that_shrinks_while_pages_are_under_way_gives_no_key_beyond_its_end(
    names: list[str], page: int, cuts: list[str], fills: list[int]
) -> None:
    async def check() -> None:
        store = await filled(names, page_keys=page)
        found: list[str] = []
        until = "\U0010ffff"
        async with StoreListing(Side(store=store, base=""), "", "", None) as listing:
            for cut, times in zip(sorted(cuts, reverse=True), fills, strict=False):
                for _ in range(times):
                    await listing.fill()
                    found += listing.take(None)[0]
                # The finder splits beyond what was fetched, and only lowers an end.
                until = min(until, max(cut, listing.reached))
                listing.shrink(until)
            while not (listing.ended and not listing.keys):
                await listing.fill()
                found += listing.take(None)[0]
        assert found == [name for name in names if name <= until]
        assert listing.beyond == next((name for name in names if name > until), NO_KEY)

    asyncio.run(check())


@given(names=key_sets, page=st.integers(1, 5), horizons=st.lists(keys, max_size=4).map(sorted))
def test_what_is_taken_up_to_a_horizon_is_taken_once(
    names: list[str], page: int, horizons: list[str]
) -> None:
    async def check() -> None:
        store = await filled(names, page_keys=page)
        found: list[str] = []
        async with StoreListing(Side(store=store, base=""), "", "", None) as listing:
            for horizon in horizons:
                await listing.fill()
                taken, entries = listing.take(horizon)
                assert all(name <= horizon for name in taken)
                assert [entry.key for entry in entries] == taken
                found += taken
            while not (listing.ended and not listing.keys):
                await listing.fill()
                found += listing.take(None)[0]
        assert found == names

    asyncio.run(check())


@given(
    names=key_sets, page=st.integers(1, 7), order=st.sampled_from([Order.FOLDERS, Order.SHUFFLED])
)
def test_every_listing_out_of_byte_order_is_found_out(
    names: list[str], page: int, order: Order
) -> None:
    async def check() -> None:
        store = await filled(names, page_keys=page, order=order)
        listed = [entry.key for entry in (await (await filled(names, order=order)).list()).entries]
        if listed == names:
            assert await walked(store) == names
        else:
            with pytest.raises(OrderError, match="after"):
                await walked(store)

    asyncio.run(check())


@pytest.mark.parametrize(
    "pages",
    [
        [(["a", "c", "b"], "")],
        [(["a", "b", "b"], "")],
        [(["b"], "1"), (["a"], "")],
        [(["a", "b"], "1"), (["a", "b"], "2")],
        [(["b"], "1"), ([], "2"), (["a"], "")],
        [(["\U0001f600", "\ue000"], "")],  # the order of UTF-16, as some databases have it
    ],
)
async def test_keys_that_go_back_or_come_twice_are_out_of_order(
    pages: list[tuple[list[str], str]],
) -> None:
    with pytest.raises(OrderError):
        await walked(Scripted(*pages))


async def test_a_key_that_is_repeated_at_the_start_of_a_page_is_left_out() -> None:
    store = Scripted((["a", "b"], "1"), (["b", "c"], "2"), (["c"], ""))
    assert await walked(store) == ["a", "b", "c"]


@pytest.mark.parametrize("names", [[], ["a"]])
async def test_a_token_that_comes_again_is_refused(names: list[str]) -> None:
    store = Scripted((names, "again"), ([], "again"))
    with pytest.raises(UnsupportedError, match="--manifest") as refused:
        await walked(store)
    assert refused.value.code == "listing_loops"


async def test_tokens_that_go_round_are_found_out_by_their_keys() -> None:
    with pytest.raises(OrderError):
        await walked(Scripted((["a"], "1"), (["b"], "2")))


async def test_empty_pages_are_passed_over() -> None:
    store = Scripted(([], "1"), (["a"], "2"), ([], "3"), ([], "4"), (["b"], ""))
    assert await walked(store) == ["a", "b"]


async def test_no_page_is_asked_for_beyond_the_end_of_a_range() -> None:
    real = await filled([f"{number:03}" for number in range(100)], page_keys=10)
    store = FaultyStore(real, ScriptedFaults([]))
    async with StoreListing(Side(store=store, base=""), "", "", "025") as listing:
        while not listing.ended:
            await listing.fill()
            listing.take(None)
    assert len(store.calls) == 3


async def test_an_error_of_a_page_reaches_who_waits_for_it() -> None:
    fault = Fault(verb=Verb.LIST, error=TransientError("reset"), skip=1)
    store = FaultyStore(await filled(["a", "b"], page_keys=1), ScriptedFaults([fault]))
    async with StoreListing(Side(store=store, base=""), "", "", None) as listing:
        await listing.fill()
        assert listing.take(None)[0] == ["a"]
        with pytest.raises(TransientError, match="reset"):
            await listing.fill()


async def test_closing_a_listing_ends_the_page_under_way() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def stalled(call: object) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    store = FaultyStore(await filled(["a"]), ScriptedFaults([]), latency=stalled)
    async with StoreListing(Side(store=store, base=""), "", "", None):
        await asked.wait()
    assert ended.is_set()


@given(names=key_sets, server=servers, after=keys | st.just(""), beyond=keys)
def test_the_first_key_beyond_a_border_is_found(
    names: list[str], server: dict[str, object], after: str, beyond: str
) -> None:
    async def check() -> None:
        store = await filled(names, **server)
        found = await first_key(Side(store=store, base=""), "", after, beyond)
        assert found == next((n for n in names if n > max(after, beyond)), NO_KEY)

    asyncio.run(check())
