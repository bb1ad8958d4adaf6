import asyncio
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.listing import Side, StoreListing
from transferhub.engine.ranges import Alphabet
from transferhub.engine.shards import Edge, RangeShard
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.transfer import ScanCounts
from transferhub.stores.memory import MemoryStore

keys = st.text("ab/\x00é\U0001f600\n\"'", max_size=6)
edges = st.builds(Edge, first=st.none() | keys, last=keys, beyond=st.none() | keys)
shards = st.builds(
    RangeShard,
    ident=st.integers(0, 9).map(str),
    scope=st.integers(0, 3),
    prefix=keys,
    after=keys,
    until=st.none() | keys,
    position=keys,
    done=st.booleans(),
    counts=st.builds(ScanCounts, same=st.integers(0, 9), fallbacks=st.integers(0, 9)),
    unordered=st.frozensets(st.sampled_from(["source", "destination"])),
    source=edges,
    destination=edges,
)


@given(shards)
def test_a_range_goes_through_its_record_unchanged(shard: RangeShard) -> None:
    again = RangeShard.from_record(shard.to_record())
    again.saved_at = shard.saved_at
    assert again == shard


def covers(shard: RangeShard, key: str) -> bool:
    return shard.after < key and (shard.until is None or key <= shard.until)


@given(
    shard=shards,
    borders=st.lists(keys, min_size=3, max_size=3, unique=True).map(sorted),
    endless=st.booleans(),
    key=keys,
)
def test_a_split_gives_each_key_to_exactly_one_half(
    shard: RangeShard, borders: list[str], endless: bool, key: str
) -> None:
    shard.after, middle, until = borders
    shard.until = None if endless else until
    before = covers(shard, key)
    right = shard.split(middle, "new")
    assert [covers(shard, key), covers(right, key)].count(True) == before
    assert (right.scope, right.prefix, right.position) == (shard.scope, shard.prefix, middle)
    assert right.counts == ScanCounts()


async def listed(names: list[str], *, pages: int, per_page: int) -> tuple[RangeShard, Alphabet]:
    """A range after some pages of it were walked."""
    store, alphabet = MemoryStore(page_keys=per_page), Alphabet()
    md5 = hashlib.md5(b"", usedforsecurity=False).digest()
    for name in names:
        await store.put(name, b"", attributes=Attributes(), options=WriteOptions(), md5=md5)
    shard = RangeShard(ident="0", scope=0, prefix="")
    async with StoreListing(Side(store=store, base=""), "", "", None) as listing:
        shard.listings = (listing,)
        for _ in range(pages):
            await listing.fill()
            taken, _ = listing.take(None)
            alphabet.learn(taken)
            shard.position = taken[-1]
            shard.pages += 1
        shard.estimate(alphabet)
    return shard, alphabet


@given(
    names=st.sets(st.text("abc/0129", min_size=1, max_size=6), min_size=20, max_size=60),
    idle=st.integers(1, 9),
    pages=st.integers(1, 3),
)
def test_a_range_is_split_beyond_what_is_listed_already(
    names: set[str], idle: int, pages: int
) -> None:
    async def check() -> None:
        shard, alphabet = await listed(sorted(names), pages=pages, per_page=5)
        keys = shard.cuts(1 + idle, alphabet)
        assert all(key > shard.position for key in keys)
        assert keys == sorted(set(keys))
        assert len(keys) <= idle

    asyncio.run(check())


async def test_a_range_that_is_done_or_nearly_done_is_not_split() -> None:
    shard, alphabet = await listed([f"{n:03}" for n in range(30)], pages=3, per_page=10)
    assert shard.cuts(2, alphabet) == []
    shard.pages_left, shard.done = 1_000.0, True
    assert shard.cuts(2, alphabet) == []
