"""How often, and for how long, what may work later is tried again."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta


class Patience:
    """The pauses between the tries of one thing: each a random part of what doubles."""

    def __init__(self, within: timedelta, *, first: float = 0.05, longest: float = 5.0) -> None:
        """Args:
        within: for how long it is tried again.
        first: seconds, as is `longest`.
        """
        self._until = time.monotonic() + within.total_seconds()
        self._next = first
        self._longest = longest

    async def pause(self, *, at_least: float = 0.0) -> bool:
        """Waits; False, at once, where another try would come too late.

        Args:
            at_least: seconds that whoever is asked wants to be left alone.
        """
        wait = at_least + random.uniform(self._next / 2, self._next)
        if time.monotonic() + wait > self._until:
            return False
        await asyncio.sleep(wait)
        self._next = min(self._next * 2, self._longest)
        return True
