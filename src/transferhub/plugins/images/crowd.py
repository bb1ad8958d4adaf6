"""Many steps at once, but not all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from transferhub.engine.groups import first_error

T = TypeVar("T")
R = TypeVar("R")


async def each(step: Callable[[T], Awaitable[R]], items: Iterable[T], *, limit: int) -> list[R]:
    """Results of the step for all items, in their order.

    Args:
        limit: steps under way at once; the next one starts when any has ended.

    Raises:
        The first error of any step; the others are cancelled.
    """
    todo = [*items]
    rest = enumerate(todo)
    found: dict[int, R] = {}

    async def work() -> None:
        for at, item in rest:
            found[at] = await step(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(todo))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return [found[at] for at in range(len(found))]
