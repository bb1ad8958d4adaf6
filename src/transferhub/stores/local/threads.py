"""Blocking work, in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a thread and waits for its end, also when cancelled.

    A thread cannot be stopped: without the wait it would go on with files that the caller closes or
    deletes meanwhile. So `work` must be short: one step of a long copy, not all of it.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _ended(future)
        raise


async def _ended(future: asyncio.Future[T]) -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            # The first cancellation is on its way up; this one asks for the same.
            continue
    if not future.cancelled():
        future.exception()  # seen: nobody else will ask for it
