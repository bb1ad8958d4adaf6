"""How hard a run may work; nothing here changes what it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Attributes:
    processes: worker processes at most, of which the finder's process is one.
    as_needed: processes start when the work needs them, not all at once.
    concurrency: transfers under way at once, over all processes.
    listers: key ranges listed at once, at most: one list request of each side, and one ahead.
    memory_bytes: object bytes in flight, over all processes.
    bandwidth: bytes per second, over all processes; None for no limit.
    requests: requests per second, over all processes; None for no limit.
    attempts: of a transfer, before it is a dead letter.
    lease: how long a worker may be silent before its work goes to another one.
    drain: how long a stopping worker lets its transfers go on.
    patience: how long an endpoint may be unreachable before the run fails.
    timeout: longest silence of a server that was asked, before it is asked again.
    live: rates may come and go while the run is under way; to be ready for them costs a little.
    """

    processes: int = 1
    as_needed: bool = False
    concurrency: int = 64
    listers: int = 32
    memory_bytes: int = 256 << 20
    bandwidth: int | None = None
    requests: float | None = None
    attempts: int = 5
    lease: timedelta = timedelta(minutes=2)
    drain: timedelta = timedelta(seconds=10)
    patience: timedelta = timedelta(minutes=5)
    timeout: timedelta = timedelta(minutes=1)
    live: bool = False

    def share(self, processes: int) -> Tuning:
        """What one of so many processes may use."""
        return replace(
            self,
            processes=1,
            concurrency=max(1, -(-self.concurrency // processes)),
            memory_bytes=self.memory_bytes // processes,
            bandwidth=None if self.bandwidth is None else max(1, self.bandwidth // processes),
            requests=None if self.requests is None else self.requests / processes,
        )
