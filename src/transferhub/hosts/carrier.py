"""Carries a run to its end, in this process and its worker processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from transferhub.control.runs import Runs
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.folders import writing
from transferhub.engine.progress import Observer, Summary
from transferhub.engine.report import write_report, write_summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import GuardError, InputError, TransferHubError
from transferhub.hosts.crew import Assignment, LocalCrew, WorkerProcesses
from transferhub.hosts.locks import only_process
from transferhub.hosts.looking import Looker
from transferhub.hosts.replications import Limits, open_replication
from transferhub.hosts.state import open_ledger, open_task_store
from transferhub.hosts.stores import describe_credentials
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import WorkerId
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.base import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered of tasks, runs and transfers."""

    ledger: Ledger
    runs: Runs

    @classmethod
    async def open(cls, folder: Path, database: str, stack: AsyncExitStack) -> State:
        """Opens it until `stack` ends.

        Raises:
            StateError: it cannot be used.
        """
        _make(folder)
        ledger = await open_ledger(database)
        stack.push_async_callback(ledger.aclose)
        tasks = await open_task_store(database)
        stack.push_async_callback(tasks.aclose)
        return cls(ledger=ledger, runs=Runs(tasks, ledger))


def _make(folder: Path) -> None:
    with writing("the state folder", folder):
        folder.mkdir(parents=True, exist_ok=True)


def run_folder(state: Path, run: Run) -> Path:
    """Where a run keeps its lock, its report and what it sorts."""
    return state / "runs" / run.ident


class Carrier:
    """Begins and ends runs, and has their work done."""

    def __init__(
        self,
        folder: Path,
        database: str,
        env: Mapping[str, str],
        *,
        talk: Callable[[str], None],
        observer: Observer | None,
    ) -> None:
        """Args:
        folder: of the state.
        database: URL of the same state, for worker processes.
        """
        self._folder = folder
        self._database = database
        self._env = env
        self._talk = talk
        self._observer = observer

    async def carry(
        self,
        state: State,
        run: Run,
        spec: ObjectsSpec,
        tuning: Tuning,
        processes: WorkerProcesses,
        stop: asyncio.Event,
        *,
        scan: bool = True,
        verify: bool = False,
    ) -> Summary:
        """Works on the run until it ends or `stop` is set.

        Raises:
            InputError: the spec cannot be carried out; where the run had begun, it has failed.
            RunError: another process works on it.
            StateError: the state cannot be used.
        """
        folder = run_folder(self._folder, run)
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
                    looker = Looker(self._folder, self._env, talk=self._talk)
                    summary = await looker.verified(summary, spec, tuning, stop)
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

    async def supersede(
        self, state: State, spec: ObjectsSpec, tuning: Tuning, former: Sequence[Run]
    ) -> None:
        """Ends interrupted runs for good: their uploads are aborted, nothing of them is resumed."""
        if not former:
            return
        replication = open_replication(spec, tuning, self._env)
        try:
            for run in former:
                with only_process(run_folder(self._folder, run) / "lock", f"run {run.ident}"):
                    await state.runs.supersede(run, replication, self._talk)
        finally:
            await replication.aclose()

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


def _guard(spec: ObjectsSpec) -> DeleteGuard:
    return DeleteGuard(
        delete=spec.mirror, most=spec.max_delete, most_percent=spec.max_delete_percent
    )
