"""How many ranges are worth listing at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

_LEAST = 4

_MARGIN = 4
"""So many times as many as the first page asks for: those that follow cost this thread less, since
connections are made and expressions compiled, and may take longer to come."""

_TICK_SECONDS = 1e-4
_LOOK_SECONDS = 0.5
_IDLE_SHARE = 0.5
_GAIN = 1.25


class Pace:
    """Finds how many ranges, listed at once, keep this thread busy. More are listed no faster, and
    of each there are pages in memory that wait to be compared.

    The wait for the first page tells how far away the servers are. Should the thread idle later on
    all the same, the number doubles, and doubles again where that has helped.
    """

    def __init__(
        self,
        most: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        """Args:
        clock, busy: seconds that passed, and seconds of them in which this thread worked.
        """
        self._most = most
        self._clock = clock
        self._busy = busy
        self._ranges = 0
        self._rate = 0.0  # pages per second when the number was last raised
        self._begin()

    @property
    def ranges(self) -> int:
        """How many there had better be; 0 while nothing is known."""
        return self._ranges

    def note_page(self) -> None:
        """A page was listed and compared, by the thread that made this."""
        self._pages += 1
        passed = self._clock() - self._began
        worked = self._busy() - self._worked
        if not self._ranges:
            waits = (passed - worked) / max(worked, _TICK_SECONDS)
            self._raise_to(max(_LEAST, ceil(_MARGIN * waits)))
            self._begin()
        elif passed >= _LOOK_SECONDS:
            rate = self._pages / passed
            if worked < passed * (1 - _IDLE_SHARE) and rate > self._rate * _GAIN:
                self._rate = rate
                self._raise_to(2 * self._ranges)
            self._begin()

    def _raise_to(self, ranges: int) -> None:
        self._ranges = min(self._most, ranges)

    def _begin(self) -> None:
        self._pages, self._began, self._worked = 0, self._clock(), self._busy()
