"""What an error means for a transfer, its run and the next attempt."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random

from transferhub.errors import ThrottledError, TransferHubError
from transferhub.model.transfer import Failure, Lease

MACHINE_CODES = frozenset({"clock_skew", "disk_full", "state_full"})
"""Errors of this machine, which every other transfer would meet too, whatever it reaches."""

FATAL_CODES = MACHINE_CODES | {
    "no_credentials",
    "bad_credentials",
    "expired_credentials",
    "no_bucket",
    "wrong_region",
    "tls",
}
"""Errors that every other transfer between the same two places would meet too: the run fails, and
keeps its work for a resume."""

PATIENT_CODES = frozenset({"throttled", "unreachable"})
"""Errors of an endpoint and not of an object: they do not count as attempts while the endpoint is
given time."""

_FIRST_DELAY = timedelta(seconds=1)
_LONGEST_DELAY = timedelta(minutes=1)
_DOUBLINGS = 6
"""After so many the delay is the longest one."""

_PATIENT_DELAY = timedelta(seconds=2)

_LONGEST_WAIT = timedelta(days=1)
"""No server that says how long to wait is believed more."""

_MOST_PATIENCE = 50
"""Uncounted attempts of a throttled key, so that one that alone draws such answers ends too. Where
nobody answers, the run's patience ends it."""


class RetryPolicy:
    """Turns errors into failures with the time of the next attempt: delays double, and are spread
    over their upper half. A server that says how long to wait is not asked before."""

    def __init__(self, *, attempts: int, random: Random) -> None:
        self._attempts = attempts
        self._random = random
        self._waived: Counter[str] = Counter()

    def judge(self, lease: Lease, error: TransferHubError, now: datetime) -> Failure:
        if self._waives(lease, error):
            delay = max(_PATIENT_DELAY * self._random.uniform(0.5, 1.5), _told_wait(error))
            return Failure(lease, error.code, error.message, now + delay, counted=False)
        if not error.retryable or lease.attempt >= self._attempts:
            self.forget(lease.transfer.key)
            return Failure(lease, error.code, error.message, None)
        longest = min(_FIRST_DELAY * 2 ** min(lease.attempt - 1, _DOUBLINGS), _LONGEST_DELAY)
        delay = max(longest * self._random.uniform(0.5, 1.0), _told_wait(error))
        return Failure(lease, error.code, error.message, now + delay)

    def _waives(self, lease: Lease, error: TransferHubError) -> bool:
        if not isinstance(error, ThrottledError):
            return error.code in PATIENT_CODES
        self._waived[lease.transfer.key] += 1
        return self._waived[lease.transfer.key] <= _MOST_PATIENCE

    def forget(self, key: str) -> None:
        """The key has ended."""
        self._waived.pop(key, None)


def _told_wait(error: TransferHubError) -> timedelta:
    told = error.retry_after if isinstance(error, ThrottledError) else None
    return min(told or timedelta(), _LONGEST_WAIT)
