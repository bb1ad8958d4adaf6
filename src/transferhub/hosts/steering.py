"""`Steering`: what is asked of a run while it is carried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from transferhub.engine.tuning import Tuning


class _Crew(Protocol):
    def retune(self, tuning: Tuning) -> None: ...


class Steering:
    """Attributes:
    stop: once it is set, what is under way ends (for `Tuning.drain` at most), and the rest is kept.
    handed_over: the run is given back and goes on elsewhere or later; it has not ended.
    """

    def __init__(self, tuning: Tuning, stop: asyncio.Event | None = None) -> None:
        self.stop = stop or asyncio.Event()
        self.handed_over = False
        self._tuning = tuning
        self._fit: Callable[[Tuning], Tuning] = lambda tuning: tuning
        self._crew: _Crew | None = None

    @property
    def tuning(self) -> Tuning:
        return self._tuning

    def attach(self, crew: _Crew) -> None:
        """From now on this is who is steered."""
        self._crew = crew

    def fit(self, fit: Callable[[Tuning], Tuning]) -> None:
        """From now on limits are cut to what this run takes of them."""
        self._fit = fit
        self.retune(self._tuning)

    def retune(self, tuning: Tuning) -> None:
        """Changes the limits of all together."""
        tuning = self._fit(tuning)
        if tuning != self._tuning:
            self._tuning = tuning
            if self._crew is not None:
                self._crew.retune(tuning)

    def abandon(self) -> None:
        """Stops without waiting for what is under way."""
        self.retune(replace(self._tuning, drain=timedelta()))
        self.stop.set()

    def hand_over(self) -> None:
        """Stops, and the run goes on elsewhere or later."""
        self.handed_over = not self.stop.is_set() or self.handed_over
        self.stop.set()
