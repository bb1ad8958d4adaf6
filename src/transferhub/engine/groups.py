"""Small steps over asyncio's task groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group of groups: what a caller without groups wants to see."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def unless(stop: asyncio.Event, step: Awaitable[T]) -> T | None:
    """Carries out `step`; None where `stop` was set first, which cancels it."""
    task = asyncio.ensure_future(step)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopped):
            one.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


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
