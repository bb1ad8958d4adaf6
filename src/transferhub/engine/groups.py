"""Small steps over asyncio's task groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


async def gather_bounded(
    step: Callable[[T], Awaitable[R]], items: Sequence[T], limit: int
) -> list[tuple[T, R]]:
    """Runs `step` over all items, `limit` at a time, and gives item and result in order.

    Raises:
        The first error of any step; the others are cancelled.
    """
    results: list[tuple[T, R]] = []
    for start in range(0, len(items), limit):
        batch = items[start : start + limit]
        results += zip(batch, await asyncio.gather(*map(step, batch)), strict=True)
    return results
