"""Carries a run to its end, in this process and its worker processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from transferhub.control.keeper import worker_ids
from transferhub.control.runs import Runs
from transferhub.control.specs import Spec
from transferhub.engine.execution import Execution, Guard, Job
from transferhub.engine.progress import Observer, Summary
from transferhub.engine.replication import Find, Replication
from transferhub.engine.report import write_report, write_summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import GuardError, InputError, TransferHubError
from transferhub.hosts.credentials import Lent
from transferhub.hosts.crew import Assignment, LocalCrew, WorkerProcesses
from transferhub.hosts.kinds import kind_of
from transferhub.hosts.limits import Limits
from transferhub.hosts.locks import only_process
from transferhub.hosts.state import Adapters, StatePlace, adapters_of, make_folder
from transferhub.hosts.steering import Steering
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import WorkerId
from transferhub.state.base import Ledger, TaskStore

Verify = Callable[[Summary, Tuning, asyncio.Event], Awaitable[Summary]]
"""A second look at both sides at the end of a run, until the event is set: the summary with what it
finds."""


class Events(Protocol):
    """What a run looks at that does not list."""

    @property
    def guard(self) -> Guard:
        """Of its deletes."""

    def find(self, replication: Replication) -> Find:
        """Finds instead of the replication's own finder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered of tasks, runs and transfers."""

    ledger: Ledger
    tasks: TaskStore
    runs: Runs

    @classmethod
    async def open(cls, place: StatePlace, stack: AsyncExitStack) -> State:
        """Opens it until `stack` ends.

        Raises:
            InputError: the place cannot be understood.
            StateError: it cannot be used.
        """
        adapters = adapters_of(place, stack)
        make_folder(place.folder)
        return await cls.among(adapters)

    @classmethod
    async def among(cls, adapters: Adapters) -> State:
        """Raises StateError where it cannot be used."""
        ledger, tasks = await adapters.ledger(), await adapters.tasks()
        return cls(ledger=ledger, tasks=tasks, runs=Runs(tasks, ledger))


def run_folder(state: Path, run: Run) -> Path:
    """Where a run keeps its lock, its report and what it sorts."""
    return state / "runs" / run.ident


