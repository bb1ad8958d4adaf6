"""Many requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_AT_ONCE = 16

_Member = TypeVar("_Member")
_Result = TypeVar("_Result")


async def together(
    work: Callable[[_Member], Awaitable[_Result]], members: Iterable[_Member]
) -> list[_Result]:
    """What the work gives for each, in their order. The first error ends the others, and is raised
    as it is."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(member: _Member) -> _Result:
        async with gate:
            return await work(member)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(member)) for member in members]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
