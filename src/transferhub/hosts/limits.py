"""What the stores of one process keep to."""

from __future__ import annotations

from transferhub.engine.tuning import Tuning
from transferhub.stores.adaptive import AdaptiveLimit
from transferhub.stores.throttled import TokenBucket


class Limits:
    """They can change while the stores work."""

    def __init__(self, tuning: Tuning) -> None:
        self.requests = _bucket(tuning.requests, tuning)
        self.bandwidth = _bucket(tuning.bandwidth, tuning)
        self._tuning = tuning
        self._adaptive: list[AdaptiveLimit] = []

    def adaptive(self) -> AdaptiveLimit:
        """For one more endpoint."""
        limit = AdaptiveLimit(_most(self._tuning))
        self._adaptive.append(limit)
        return limit

    def retune(self, tuning: Tuning) -> None:
        """Changes the rates: those that there were, and any where the tuning was live."""
        self._tuning = tuning
        if self.requests is not None:
            self.requests.set_rate(tuning.requests)
        if self.bandwidth is not None:
            self.bandwidth.set_rate(tuning.bandwidth)
        for limit in self._adaptive:
            limit.set_most(_most(tuning))


def _bucket(rate: float | None, tuning: Tuning) -> TokenBucket | None:
    return TokenBucket(rate) if rate or tuning.live else None


def _most(tuning: Tuning) -> int:
    return max(tuning.concurrency, tuning.listers)
