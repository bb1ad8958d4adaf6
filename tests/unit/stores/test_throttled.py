import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.store_facts import get, part, put, start
from tests.unit.stores.fake_time import FakeTime
from transferhub.stores.memory import MemoryStore
from transferhub.stores.throttled import BURST_SECONDS, ThrottledStore, TokenBucket


def bucket_of(rate: float | None, time: FakeTime) -> TokenBucket:
    return TokenBucket(rate, clock=time.clock, sleep=time.sleep)


async def test_a_rate_holds() -> None:
    time = FakeTime()
    bucket = bucket_of(10, time)
    began = time.now
    for _ in range(101):
        await bucket.take(1)
    assert time.now - began == pytest.approx(10.0)


async def test_no_rate_is_no_wait() -> None:
    time = FakeTime()
    bucket = bucket_of(None, time)
    for _ in range(100):
        await bucket.take(1 << 30)
    assert time.slept == []


async def test_what_is_larger_than_the_bucket_is_paid_by_those_that_follow() -> None:
    time = FakeTime()
    bucket = bucket_of(100, time)
    await bucket.take(1_000)
    assert time.slept == []
    began = time.now
    await bucket.take(1)
    assert time.now - began == pytest.approx(10.0)


async def test_idle_time_is_saved_up_for_a_short_burst_only() -> None:
    time = FakeTime()
    bucket = bucket_of(100, time)
    time.now += 3_600
    began = time.now
    for _ in range(126):
        await bucket.take(1)
    assert time.now - began == pytest.approx(1.25 - BURST_SECONDS)


async def test_who_waits_longest_goes_first() -> None:
    time = FakeTime()
    bucket = bucket_of(10, time)
    order: list[int] = []

    async def worker(number: int) -> None:
        for _ in range(3):
            await bucket.take(1)
            order.append(number)

    await asyncio.gather(*(worker(number) for number in range(4)))
    # The first to run asks twice before the others ask at all.
    assert order == [0, 0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3]


async def test_a_new_rate_counts_for_those_who_wait_already() -> None:
    time = FakeTime()
    bucket = bucket_of(1, time)
    await bucket.take(100)
    began = time.now
    async with asyncio.TaskGroup() as group:
        group.create_task(bucket.take(1))
        await asyncio.sleep(0)
        bucket.set_rate(1_000)
    assert time.now - began < 1


async def test_lifting_the_limit_frees_those_who_wait() -> None:
    time = FakeTime()
    bucket = bucket_of(1, time)
    await bucket.take(1_000_000)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(bucket.take(1_000))
        await asyncio.sleep(0)
        bucket.set_rate(None)
    assert bucket.rate is None
    assert sum(time.slept) < 1


async def test_who_is_cancelled_takes_nothing() -> None:
    time = FakeTime()
    bucket = bucket_of(10, time)
    await bucket.take(1)
    waiting = [asyncio.create_task(bucket.take(1_000_000)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert all(task.cancelled() for task in waiting)
    began = time.now
    await bucket.take(1)
    assert time.now - began <= 0.1


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_that_is_not_above_zero_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        TokenBucket(rate)


@given(
    rate=st.floats(min_value=0.5, max_value=1e6),
    sizes=st.lists(st.integers(min_value=1, max_value=10_000), min_size=2, max_size=20),
)
async def test_over_time_no_more_than_the_rate_passes(rate: float, sizes: list[int]) -> None:
    time = FakeTime()
    # Long waits are slept in slices; a fast clock keeps the number of slices small.
    bucket = TokenBucket(rate, clock=lambda: time.now * 1_000, sleep=time.sleep)
    began = time.now * 1_000
    for size in sizes:
        await bucket.take(size)
    elapsed = time.now * 1_000 - began
    assert sum(sizes[:-1]) <= rate * elapsed * (1 + 1e-6) + 1e-3


async def test_each_call_takes_one_request_and_its_body() -> None:
    time = FakeTime()
    requests, bandwidth = bucket_of(1_000, time), bucket_of(1_000, time)
    store = ThrottledStore(MemoryStore(), requests=requests, bandwidth=bandwidth)
    began = time.now
    await put(store, "key", bytes(500))
    await store.head("key")
    await get(store, "key")
    upload_id = await start(store, "other")
    await part(store, "other", upload_id, 1, bytes(1_000))
    await bandwidth.take(1)
    # 2,000 bytes went through before the last one.
    assert time.now - began == pytest.approx(2.0)


async def test_chunks_are_paid_as_they_come() -> None:
    time = FakeTime()
    inner = MemoryStore()
    await put(inner, "key", bytes(3 << 20))
    store = ThrottledStore(inner, bandwidth=bucket_of(1 << 20, time))
    began = time.now
    async with store.get("key") as reader:
        async for _ in reader.chunks():
            pass
    assert time.now - began == pytest.approx(2.0)


async def test_stores_can_share_a_limit() -> None:
    time = FakeTime()
    requests = bucket_of(10, time)
    stores = [ThrottledStore(MemoryStore(), requests=requests) for _ in range(2)]
    began = time.now
    for _ in range(5):
        for store in stores:
            await store.list()
    assert time.now - began == pytest.approx(0.9)
