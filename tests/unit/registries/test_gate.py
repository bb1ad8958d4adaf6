import asyncio
import time

import pytest

from transferhub.registries.gate import Gate, RestingError
from transferhub.registries.requests import retry_after
from transferhub.stores.throttled import TokenBucket


async def test_no_more_than_so_many_are_under_way() -> None:
    gate, inside, most = Gate(3, None), 0, 0

    async def ask() -> None:
        nonlocal inside, most
        async with gate.entered():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(ask() for _ in range(20)))
    assert most == 3


async def test_requests_keep_their_distance() -> None:
    gate = Gate(10, TokenBucket(100))
    begun = time.monotonic()

    async def ask() -> None:
        async with gate.entered():
            pass

    await asyncio.gather(*(ask() for _ in range(11)))
    assert time.monotonic() - begun >= 0.09


async def test_a_registry_that_wants_to_be_left_alone_is_not_asked() -> None:
    gate = Gate(10, None)
    gate.throttled(30)
    assert 29 < gate.rest_seconds <= 30
    with pytest.raises(RestingError):
        async with gate.entered():
            pytest.fail("it was asked")
    gate.throttled(1)
    assert gate.rest_seconds > 29


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("", 0, 0),
        ("17", 17, 17),
        (" 3 ", 3, 3),
        ("-5", 0, 0),
        ("soon", 0, 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 86_400, 86_400),
        ("9" * 400, 86_400, 86_400),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, low: float, high: float) -> None:
    assert low <= retry_after(header) <= high
