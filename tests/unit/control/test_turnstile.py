import asyncio
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.control.turnstile import Patience, Turnstile, address_key
from transferhub.errors import TooManyError
from transferhub.state.memory import MemoryPeople

PATIENCE = Patience(
    free=2,
    first=timedelta(seconds=10),
    longest=timedelta(seconds=35),
    forget=timedelta(minutes=10),
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def turnstile(clock: FakeClock) -> Turnstile:
    return Turnstile(MemoryPeople(), clock)


async def wait_of(turnstile: Turnstile) -> float:
    with pytest.raises(TooManyError, match="try again in") as caught:
        await turnstile.enter("k", PATIENCE)
    return caught.value.wait.total_seconds()


async def test_pauses_grow_to_the_longest(turnstile: Turnstile, clock: FakeClock) -> None:
    waits = []
    await turnstile.enter("k", PATIENCE)
    await turnstile.enter("k", PATIENCE)
    for _ in range(4):
        await turnstile.enter("k", PATIENCE)
        waits.append(await wait_of(turnstile))
        clock.advance(waits[-1])
    assert waits == [10, 20, 35, 35]


async def test_a_try_during_a_pause_does_not_make_it_longer(
    turnstile: Turnstile, clock: FakeClock
) -> None:
    for _ in range(3):
        await turnstile.enter("k", PATIENCE)
    clock.advance(4)
    assert [await wait_of(turnstile) for _ in range(3)] == [6, 6, 6]
    await turnstile.enter("other", PATIENCE)


async def test_many_tries_at_once_are_counted_one_by_one(turnstile: Turnstile) -> None:
    results = await asyncio.gather(
        *(turnstile.enter("k", PATIENCE) for _ in range(50)), return_exceptions=True
    )
    assert results.count(None) == 3
    assert sum(isinstance(result, TooManyError) for result in results) == 47


async def test_old_failures_are_forgotten(turnstile: Turnstile, clock: FakeClock) -> None:
    for _ in range(3):
        await turnstile.enter("k", PATIENCE)
    clock.advance(600)
    for _ in range(3):
        await turnstile.enter("k", PATIENCE)
    assert await wait_of(turnstile) == 10


async def test_a_try_that_succeeded_counts_for_nothing(turnstile: Turnstile) -> None:
    for _ in range(10):
        await turnstile.enter("k", PATIENCE)
        await turnstile.give_back("k")
    for _ in range(3):
        await turnstile.enter("k", PATIENCE)
    await turnstile.forgive("k")
    await turnstile.enter("k", PATIENCE)
    await turnstile.forgive("unknown")
    await turnstile.give_back("unknown")


def test_the_addresses_of_one_customer_are_one() -> None:
    assert address_key("2001:db8:1:2::3") == address_key("2001:db8:1:2:ffff::9%eth0")
    assert address_key("2001:db8:1:2::3") != address_key("2001:db8:1:3::3")
    assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1")
    assert address_key("192.0.2.1") != address_key("192.0.2.2")
    assert len(address_key("x" * 1_000)) < 100
