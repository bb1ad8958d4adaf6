import asyncio
from contextlib import suppress
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.far_end import far_end
from transferhub.engine.listing import OrderError, Side, StoreListing
from transferhub.engine.ranges import Alphabet
from transferhub.engine.shards import RangeShard
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.memory import MemoryStore, Order

EMPTY = md5(b"", usedforsecurity=False).digest()


async def asked(
    names: list[str], *, per_page: int, until: str | None = None, **options: object
) -> tuple[RangeShard, str | None]:
    """A range of which one page was listed, and where its keys end."""
    store = MemoryStore(page_keys=per_page, **options)  # type: ignore[arg-type]
    for name in names:
        await store.put(name, b"", attributes=Attributes(), options=WriteOptions(), md5=EMPTY)
    shard, alphabet = RangeShard(ident="0", scope=0, prefix="", until=until), Alphabet()
    side = Side(store=store, base="")
    async with StoreListing(side, "", "", until) as listing:
        shard.listings = (listing,)
        with suppress(OrderError):
            await listing.fill()
        taken, _ = listing.take(None)
        alphabet.learn(taken)
        shard.position = taken[-1] if taken else ""
        return shard, await far_end(shard, side, alphabet)


@pytest.mark.parametrize(
    ("count", "end"), [(20, "00002"), (250, "0003"), (1_100, "002"), (5_500, "006")]
)
async def test_numbered_keys_end_within_a_digit_of_their_last(count: int, end: str) -> None:
    _, found = await asked([f"{number:06}" for number in range(count)], per_page=10)
    assert found == end


async def test_folders_end_after_the_last_one() -> None:
    names = [f"data/{folder:04}/{number:03}" for folder in range(40) for number in range(20)]
    _, found = await asked(names, per_page=10)
    assert found == "data/004"


async def test_a_range_with_a_known_end_ends_no_later() -> None:
    names = [f"{number:04}" for number in range(2_000)]
    _, found = await asked(names, per_page=10, until="0500")
    assert found is None or found < "0500"


@given(
    names=st.sets(st.text("ab/09é\U0001f600", min_size=1, max_size=6), min_size=1, max_size=60),
    per_page=st.integers(1, 9),
    until=st.none() | st.text("ab/09é", min_size=1, max_size=4),
    ignores=st.booleans(),
    inclusive=st.booleans(),
    order=st.sampled_from(Order),
)
def test_an_end_lies_inside_the_range_whatever_the_server_answers(
    names: set[str],
    per_page: int,
    until: str | None,
    ignores: bool,
    inclusive: bool,
    order: Order,
) -> None:
    async def check() -> None:
        shard, found = await asked(
            sorted(names),
            per_page=per_page,
            until=until,
            ignores_start_after=ignores,
            start_after_inclusive=inclusive,
            order=order,
        )
        assert found is None or shard.after < found
        assert found is None or until is None or found < until

    asyncio.run(check())
