import asyncio
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.test_finder import NEW, OLD, RUN, Content, filled, oracle, scanned, sides
from transferhub.engine import finder
from transferhub.engine.listing import Side, StoreListing
from transferhub.engine.shards import RangeShard
from transferhub.engine.survey import Survey
from transferhub.errors import RunError, TransientError, UnsupportedError
from transferhub.model.objects import Attributes, ListPage, WriteOptions
from transferhub.model.transfer import RunId, Shard, Transfer
from transferhub.stores.faulty import Fault, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore, Order
from transferhub.stores.wrapper import Verb

EMPTY = md5(b"", usedforsecurity=False).digest()


@pytest.fixture(scope="session")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


class Slow(Survey):
    """Takes its time to record, and remembers everything that was ever durable."""

    def __init__(self, seen: list[Transfer], turns: int = 0) -> None:
        super().__init__(seen.append, seen.clear)
        self.states: list[tuple[int, list[Shard]]] = []
        self._seen = seen
        self._turns = turns

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        count = await super().record(run, transfers, shards)
        self.states.append((len(self._seen), list(await self.shards(run))))
        return count


async def resumed(
    state: tuple[int, list[Shard]], seen: list[Transfer]
) -> tuple[Survey, list[Transfer]]:
    """What a scan finds in the state after a crash at that moment."""
    count, shards = state
    again = seen[:count]
    survey = Survey(again.append)
    await survey.record(RUN, [], shards)
    return survey, again


@settings(max_examples=20, deadline=None)
@given(source=sides, destination=sides, page=st.integers(1, 4), turns=st.integers(0, 9))
def test_every_state_that_was_ever_recorded_is_one_to_go_on_from(
    spool: Path, source: Content, destination: Content, page: int, turns: int
) -> None:
    async def check() -> None:
        ours = await filled(source, OLD, page_keys=page)
        theirs = await filled(destination, NEW, page_keys=page)
        seen: list[Transfer] = []
        slow = Slow(seen, turns)
        await scanned(ours, theirs, spool, survey=slow, seen=seen)
        for state in slow.states:
            survey, again = await resumed(state, seen)
            await scanned(ours, theirs, spool, survey=survey, seen=again)
            found = [(t.key, t.difference) for t in again]
            assert len(found) == len(set(found))
            assert set(found) == oracle(source, destination, [""])
            assert survey.counts == slow.counts

    asyncio.run(check())


async def test_ranges_that_are_due_at_once_are_recorded_together(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "_SAVE_SECONDS", -1.0)  # each page is due
    content = {f"flat/{number:04}": b"" for number in range(2_000)}
    ours = await filled(content, OLD, page_keys=10)
    theirs = await filled(content, NEW, page_keys=10)
    slow = Slow([], turns=20)
    await scanned(ours, theirs, spool, survey=slow)
    assert slow.counts.same == 2_000
    assert len(slow.states) < 150  # for 200 pages


async def test_disorder_that_is_found_while_another_range_is_recorded_is_survived(
    spool: Path,
) -> None:
    content = {f"{name}{sign}{n:02}": b"" for name in "abcdef" for sign in "-/" for n in range(20)}
    ours = await filled(content, OLD, page_keys=3)
    theirs = await filled(content, NEW, page_keys=3, order=Order.FOLDERS)
    seen: list[Transfer] = []
    transfers, survey, talk = await scanned(ours, theirs, spool, survey=Slow(seen, 50), seen=seen)
    assert transfers == []
    assert (survey.counts.same, survey.counts.scanned_source) == (240, 240)
    assert any("the destination does not list in byte order" in sentence for sentence in talk)


@pytest.mark.parametrize(
    "ranges",
    [
        [("", "b")],
        [("b", None)],
        [("", "b"), ("c", None)],
        [("", "c"), ("b", None)],
    ],
)
async def test_ranges_that_do_not_cover_every_key_once_fail_the_run(
    spool: Path, ranges: list[tuple[str, str | None]]
) -> None:
    ours, theirs = await filled({"a": b"", "d": b""}, OLD), await filled({}, NEW)
    survey = Survey(lambda _: None)
    for number, (after, until) in enumerate(ranges):
        shard = RangeShard(
            ident=str(number), scope=0, prefix="", after=after, until=until, position=after
        )
        await survey.record(RUN, [], [shard.to_record()])
    with pytest.raises(RunError, match="do not cover all keys"):
        await scanned(ours, theirs, spool, survey=survey)