class Carrier:
    """Begins and ends runs, and has their work done."""

    def __init__(
        self,
        place: StatePlace,
        env: Mapping[str, str],
        *,
        talk: Callable[[str], None],
        observer: Observer | None,
        holder: str = "",
        lent: Lent | None = None,
    ) -> None:
        """Args:
        place: of the state.
        holder: names this process in the ids of its workers; "" takes its process id.
        lent: by a hub; None where there is none.
        """
        self._place = place
        self._env = env
        self._talk = talk
        self._observer = observer
        self._holder = holder or str(os.getpid())
        self._lent = lent

    async def carry(
        self,
        state: State,
        run: Run,
        spec: Spec,
        processes: WorkerProcesses,
        steering: Steering,
        *,
        scan: bool = True,
        verify: Verify | None = None,
        events: Events | None = None,
    ) -> Summary:
        """Works on the run until it ends or `steering` stops it. One that is handed over has not
        ended, whatever the summary says: its keeper gives it back.

        Args:
            verify: at its end, unless it was stopped.
            events: the run looks at what these name, and does not list.

        Raises:
            InputError: the spec cannot be carried out; where the run had begun, it has failed.
            RunError: another process works on it.
            StateError: the state cannot be used.
        """
        folder = run_folder(self._place.folder, run)
        steering.fit(partial(kind_of(spec.kind).tuned, spec))
        limits = Limits(steering.tuning)
        async with AsyncExitStack() as stack:
            # First: what was typed wrong leaves no trace of a run.
            replication = self._open(spec, steering.tuning, limits)
            stack.push_async_callback(replication.aclose)
            self._warn(spec)
            stack.enter_context(only_process(folder / "lock", f"run {run.ident}"))
            workers = self._workers(run, processes, steering)
            run, former = await state.runs.begin(run, workers)
            try:
                crew = self._crew(state, run, spec, steering, limits, replication, processes)
                job = Job(
                    run=run.ident,
                    ledger=state.ledger,
                    replication=replication,
                    crew=crew,
                    guard=events.guard if events else spec.guard,
                    destination=spec.destination.url,
                    noun=spec.noun,
                    folder=folder,
                    former_workers=former,
                    earlier_runs=await state.runs.with_uploads(run),
                    scan=scan,
                    find=events.find(replication) if events else None,
                )
                summary = await Execution(job, talk=self._talk, observer=self._observer).run(
                    steering.stop
                )
                if steering.handed_over and summary.status is RunState.CANCELLED:
                    return summary
                if verify is not None and summary.status is not RunState.CANCELLED:
                    summary = await verify(summary, steering.tuning, steering.stop)
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

    async def join(
        self,
        state: State,
        run: Run,
        spec: Spec,
        processes: WorkerProcesses,
        steering: Steering,
    ) -> None:
        """Works on a run that another process carries, until `steering` stops it.

        Raises:
            TransferHubError: what stopped a worker; the run is not touched by it.
        """
        steering.fit(partial(kind_of(spec.kind).tuned, spec))
        limits = Limits(steering.tuning)
        replication = self._open(spec, steering.tuning, limits)
        try:
            # An earlier process of this holder may have died with them.
            workers = self._workers(run, processes, steering)
            await state.ledger.reclaim(run.ident, workers)
            crew = self._crew(state, run, spec, steering, limits, replication, processes)
            await crew.work(steering.stop)
        finally:
            await replication.aclose()

    def _workers(self, run: Run, processes: WorkerProcesses, steering: Steering) -> list[WorkerId]:
        count = min(1 + len(processes), steering.tuning.processes)
        return worker_ids(run.ident, self._holder, count)

    def _crew(
        self,
        state: State,
        run: Run,
        spec: Spec,
        steering: Steering,
        limits: Limits,
        replication: Replication,
        processes: WorkerProcesses,
    ) -> LocalCrew:
        own, *others = self._workers(run, processes, steering)
        worker = Worker(
            ident=own,
            run=run.ident,
            ledger=state.ledger,
            replication=replication,
            tuning=steering.tuning,
        )
        assignments = self._assignments(run, others, spec, steering.tuning)
        crew = LocalCrew(
            worker, limits, processes, assignments, state.ledger, tuning=steering.tuning
        )
        steering.attach(crew)
        return crew

    async def supersede(
        self, state: State, spec: Spec, tuning: Tuning, former: Sequence[Run]
    ) -> None:
        """Ends interrupted runs for good: their uploads are aborted, nothing of them is resumed."""
        if not former:
            return
        replication = self._open(spec, tuning)
        try:
            for run in former:
                with only_process(run_folder(self._place.folder, run) / "lock", f"run {run.ident}"):
                    await state.runs.supersede(run, replication, self._talk)
        finally:
            await replication.aclose()

    def _open(self, spec: Spec, tuning: Tuning, limits: Limits | None = None) -> Replication:
        return kind_of(spec.kind).open(
            spec,
            tuning,
            self._env,
            limits=limits,
            lent=self._lent,
            folder=self._place.folder,
        )

    def _warn(self, spec: Spec) -> None:
        for warning in kind_of(spec.kind).warnings(spec, self._env, self._lent):
            self._talk(warning)

    def _assignments(
        self, run: Run, workers: Sequence[WorkerId], spec: Spec, tuning: Tuning
    ) -> list[Assignment]:
        return [
            Assignment(
                run=run.ident,
                worker=worker,
                place=self._place,
                kind=spec.kind,
                spec=spec.to_json(),
                tuning=tuning,
                lent=self._lent,
            )
            for worker in workers
        ]
