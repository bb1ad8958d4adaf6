"""The runs of tasks: which one to go on with, how one begins and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from transferhub.control.specs import Spec
from transferhub.engine.progress import Summary
from transferhub.engine.replication import Replication
from transferhub.engine.report import document
from transferhub.errors import (
    ConflictError,
    InputError,
    LeaseLostError,
    RunError,
    StoreError,
    TransferHubError,
)
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import RunFilter
from transferhub.model.run import (
    RESUMABLE_STATES,
    UNDER_WAY_STATES,
    Run,
    RunState,
    Task,
    TaskId,
    Trigger,
)
from transferhub.model.transfer import RunId, WorkerId
from transferhub.state.base import Ledger, TaskStore

_ENDED_STATES = frozenset(RunState) - RESUMABLE_STATES - UNDER_WAY_STATES
_MOST_WORKERS = 2_000
_LOOK_BACK = 20
"""Earlier runs of a task that are asked for uploads that they left."""

_MOST_NAMED = 5


class Runs:
    """Finds, begins and ends runs. Verbs raise StateError where the state cannot be used."""

    def __init__(self, tasks: TaskStore, ledger: Ledger, *, clock: Clock = utc_now) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._clock = clock

    # Finding

    async def latest(self, limit: int) -> Sequence[tuple[Run, Task]]:
        """Newest first."""
        return [(run, await self._task(run)) for run in (await self._tasks.runs(limit=limit)).items]

    async def find(self, ident: RunId) -> tuple[Run, Task]:
        """The run of an id, of the start of one, or "last".

        Raises:
            InputError: there is none, or more than one.
        """
        exact = await self._tasks.get_run(ident)
        if exact is None:
            known = (await self._tasks.runs(limit=10_000)).items
            found = (
                known[:1] if ident == "last" else [r for r in known if r.ident.startswith(ident)]
            )
            if not found:
                raise InputError(
                    "run", f"there is no run {ident!r}; dth runs lists those that there are"
                )
            if len(found) > 1:
                names = ", ".join(run.ident for run in found[:_MOST_NAMED])
                raise InputError("run", f"{ident!r} may be any of {names}; write more of it")
            exact = found[0]
        return exact, await self._task(exact)

    async def unfinished(self, task: Task) -> list[Run]:
        """Runs that the same command goes on with, newest first: those that were stopped or killed,
        and the newest one where it failed with work left."""
        known = (await self._tasks.runs(RunFilter(task=task.ident))).items
        found = [run for run in known if run.state in RESUMABLE_STATES]
        if known and known[0].state is RunState.FAILED:
            totals = await self._ledger.totals(known[0].ident)
            if totals.open or totals.shards_done < totals.shards or totals.uploads:
                found.insert(0, known[0])
        return found

    async def unfinished_beside(self, task: Task) -> list[tuple[Run, Task]]:
        """Runs of other tasks of the same title that were stopped or killed, newest first: the same
        command with other options is another task."""
        chosen = RunFilter(states=tuple(sorted(RESUMABLE_STATES)), trigger=Trigger.COMMAND)
        runs = await self._tasks.runs(chosen)
        others = [(run, await self._tasks.get_task(run.task)) for run in runs.items]
        return [
            (run, other)
            for run, other in others
            if other is not None
            and other.ident != task.ident
            and (other.kind, other.name) == (task.kind, task.name)
        ]

    async def with_uploads(self, run: Run) -> list[RunId]:
        """Earlier ended runs of the same task that could not abort all of their uploads."""
        ended = await self._tasks.runs(
            RunFilter(task=run.task, states=tuple(sorted(_ENDED_STATES))), limit=_LOOK_BACK
        )
        others = [other.ident for other in ended.items if other.ident != run.ident]
        return [other for other in others if (await self._ledger.totals(other)).uploads]

    async def _task(self, run: Run) -> Task:
        """The task as it is, or as the run had it where it was deleted."""
        task = await self._tasks.get_task(run.task)
        task = task or await self._tasks.task_version(run.task, run.task_version)
        if task is None:
            raise RunError(f"run {run.ident} belongs to a task that is not there any more")
        return task

    # Beginning

    async def task_of(self, spec: Spec) -> Task:
        """The task of this spec; a new one where there is none.

        One whose parameters differ in what does not change its work takes over the new ones.
        """
        known = await self._tasks.find_task(spec.fingerprint())
        now = self._clock()
        if known is None:
            task = Task(
                ident=TaskId(self._new_ident()),
                name=spec.title,
                kind=spec.kind,
                spec=spec.to_json(),
                fingerprint=spec.fingerprint(),
                created_at=now,
                updated_at=now,
            )
            await self._tasks.create_task(task)
            return task
        if known.spec != spec.to_json():
            return await self._tasks.update_task(
                replace(known, spec=spec.to_json(), updated_at=now)
            )
        return known

    def new(self, task: Task) -> Run:
        """A run that is stored once it begins."""
        return Run(
            ident=RunId(self._new_ident()),
            task=task.ident,
            task_version=task.version,
            state=RunState.RUNNING,
            created_at=self._clock(),
        )

    async def begin(self, run: Run, workers: Sequence[WorkerId]) -> tuple[Run, list[WorkerId]]:
        """Records that these workers have the run now.

        Returns:
            The run, and the workers of its earlier starts, who are dead.
        """
        known = await self._tasks.get_run(run.ident)
        if known is None:
            await self._tasks.create_run(run)
            known = run
        # The former ones stay: this start may be killed before it has taken back what they held.
        everyone = dict.fromkeys([*workers, *known.workers])
        now = self._clock()

        def started(run: Run) -> Run:
            return replace(
                run,
                state=RunState.RUNNING,
                started_at=run.started_at or now,
                ended_at=None,
                workers=tuple(islice(everyone, _MOST_WORKERS)),
                resumed=run.resumed + (run.started_at is not None),
                error="",
                error_code="",
            )

        return await self._change(known, started), [WorkerId(w) for w in known.workers]

    def _new_ident(self) -> str:
        """Sorts by time, reads well: 20261124-093012-4f1a."""
        return f"{self._clock():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"

    # Ending

    async def end(self, run: Run, summary: Summary) -> None:
        """Records how the run ended.

        Raises:
            LeaseLostError: another keeper has it.
        """
        now = self._clock()

        def ended(run: Run) -> Run:
            return replace(
                run,
                state=summary.status,
                ended_at=now,
                error_code=summary.error_code,
                error=summary.error,
                workers=run.workers if summary.waiting else (),
                summary=document(summary),
            )

        await self._change(run, ended)

    async def _change(self, run: Run, changed: Callable[[Run], Run]) -> Run:
        """Changes the run, which people may give orders meanwhile."""
        while True:
            try:
                return await self._tasks.update_run(changed(run))
            except ConflictError:
                fresh = await self._tasks.get_run(run.ident)
                if fresh is None or fresh.keeper != run.keeper:
                    raise LeaseLostError(f"run {run.ident} is another process's now") from None
                run = fresh

    async def failed(self, run: Run, error: TransferHubError) -> Summary:
        """The end of a run that could not go on.

        Raises:
            TransferHubError: `error` itself, where the ledger cannot be asked.
        """
        try:
            totals = await self._ledger.totals(run.ident)
        except TransferHubError:
            raise error from None
        summary = Summary.of(run.ident, RunState.FAILED, totals, seconds=0.0)
        return replace(summary, error_code=error.code, error=error.message)

    async def supersede(
        self, run: Run, replication: Replication, talk: Callable[[str], None]
    ) -> None:
        """Ends an interrupted run for good: its uploads are aborted, nothing of it is resumed."""
        await self._ledger.reset(run.ident)
        for record in await self._ledger.uploads(run.ident):
            try:
                await replication.abort(record.upload)
            except StoreError as error:
                talk(
                    f"an upload of {record.upload.key!r} could not be aborted and will be tried"
                    f" again later: {error.message}"
                )
            else:
                await self._ledger.forget_upload(run.ident, record)
        await self._tasks.update_run(
            replace(
                run,
                state=RunState.FAILED,
                error_code="superseded",
                error="it was interrupted, and a later start was told not to resume it",
                ended_at=self._clock(),
                workers=(),
            )
        )
