"""Everything that `dth` does on one machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from transferhub.control.specs import Spec
from transferhub.engine.progress import Observer, Summary
from transferhub.engine.report import write_report
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, RunError
from transferhub.hosts.carrier import Carrier, State, Verify
from transferhub.hosts.crew import WorkerProcesses
from transferhub.hosts.kinds import kind_of
from transferhub.hosts.locks import is_held
from transferhub.hosts.looking import Looker
from transferhub.hosts.settings import Settings
from transferhub.hosts.state import StatePlace
from transferhub.hosts.steering import Steering
from transferhub.model.clock import utc_now
from transferhub.model.run import RESUMABLE_STATES, Run, RunState, Task
from transferhub.model.transfer import (
    FailureGroup,
    RunId,
    Totals,
    TransferRecord,
)
from transferhub.plugins.objects.estimate import Preview
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.prices import load_prices
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.plugins.objects.verification import Verification

if TYPE_CHECKING:  # it looks at much that a transfer need not wait for
    from transferhub.hosts.doctor import Finding
    from transferhub.plugins.images.plan import Plan
    from transferhub.plugins.images.registry_location import RegistryLocation
    from transferhub.plugins.images.spec import ImagesSpec

T = TypeVar("T")
Talk = Callable[[str], None]


class LocalHost:
    """The composition root of one machine. Each verb runs an event loop of its own to its end."""

    def __init__(self, settings: Settings, *, talk: Talk, observer: Observer | None) -> None:
        self._settings = settings
        self._place = StatePlace.of(settings)
        self._talk = talk
        self._env = dict(os.environ)
        self._looker = Looker(settings.state, self._env, talk=talk)
        self._carrier = Carrier(self._place, self._env, talk=talk, observer=observer)

    # Transferring

    def transfer(
        self, spec: Spec, tuning: Tuning, *, resume: bool = True, verify: bool = False
    ) -> Summary:
        """Runs the transfer to its end, going on with an interrupted run of the same transfer.

        Raises:
            InputError: also where nothing of its kind can be verified by a second look.
        """
        second_look = self._second_look(spec) if verify else None

        async def steps(state: State, processes: WorkerProcesses, stop: asyncio.Event) -> Summary:
            spec.check_lists()
            task = await state.runs.task_of(spec.with_digests())
            former = await state.runs.unfinished(task)
            beside = await self._beside(state, spec, task)
            if not resume:
                await self._carrier.supersede(state, spec, tuning, [*former, *beside])
            elif beside:
                self._tell_of(beside)
            run = former[0] if former and resume else state.runs.new(task)
            return await self._carrier.carry(
                state, run, spec, processes, Steering(tuning, stop), verify=second_look
            )

        return self._with_workers(kind_of(spec.kind).tuned(spec, tuning), steps)

    def _second_look(self, spec: Spec) -> Verify:
        if not isinstance(spec, ObjectsSpec):
            raise InputError("verify", f"{spec.kind} are verified as they are copied; leave it out")
        return partial(self._looker.verified, spec)

    def resume(self, run: RunId, tuning: Tuning) -> Summary:
        """Goes on with a run that was stopped, killed or failed."""

        async def steps(state: State, processes: WorkerProcesses, stop: asyncio.Event) -> Summary:
            found, task = await state.runs.find(run)
            if found.state in {RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES}:
                raise InputError(
                    "run",
                    f"{found.ident} has ended ({found.state}), there is nothing to resume; start"
                    " the transfer again, or work on its failures with: dth redrive"
                    f" {found.ident}",
                )
            spec = kind_of(task.kind).parse(task.spec)
            spec.check_lists()
            self._refuse_kept(found)
            return await self._carrier.carry(state, found, spec, processes, Steering(tuning, stop))

        return self._with_workers(tuning, steps)

    def redrive(
        self, run: RunId, tuning: Tuning, *, code: str = "", key: str = "*"
    ) -> tuple[int, Summary | None]:
        """Queues dead letters again and works on them.

        Returns:
            How many, and how the run ends now.
        """

        async def steps(
            state: State, processes: WorkerProcesses, stop: asyncio.Event
        ) -> tuple[int, Summary | None]:
            found, task = await state.runs.find(run)
            spec = kind_of(task.kind).parse(task.spec)
            self._refuse_kept(found)
            scan = found.state in RESUMABLE_STATES
            if scan:
                spec.check_lists()
            count = await state.ledger.redrive(found.ident, code=code, key=key)
            if not count:
                return 0, None
            return count, await self._carrier.carry(
                state, found, spec, processes, Steering(tuning, stop), scan=scan
            )

        return self._with_workers(tuning, steps)

    def _refuse_kept(self, run: Run) -> None:
        """Raises RunError where a hub has the run."""
        waits = run.state is RunState.QUEUED
        kept = run.kept_until is not None and run.kept_until > utc_now()
        if waits or (run.state is RunState.RUNNING and kept):
            raise RunError(
                f"run {run.ident} is {'queued' if waits else 'carried'} by a hub; stop it there"
                " first, or let it go on",
                code="already_running",
            )

    async def _beside(self, state: State, spec: Spec, task: Task) -> list[Run]:
        """Interrupted runs of the same places with other options, newest first."""

        def is_of_same_places(other: Task) -> bool:
            try:
                read: Spec = kind_of(other.kind).parse(other.spec)
            except InputError:  # of another version
                return False
            return read.places == spec.places

        return [
            run
            for run, other in await state.runs.unfinished_beside(task)
            if is_of_same_places(other) and not self.is_worked_on(run.ident)
        ]

    def _tell_of(self, beside: Sequence[Run]) -> None:
        newest, *others = (run.ident for run in beside)
        more = f"; so are {len(others)} more, see dth runs" if others else ""
        self._talk(
            f"run {newest} from and to the same places, with other options, is unfinished: dth"
            f" resume {newest} goes on with it, and --no-resume here gives it up{more}"
        )

    # Looking

    def preview(self, spec: ObjectsSpec, prices: Path | None) -> Preview:
        """What a transfer would do; changes nothing."""
        table = load_prices(str(prices or self._settings.prices))
        return asyncio.run(self._looker.preview(spec, self._settings.tuning(), table))

    def plan_images(self, spec: ImagesSpec) -> Plan:
        """What a run of images would do; changes nothing."""
        from transferhub.hosts.image_plans import plan_images  # noqa: PLC0415 - as above

        tuning = self._settings.tuning()
        return asyncio.run(plan_images(spec, tuning, self._env, folder=self._settings.state))

    def verify(self, spec: ObjectsSpec) -> Verification:
        """Lists and compares both sides; changes nothing."""
        return asyncio.run(self._looker.compare(spec, self._settings.tuning()))

    def runs(self, limit: int) -> Sequence[tuple[Run, Task]]:
        """Newest first."""

        async def steps(state: State) -> Sequence[tuple[Run, Task]]:
            return await state.runs.latest(limit)

        return self._with_state(steps)

    def show(self, run: RunId) -> tuple[Run, Task, Totals]:
        async def steps(state: State) -> tuple[Run, Task, Totals]:
            found, task = await state.runs.find(run)
            return found, task, await state.ledger.totals(found.ident)

        return self._with_state(steps)

    def is_worked_on(self, run: RunId) -> bool:
        """Whether a process works on the run (its whole id) now."""
        return is_held(self._settings.state / "runs" / run / "lock")

    def failures(
        self, run: RunId, *, code: str, key: str, after: str, limit: int
    ) -> Sequence[TransferRecord]:
        async def steps(state: State) -> Sequence[TransferRecord]:
            found, _ = await state.runs.find(run)
            return await state.ledger.failures(
                found.ident, code=code, key=key, after=after, limit=limit
            )

        return self._with_state(steps)

    def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        async def steps(state: State) -> Sequence[FailureGroup]:
            found, _ = await state.runs.find(run)
            return await state.ledger.failure_groups(found.ident)

        return self._with_state(steps)

    def report(self, run: RunId) -> Path:
        """Path of the run's report, written anew where it is missing."""

        async def steps(state: State) -> Path:
            found, _ = await state.runs.find(run)
            path = self._settings.state / "runs" / found.ident / "report.csv.gz"
            if not path.exists():
                await write_report(path, state.ledger.transfers(found.ident))
            return path

        return self._with_state(steps)

    def doctor(self, locations: Sequence[Location | RegistryLocation]) -> Sequence[Finding]:
        """Settings, versions, and whether the places can be reached."""
        from transferhub.hosts.doctor import examine  # noqa: PLC0415 - as above

        return asyncio.run(examine(self._settings, locations))

    # The frame of every verb

    def _with_state(self, steps: Callable[[State], Awaitable[T]]) -> T:
        async def framed() -> T:
            async with AsyncExitStack() as stack:
                return await steps(await self._open(stack))

        return asyncio.run(framed())

    def _with_workers(
        self,
        tuning: Tuning,
        steps: Callable[[State, WorkerProcesses, asyncio.Event], Coroutine[Any, Any, T]],
    ) -> T:
        processes = WorkerProcesses(tuning.processes - 1)

        async def framed() -> T:
            async with AsyncExitStack() as stack:
                stop = self._stop_on_signals()
                return await steps(await self._open(stack), processes, stop)

        try:
            return asyncio.run(framed())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            processes.close()

    async def _open(self, stack: AsyncExitStack) -> State:
        return await State.open(self._place, stack)

    def _stop_on_signals(self) -> asyncio.Event:
        """Once: end what is under way and stop. Twice: at once."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        whole = asyncio.current_task()

        def on_signal() -> None:
            if stop.is_set() and whole is not None:
                whole.cancel()
                return
            self._talk("stopping: ending what is under way; once more stops at once")
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        return stop
