import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.store_facts import get, put
from tests.unit.stores.fake_time import FakeTime
from transferhub.errors import StoreError, ThrottledError, TransientError
from transferhub.stores.adaptive import AdaptiveLimit, AdaptiveStore
from transferhub.stores.faulty import Fault, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore
from transferhub.stores.wrapper import Verb

THROTTLED = ThrottledError("slow down")


def test_a_throttled_request_halves_and_successes_add_one_by_one() -> None:
    time = FakeTime()
    limit = AdaptiveLimit(64, clock=time.clock)
    limit.throttled()
    assert limit.limit == 32
    for _ in range(33):
        limit.succeeded()
    assert limit.limit == pytest.approx(33, abs=0.05)


def test_the_most_can_change() -> None:
    limit = AdaptiveLimit(8)
    limit.set_most(4)
    assert (limit.most, limit.limit) == (4, 4.0)
    limit.set_most(6)
    for _ in range(20):
        limit.succeeded()
    assert limit.limit == 6.0


def test_answers_to_what_was_sent_before_say_nothing_new() -> None:
    time = FakeTime()
    limit = AdaptiveLimit(64, clock=time.clock)
    for _ in range(64):
        limit.throttled()
    assert limit.limit == 32
    time.now += 1
    limit.throttled()
    assert limit.limit == 16


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=100))
def test_the_limit_stays_between_one_and_most(most: int, answers: list[tuple[bool, float]]) -> None:
    time = FakeTime()
    limit = AdaptiveLimit(most, clock=time.clock)
    for succeeded, seconds in answers:
        time.now += seconds
        before = limit.limit
        if succeeded:
            limit.succeeded()
            assert before <= limit.limit <= most
        else:
            limit.throttled()
            assert 1 <= limit.limit <= before


class Crowd:
    """Callers of one limit: some inside, some waiting."""

    def __init__(self, most: int) -> None:
        self.time = FakeTime()
        self.limit = AdaptiveLimit(most, clock=self.time.clock)
        self.inside: deque[int] = deque()
        self.waiting: dict[int, asyncio.Task[None]] = {}
        self.admitted: list[int] = []
        self.came = 0

    async def _enter(self, number: int) -> None:
        await self.limit.enter()
        self.admitted.append(number)
        self.inside.append(number)
        del self.waiting[number]

    async def enter(self) -> None:
        self.came += 1
        self.waiting[self.came] = asyncio.create_task(self._enter(self.came))

    async def leave(self) -> None:
        if self.inside:
            self.inside.popleft()
            self.limit.leave()

    async def cancel(self) -> None:
        if self.waiting:
            task = self.waiting.pop(max(self.waiting))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def throttled(self) -> None:
        self.time.now += 1
        self.limit.throttled()

    async def succeeded(self) -> None:
        self.limit.succeeded()


@given(
    st.integers(1, 5),
    st.lists(st.sampled_from(["enter", "leave", "cancel", "throttled", "succeeded"])),
)
async def test_places_are_neither_lost_nor_given_twice(most: int, steps: list[str]) -> None:
    crowd = Crowd(most)
    limit = crowd.limit
    for step in [*steps, *["leave"] * len(steps)]:
        before = limit.busy
        await getattr(crowd, step)()
        for _ in range(3):
            await asyncio.sleep(0)
        assert limit.busy == len(crowd.inside)
        assert limit.busy <= max(before, limit.limit + 1)
    assert not crowd.waiting
    assert limit.busy == 0
    assert crowd.admitted == sorted(crowd.admitted)


async def test_a_store_holds_to_the_limit_until_a_body_is_read() -> None:
    limit = AdaptiveLimit(1)
    store = AdaptiveStore(MemoryStore(), limit)
    await put(store, "key")
    async with store.get("key") as reader:
        other = asyncio.create_task(get(store, "key"))
        await asyncio.sleep(0)
        assert not other.done()
        assert await reader.read() == b"body"
    assert await other == b"body"
    assert limit.busy == 0


@pytest.mark.parametrize("verb", [Verb.PUT, Verb.GET])
async def test_a_throttled_verb_slows_its_own_store_down(verb: Verb) -> None:
    limit = AdaptiveLimit(8)
    faults = ScriptedFaults([Fault(verb=verb, error=THROTTLED)])
    store = AdaptiveStore(FaultyStore(MemoryStore(), faults), limit)
    with pytest.raises(ThrottledError):
        await (put(store, "key") if verb is Verb.PUT else get(store, "key"))
    assert (limit.limit, limit.busy) == (4, 0)


async def test_what_another_store_refuses_while_a_body_is_open_is_not_its_fault() -> None:
    limit = AdaptiveLimit(8)
    store = AdaptiveStore(MemoryStore(), limit)
    await put(store, "key")
    with pytest.raises(ThrottledError):
        async with store.get("key"):
            raise THROTTLED
    assert (limit.limit, limit.busy) == (8, 0)


async def test_other_errors_change_nothing() -> None:
    limit = AdaptiveLimit(8)
    broken = ScriptedFaults([Fault(error=TransientError("reset"), times=2)])
    store = AdaptiveStore(FaultyStore(MemoryStore(), broken), limit)
    with pytest.raises(TransientError):
        await store.head("key")
    with pytest.raises(TransientError):
        await get(store, "key")
    assert (limit.limit, limit.busy) == (8, 0)


class _Refusing(MemoryStore):
    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        return dict.fromkeys(keys, THROTTLED)


async def test_a_batch_of_which_a_key_is_throttled_slows_down() -> None:
    limit = AdaptiveLimit(8)
    await AdaptiveStore(_Refusing(), limit).delete(["a", "b"])
    assert limit.limit == 4
