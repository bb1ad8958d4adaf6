"""`Chronicle`: writes down what a run does while it is carried."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from transferhub.engine.progress import Phase, Progress
from transferhub.errors import StateError
from transferhub.hosts.hub_state import SharedState
from transferhub.hosts.logs import PACKAGE, LogBook, Mask
from transferhub.model.clock import Clock, utc_now
from transferhub.model.history import SAMPLE_EVERY, Sample
from transferhub.model.run import Run, TaskId
from transferhub.model.transfer import Action, RunId, Totals, TransferState
from transferhub.state.base import TaskStore
from transferhub.state.history import Logs, Samples

log = logging.getLogger(__name__)


class Chronicle:
    """Takes samples of one run, and tells its log of each phase. What cannot be written is missing
    later, and stops nothing."""

    def __init__(self, run: Run, samples: Samples, *, clock: Clock = utc_now) -> None:
        self._run = run
        self._samples = samples
        self._clock = clock
        self._seen: Progress | None = None
        self._phase: Phase | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, state: SharedState, run: Run, mask: Mask, *, worker: str
    ) -> AsyncIterator[Chronicle]:
        """Writes beside the work until the end, and then what is left.

        Args:
            worker: who carries the run.
        """

        async def task_of(_: RunId) -> TaskId:
            return run.task

        chronicle = cls(run, state.samples)
        book = LogBook(mask, task_of, run=run.ident, worker=worker)
        async with _logged(book, state.logs), _beside(chronicle.keep()):
            yield chronicle
        await chronicle.sample()

    def observe(self, progress: Progress) -> None:
        """Of the moment; the last one becomes the next sample."""
        self._seen = progress
        if progress.phase is not self._phase:
            self._phase = progress.phase
            log.info("%s", progress.phase.value, extra={"action": "run_phase"})

    def end(self, totals: Totals) -> None:
        """Of the run as it ended, or was given back."""
        self.observe(
            Progress(
                run=self._run.ident,
                phase=self._phase or Phase.REPORTING,
                listing=False,
                totals=totals,
                seconds=0.0,
            )
        )

    async def keep(self) -> None:
        """Takes samples until it is cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY.total_seconds())
            try:
                await self.sample()
            except Exception:
                log.exception("a sample is lost", extra={"action": "sample_failed"})

    async def sample(self) -> None:
        """Writes what was observed since the last one, if anything was."""
        progress, self._seen = self._seen, None
        if progress is not None:
            with suppress(StateError):
                await self._samples.add(
                    self._run.ident, self._run.task, to_sample(progress, self._clock())
                )


@asynccontextmanager
async def runs_logged(
    tasks: TaskStore, logs: Logs, mask: Mask, *, worker: str
) -> AsyncIterator[None]:
    """Keeps what this process logs about any run, until the end.

    Args:
        worker: this member of the fleet.
    """
    known: dict[RunId, TaskId] = {}

    async def task_of(ident: RunId) -> TaskId | None:
        if ident not in known:
            run = await tasks.get_run(ident)
            if run is None:
                return None
            known[ident] = run.task
            while len(known) > _MOST_KNOWN:
                del known[next(iter(known))]
        return known[ident]

    async with _logged(LogBook(mask, task_of, worker=worker), logs):
        yield


_MOST_KNOWN = 1_000


@asynccontextmanager
async def _logged(book: LogBook, logs: Logs) -> AsyncIterator[None]:
    package = logging.getLogger(PACKAGE)
    package.addHandler(book)
    try:
        async with _beside(book.keep(logs)):
            yield
    finally:
        package.removeHandler(book)
        await book.write(logs)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does the work until the end of the scope."""
    working = asyncio.ensure_future(work)
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def to_sample(progress: Progress, at: datetime) -> Sample:
    totals = progress.totals
    copied = totals.tally(Action.COPY, TransferState.DONE).count
    failed = sum(totals.tally(action, TransferState.FAILED).count for action in Action)
    return Sample(
        at=at,
        phase=progress.phase.value,
        listing=progress.listing,
        bytes=totals.moved_bytes + progress.part_bytes,
        objects=copied,
        failures=failed,
        deleted=totals.tally(Action.DELETE, TransferState.DONE).count,
        open=totals.open,
        workers=progress.workers,
        bytes_per_second=progress.bytes_per_second,
        objects_per_second=progress.objects_per_second,
        seconds_left=progress.seconds_left,
    )
