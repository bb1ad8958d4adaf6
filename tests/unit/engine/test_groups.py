"""Many steps at once, but not all."""

import asyncio

import pytest

from transferhub.engine.groups import each


async def test_results_come_in_the_order_of_the_items() -> None:
    under_way = most = 0

    async def step(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 * (5 - number % 5))
        under_way -= 1
        return number * 2

    assert await each(step, range(20), limit=4) == [number * 2 for number in range(20)]
    assert most == 4
    assert await each(step, [], limit=4) == []


async def test_the_first_error_is_raised_as_it_is_and_ends_the_others() -> None:
    ended = []

    async def step(number: int) -> None:
        if number == 1:
            raise ValueError(number)
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="1"):
        await asyncio.wait_for(each(step, range(9), limit=3), 5)
    assert sorted(ended) == [0, 2]