class Stubborn(MemoryStore):
    """Ignores the prefix that is asked for."""

    async def list(self, prefix: str = "", **options: Any) -> ListPage:
        return await super().list("", **options)


@pytest.mark.parametrize("order", [Order.BYTES, Order.SHUFFLED])
async def test_keys_that_were_not_asked_for_are_refused(spool: Path, order: Order) -> None:
    source, destination = await filled({"in/a": b""}, OLD), Stubborn(order=order)
    for key in ("a", "in/a", "z"):
        await destination.put(key, b"", attributes=Attributes(), options=WriteOptions(), md5=EMPTY)
    with pytest.raises(UnsupportedError, match=r"only keys that start with 'in/' were asked for"):
        await scanned(source, destination, spool, prefixes=["in/"])


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("skip", [0, 1, 3])
async def test_a_listing_that_fails_ends_the_scan_and_a_later_one_goes_on(
    spool: Path, side: str, skip: int
) -> None:
    content = {f"k{number:03}": b"" for number in range(40)}
    stores = [await filled(content, OLD, page_keys=5), await filled({}, NEW, page_keys=5)]
    if side == "destination":
        stores = [await filled({}, OLD, page_keys=5), await filled(content, NEW, page_keys=5)]
    at = ["source", "destination"].index(side)
    fault = Fault(verb=Verb.LIST, skip=skip, error=TransientError("gone"))
    broken: list[Any] = [*stores]
    broken[at] = FaultyStore(stores[at], ScriptedFaults([fault]))
    seen: list[Transfer] = []
    survey = Survey(seen.append)
    with pytest.raises(TransientError, match="gone"):
        await scanned(broken[0], broken[1], spool, survey=survey)
    await scanned(stores[0], stores[1], spool, survey=survey)
    assert sorted(t.key for t in seen) == sorted(content)
    assert survey.counts.scanned_source + survey.counts.scanned_destination == 40


@pytest.mark.parametrize("turns", range(8))
async def test_a_listing_that_is_closed_asks_for_no_further_page(turns: int) -> None:
    inner = await filled({f"k{number}": b"" for number in range(9)}, OLD, page_keys=1)
    waits = iter((0.0, 3_600.0))
    store = FaultyStore(inner, ScriptedFaults([]), latency=lambda _: asyncio.sleep(next(waits)))
    listing = StoreListing(Side(store=store, base=""), "", "", None)
    filling = asyncio.create_task(listing.fill())
    for _ in range(turns):
        await asyncio.sleep(0)
    await listing.aclose()
    await asyncio.gather(filling, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_scan_that_begins_anew_forgets_what_it_saw(spool: Path) -> None:
    content = dict.fromkeys(("a-b", "a/b", "b-b", "b/b"), b"")
    seen: list[Transfer] = []
    source = await filled(content, OLD, page_keys=1, order=Order.FOLDERS)
    await scanned(source, await filled({}, NEW), spool, survey=Survey(seen.append, seen.clear))
    assert sorted(transfer.key for transfer in seen) == sorted(content)


@pytest.mark.parametrize("listers", [2, 7, 16])
async def test_folders_in_order_are_listed_in_ranges_and_not_sorted(
    spool: Path, listers: int
) -> None:
    content = {f"{n // 50:04}/{n:07}": b"" for n in range(4_000)}
    ours = await filled(content, OLD, page_keys=20, order=Order.FOLDERS)
    theirs = await filled(content, NEW, page_keys=20, order=Order.FOLDERS)
    transfers, survey, talk = await scanned(ours, theirs, spool, listers=listers)
    assert (transfers, talk) == ([], [])
    assert survey.counts.same == 4_000
    assert len(await survey.shards(RUN)) > 1
