"""Waiting that a stop cuts short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

Wait = Callable[[asyncio.Event, timedelta], Awaitable[None]]
"""Returns once the event is set, after the duration at the latest."""


async def wait(stop: asyncio.Event, duration: timedelta) -> None:
    """The `Wait` of real time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), duration.total_seconds())
