import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.limits import ByteBudget

Holder = tuple[int, int, bool]
"""Bytes, turns of the loop for which they are held, whether it is cancelled."""

holders = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 4), st.booleans()), min_size=1, max_size=20
)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@given(total=st.integers(1, 12), holders=holders, late=st.integers(0, 6))
def test_no_more_is_ever_held_than_there_is_and_all_of_it_comes_back(
    total: int, holders: list[Holder], late: int
) -> None:
    async def check() -> None:
        budget = ByteBudget(total)
        held = 0

        async def hold(size: int, times: int) -> None:
            nonlocal held
            async with budget.hold(size):
                held += min(size, total)
                try:
                    assert held <= total
                    assert 0 <= budget.free <= total - held
                    await turns(times)
                finally:
                    held -= min(size, total)

        tasks = [asyncio.create_task(hold(size, times)) for size, times, _ in holders]
        await turns(late)
        for task, (_, _, cancelled) in zip(tasks, holders, strict=True):
            if cancelled:
                task.cancel()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert {type(end) for end in ends} <= {type(None), asyncio.CancelledError}
        assert (held, budget.free) == (0, total)

    asyncio.run(check())


@given(totals=st.lists(st.integers(1, 12), min_size=1, max_size=6), holders=holders)
def test_a_budget_that_is_resized_lets_everyone_through_and_ends_whole(
    totals: list[int], holders: list[Holder]
) -> None:
    async def check() -> None:
        budget = ByteBudget(6)

        async def hold(size: int, times: int) -> None:
            async with budget.hold(size):
                await turns(times)

        tasks = [asyncio.create_task(hold(size, times)) for size, times, _ in holders]
        for total in totals:
            await turns(1)
            budget.resize(total)
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        assert budget.free == budget.total == totals[-1]

    asyncio.run(check())


@given(st.lists(st.integers(0, 12), min_size=1, max_size=20))
def test_bytes_are_handed_out_in_order_of_asking(sizes: list[int]) -> None:
    async def check() -> None:
        budget, order = ByteBudget(10), list[int]()

        async def hold(number: int) -> None:
            async with budget.hold(sizes[number]):
                order.append(number)
                await turns(3)

        await asyncio.gather(*(hold(number) for number in range(len(sizes))))
        assert order == list(range(len(sizes)))

    asyncio.run(check())


async def test_small_ones_do_not_overtake_a_large_one_for_ever() -> None:
    budget, large_had_its_turn = ByteBudget(10), asyncio.Event()

    async def large() -> None:
        async with budget.hold(10):
            large_had_its_turn.set()

    async with AsyncExitStack() as held:
        await held.enter_async_context(budget.hold(1))
        waiting = asyncio.create_task(large())
        await turns(1)
        small = asyncio.create_task(held.enter_async_context(budget.hold(1)))
        await turns(3)
        assert not small.done()
        small.cancel()
    await asyncio.wait_for(waiting, 5)
    assert large_had_its_turn.is_set()


async def test_who_asks_for_more_than_there_is_gets_everything_alone() -> None:
    budget = ByteBudget(10)
    async with AsyncExitStack() as later:
        async with budget.hold(1_000):
            assert budget.free == 0
            second = asyncio.create_task(later.enter_async_context(budget.hold(1)))
            await turns(2)
            assert not second.done()
        await asyncio.wait_for(second, 5)
        assert budget.free == 9


async def test_one_that_was_given_bytes_and_cancelled_at_once_gives_them_back() -> None:
    budget = ByteBudget(10)
    async with budget.hold(10):
        waiting = asyncio.create_task(budget.hold(10).__aenter__())
        await turns(1)
    waiting.cancel()  # its turn has come, and it does not know yet
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.free == 10
