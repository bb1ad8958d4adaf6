"""Everything that `dth` does on one machine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from transferhub.control.runs import Runs
from transferhub.engine.compare import CompareMode
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.folders import writing
from transferhub.engine.groups import unless
from transferhub.engine.progress import Observer, Summary
from transferhub.engine.report import write_report, write_summary
from transferhub.engine.survey import Survey
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import GuardError, InputError, TransferHubError
from transferhub.hosts.crew import Assignment, LocalCrew, WorkerProcesses
from transferhub.hosts.doctor import Finding, examine
from transferhub.hosts.locks import is_held, only_process
from transferhub.hosts.replications import Limits, open_replication
from transferhub.hosts.settings import Settings
from transferhub.hosts.state import database_url, open_ledger, open_task_store
from transferhub.hosts.stores import describe_credentials
from transferhub.model.run import RESUMABLE_STATES, Run, RunState, Task
from transferhub.model.transfer import (
    Difference,
    FailureGroup,
    RunId,
    ScanCounts,
    Totals,
    Transfer,
    TransferRecord,
    WorkerId,
)
from transferhub.plugins.objects.estimate import Preview
from transferhub.plugins.objects.key_lists import refuse_bad_lists, with_digests
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.prices import PriceTable, load_prices
from transferhub.plugins.objects.replication import ObjectReplication
from transferhub.plugins.objects.sample import WorkSample
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.plugins.objects.verification import Verification, verdict
from transferhub.state.base import Ledger

T = TypeVar("T")
Talk = Callable[[str], None]

_FIRST_DIFFERENCES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    ledger: Ledger
    runs: Runs


class LocalHost:
    """The composition root of one machine. Each verb runs an event loop of its own to its end."""

    def __init__(self, settings: Settings, *, talk: Talk, observer: Observer | None) -> None:
        self._settings = settings
        self._env = dict(os.environ)
        self._database = database_url(settings)
        self._talk = talk
        self._observer = observer

    # Transferring

    def transfer(
        self, spec: ObjectsSpec, tuning: Tuning, *, resume: bool = True, verify: bool = False
    ) -> Summary:
        """Runs the transfer to its end, going on with an interrupted run of the same transfer."""

        async def steps(state: _State, processes: WorkerProcesses, stop: asyncio.Event) -> Summary:
            refuse_bad_lists(spec)
            task = await state.runs.task_of(with_digests(spec))
            former = await state.runs.unfinished(task)
            beside = await self._beside(state, spec, task)
            if not resume:
                await self._supersede(state, spec, tuning, [*former, *beside])
            elif beside:
                self._tell_of(beside)
            run = former[0] if former and resume else state.runs.new(task)
            return await self._execute(state, run, spec, tuning, processes, stop, verify=verify)

        return self._with_workers(tuning, steps)

    def resume(self, run: RunId, tuning: Tuning) -> Summary:
        """Goes on with a run that was stopped, killed or failed."""

        async def steps(state: _State, processes: WorkerProcesses, stop: asyncio.Event) -> Summary:
            found, task = await state.runs.find(run)
            if found.state in {RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES}:
                raise InputError(
                    "run",
                    f"{found.ident} has ended ({found.state}), there is nothing to resume; start"
                    " the transfer again, or work on its failures with: dth redrive"
                    f" {found.ident}",
                )
            spec = ObjectsSpec.from_json(task.spec)
            refuse_bad_lists(spec)
            return await self._execute(state, found, spec, tuning, processes, stop)

        return self._with_workers(tuning, steps)

    def redrive(
        self, run: RunId, tuning: Tuning, *, code: str = "", key: str = "*"
    ) -> tuple[int, Summary | None]:
        """Queues dead letters again and works on them.

        Returns:
            How many, and how the run ends now.
        """

        async def steps(
            state: _State, processes: WorkerProcesses, stop: asyncio.Event
        ) -> tuple[int, Summary | None]:
            found, task = await state.runs.find(run)
            spec = ObjectsSpec.from_json(task.spec)
            scan = found.state in RESUMABLE_STATES
            if scan:
                refuse_bad_lists(spec)
            count = await state.ledger.redrive(found.ident, code=code, key=key)
            if not count:
                return 0, None
            return count, await self._execute(
                state, found, spec, tuning, processes, stop, scan=scan
            )

        return self._with_workers(tuning, steps)

    async def _execute(
        self,
        state: _State,
        run: Run,
        spec: ObjectsSpec,
        tuning: Tuning,
        processes: WorkerProcesses,
        stop: asyncio.Event,
        *,
        scan: bool = True,
        verify: bool = False,
    ) -> Summary:
        folder = self._settings.state / "runs" / run.ident
        limits = Limits(tuning)
        async with AsyncExitStack() as stack:
            # First: what was typed wrong leaves no trace of a run.
            replication = open_replication(spec, tuning, self._env, limits=limits)
            stack.push_async_callback(replication.aclose)
            self._warn(spec)
            stack.enter_context(only_process(folder / "lock", f"run {run.ident}"))
            pids = (os.getpid(), *processes.pids())
            workers = [WorkerId(f"{run.ident}.{pid}") for pid in pids]
            run, former = await state.runs.begin(run, workers)
            try:
                own = Worker(
                    ident=workers[0],
                    run=run.ident,
                    ledger=state.ledger,
                    replication=replication,
                    tuning=tuning,
                )
                crew = LocalCrew(
                    own,
                    limits,
                    processes,
                    self._assignments(run, workers[1:], spec, tuning),
                    state.ledger,
                    tuning=tuning,
                )
                job = Job(
                    run=run.ident,
                    ledger=state.ledger,
                    replication=replication,
                    crew=crew,
                    guard=_guard(spec),
                    destination=spec.destination.url,
                    folder=folder,
                    former_workers=former,
                    earlier_runs=await state.runs.with_uploads(run),
                    scan=scan,
                )
                summary = await Execution(job, talk=self._talk, observer=self._observer).run(stop)
                if verify and summary.status is not RunState.CANCELLED:
                    summary = await self._verified(summary, spec, tuning, stop)
                    write_summary(folder / "summary.json", summary)
            except InputError as error:
                await state.runs.end(run, await state.runs.failed(run, error))
                raise
            except GuardError as error:
                summary = await state.runs.failed(run, error)
                path = folder / "report.csv.gz"
                noted = await write_report(path, state.ledger.transfers(run.ident))
                summary = replace(summary, noted=noted, report=str(path))
            except TransferHubError as error:
                summary = await state.runs.failed(run, error)
            await state.runs.end(run, summary)
            return summary

    def _warn(self, spec: ObjectsSpec) -> None:
        for location in (spec.source, spec.destination):
            for warning in describe_credentials(location, self._env).warnings:
                self._talk(warning)

    def _assignments(
        self, run: Run, workers: Sequence[WorkerId], spec: ObjectsSpec, tuning: Tuning
    ) -> list[Assignment]:
        return [
            Assignment(
                run=run.ident,
                worker=worker,
                database=self._database,
                spec=spec.to_json(),
                tuning=tuning,
            )
            for worker in workers
        ]

    async def _beside(self, state: _State, spec: ObjectsSpec, task: Task) -> list[Run]:
        """Interrupted runs of the same places with other options, newest first."""

        def is_of_same_places(other: Task) -> bool:
            try:
                return ObjectsSpec.from_json(other.spec).places == spec.places
            except InputError:  # of another version
                return False

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

    async def _supersede(
        self, state: _State, spec: ObjectsSpec, tuning: Tuning, former: Sequence[Run]
    ) -> None:
        """Ends interrupted runs for good: their uploads are aborted, nothing of them is resumed."""
        if not former:
            return
        replication = open_replication(spec, tuning, self._env)
        try:
            for run in former:
                folder = self._settings.state / "runs" / run.ident
                with only_process(folder / "lock", f"run {run.ident}"):
                    await state.runs.supersede(run, replication, self._talk)
        finally:
            await replication.aclose()

    async def _verified(
        self, summary: Summary, spec: ObjectsSpec, tuning: Tuning, stop: asyncio.Event
    ) -> Summary:
        """The summary with what a second look at both sides finds, by etags where they tell."""
        self._talk("verifying: both sides are listed and compared again")
        never_replaced = spec.compare is CompareMode.MISSING_ONLY
        mode = CompareMode.MISSING_ONLY if never_replaced else CompareMode.ETAG
        try:
            comparison = self._compare(spec.model_copy(update={"compare": mode}), tuning)
            found = await unless(stop, comparison)
        except TransferHubError as error:
            sentence = f"the copies ended, but could not be verified: {error.message}"
            return replace(summary, status=RunState.FAILED, error_code=error.code, error=sentence)
        if found is None:
            note = "the copies ended, and were not verified"
            return replace(summary, status=RunState.CANCELLED, notes=(*summary.notes, note))
        note, equal = verdict(found, mirror=spec.mirror)
        status = summary.status
        if not equal and status is RunState.SUCCEEDED:
            status = RunState.COMPLETED_WITH_FAILURES
        return replace(summary, status=status, notes=(*summary.notes, note))

    # Looking

    def preview(self, spec: ObjectsSpec, prices: Path | None) -> Preview:
        """What a transfer would do; changes nothing."""
        table = load_prices(str(prices or self._settings.prices))
        return asyncio.run(self._preview(spec, table))

    async def _preview(self, spec: ObjectsSpec, prices: PriceTable) -> Preview:
        async with self._looking(spec, self._settings.tuning()) as replication:
            sample = WorkSample(spec, server_copy=replication.server_side)
            survey = Survey(sample.see, sample.forget)
            return sample.preview(await self._survey(replication, survey), prices)

    def verify(self, spec: ObjectsSpec) -> Verification:
        """Lists and compares both sides; changes nothing."""
        return asyncio.run(self._compare(spec, self._settings.tuning()))

    async def _compare(self, spec: ObjectsSpec, tuning: Tuning) -> Verification:
        started = time.monotonic()
        differences: list[tuple[str, Difference]] = []

        def see(transfer: Transfer) -> None:
            if transfer.difference is Difference.EXTRA and not spec.mirror:
                return
            if len(differences) < _FIRST_DIFFERENCES:
                differences.append((transfer.key, transfer.difference))

        async with self._looking(spec, tuning) as replication:
            scan = await self._survey(replication, Survey(see, differences.clear))
        unequal = scan.new + scan.changed + scan.archived + (scan.extra if spec.mirror else 0)
        return Verification(
            scan=scan,
            differences=differences,
            seconds=time.monotonic() - started,
            equal=not unequal,
        )

    async def _survey(self, replication: ObjectReplication, survey: Survey) -> ScanCounts:
        spool = self._settings.state / "spool"
        with writing("the folder", spool):
            spool.mkdir(parents=True, exist_ok=True)
        await replication.check()
        await replication.find(RunId("survey"), survey, spool, self._talk)
        return survey.counts

    @asynccontextmanager
    async def _looking(self, spec: ObjectsSpec, tuning: Tuning) -> AsyncIterator[ObjectReplication]:
        """A replication that nothing is copied with."""
        replication = open_replication(spec, tuning, self._env, looking=True)
        try:
            yield replication
        finally:
            await replication.aclose()

    def runs(self, limit: int) -> Sequence[tuple[Run, Task]]:
        """Newest first."""

        async def steps(state: _State) -> Sequence[tuple[Run, Task]]:
            return await state.runs.latest(limit)

        return self._with_state(steps)

    def show(self, run: RunId) -> tuple[Run, Task, Totals]:
        async def steps(state: _State) -> tuple[Run, Task, Totals]:
            found, task = await state.runs.find(run)
            return found, task, await state.ledger.totals(found.ident)

        return self._with_state(steps)

    def is_worked_on(self, run: RunId) -> bool:
        """Whether a process works on the run (its whole id) now."""
        return is_held(self._settings.state / "runs" / run / "lock")

    def failures(
        self, run: RunId, *, code: str, key: str, after: str, limit: int
    ) -> Sequence[TransferRecord]:
        async def steps(state: _State) -> Sequence[TransferRecord]:
            found, _ = await state.runs.find(run)
            return await state.ledger.failures(
                found.ident, code=code, key=key, after=after, limit=limit
            )

        return self._with_state(steps)

    def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        async def steps(state: _State) -> Sequence[FailureGroup]:
            found, _ = await state.runs.find(run)
            return await state.ledger.failure_groups(found.ident)

        return self._with_state(steps)

    def report(self, run: RunId) -> Path:
        """Path of the run's report, written anew where it is missing."""

        async def steps(state: _State) -> Path:
            found, _ = await state.runs.find(run)
            path = self._settings.state / "runs" / found.ident / "report.csv.gz"
            if not path.exists():
                await write_report(path, state.ledger.transfers(found.ident))
            return path

        return self._with_state(steps)

    def doctor(self, locations: Sequence[Location]) -> Sequence[Finding]:
        """Settings, versions, and whether the places can be reached."""
        return asyncio.run(examine(self._settings, locations))

    # The frame of every verb

    def _with_state(self, steps: Callable[[_State], Awaitable[T]]) -> T:
        async def framed() -> T:
            async with AsyncExitStack() as stack:
                return await steps(await self._open_state(stack))

        return asyncio.run(framed())

    def _with_workers(
        self,
        tuning: Tuning,
        steps: Callable[[_State, WorkerProcesses, asyncio.Event], Coroutine[Any, Any, T]],
    ) -> T:
        processes = WorkerProcesses(tuning.processes - 1)

        async def framed() -> T:
            async with AsyncExitStack() as stack:
                stop = self._stop_on_signals()
                return await steps(await self._open_state(stack), processes, stop)

        try:
            return asyncio.run(framed())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            processes.close()

    async def _open_state(self, stack: AsyncExitStack) -> _State:
        with writing("the state folder", self._settings.state):
            self._settings.state.mkdir(parents=True, exist_ok=True)
        ledger = await open_ledger(self._database)
        stack.push_async_callback(ledger.aclose)
        tasks = await open_task_store(self._database)
        stack.push_async_callback(tasks.aclose)
        return _State(ledger=ledger, runs=Runs(tasks, ledger))

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


def _guard(spec: ObjectsSpec) -> DeleteGuard:
    return DeleteGuard(
        delete=spec.mirror, most=spec.max_delete, most_percent=spec.max_delete_percent
    )
