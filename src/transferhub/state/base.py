"""The ports of state: the ledger of transfers, the store of tasks and runs, seats and the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from transferhub.model.fleet import Load, Member
from transferhub.model.pages import ALL_RUNS, ALL_TASKS, Page, RunFilter, TaskFilter, TaskSort
from transferhub.model.run import Run, Task, TaskId
from transferhub.model.seat import Seat
from transferhub.model.transfer import (
    Failure,
    FailureGroup,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    Shard,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    UploadRecord,
    WorkerId,
)


class Ledger(Protocol):
    """The durable record and queue of transfers; the only truth about what is done.

    Every verb is atomic and durable when it returns. Delivery is at least once: work is leased
    again when its lease runs out. A lease fences: what comes with a stale one changes nothing and
    is reported back. `record` and `complete` are idempotent by (run, key). All verbs may be called
    from many processes; one instance from one event loop. Verbs raise StateError where the state
    cannot be reached or written (a full disk).
    """

    @property
    def gather(self) -> timedelta:
        """For how long it pays to gather ends of work before they are told, to lease work ahead,
        and to wait before totals are looked at again: longer where each verb has its price."""

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        """Adds transfers and replaces the shards' progress, together or not at all.

        A key that the run has already is left as it is.

        Returns:
            How many transfers were added.
        """

    async def replace(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> bool:
        """As `record`, but a key that the run has already begins anew, with all its attempts.

        Returns:
            False where one of the keys is open: nothing was written then.
        """

    async def known(self, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
        """What the run has of these keys, without history."""

    async def shards(self, run: RunId) -> Sequence[Shard]: ...

    async def lease(
        self,
        run: RunId,
        worker: WorkerId,
        *,
        limit: int,
        max_bytes: int,
        duration: timedelta,
    ) -> Sequence[Lease]:
        """Up to `limit` pieces of work that may start now, [] where there are none.

        Stops adding work once its sizes exceed `max_bytes` (deletes and FINISH weigh nothing), but
        gives at least one where there is one. Parts, FINISH and whole transfers share each batch,
        so that none starves. Each lease counts as one attempt.
        """

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        """Extends leases to `duration` from now. Returns those that were lost."""

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        """Ends transfers; the upload of a FINISH is forgotten, any other one is abandoned.

        Returns:
            The leases that were lost; nothing was recorded for them.
        """

    async def complete_parts(self, outcomes: Sequence[PartOutcome]) -> Sequence[Lease]:
        """Ends parts. When all parts of a transfer have ended, its FINISH can be leased.

        Returns:
            The leases that were lost; nothing was recorded for them.
        """

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        """Ends attempts: work waits until `retry_at`, or its transfer becomes a dead letter.

        A dead letter's and a fresh transfer's parts are dropped (their leases are lost) and its
        upload is abandoned.

        Returns:
            The leases that were lost; nothing was recorded for them.
        """

    async def release(self, leases: Sequence[Lease]) -> None:
        """Gives work back unstarted: it waits again and the attempt is not counted. Lost leases are
        passed over."""

    async def reclaim(self, run: RunId, workers: Sequence[WorkerId]) -> int:
        """Takes back all leases of workers that are known to be dead; their attempts are not
        counted. Returns how many pieces of work wait again."""

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        """Keeps the upload of a leased transfer, or the intent to create it, in place of what it
        had.

        Raises:
            LeaseLostError
        """

    async def save_parts(self, lease: Lease, upload: Upload, parts: Sequence[Part]) -> None:
        """Keeps the upload and queues its parts: the transfer is IN_PARTS and its lease ends.

        Raises:
            LeaseLostError
        """

    async def uploads(self, run: RunId) -> Sequence[UploadRecord]:
        """All uploads and intents of the run that are neither completed nor forgotten."""

    async def forget_upload(self, run: RunId, record: UploadRecord) -> None:
        """Removes an abandoned upload after it was aborted; does nothing for any other."""

    async def release_held(self, run: RunId) -> int:
        """Lets the HELD deletes be leased; returns how many."""

    async def totals(self, run: RunId) -> Totals:
        """Exact, and cheap enough to be asked for every second, whatever the run holds."""

    async def part_bytes(self, run: RunId) -> int:
        """Bytes of the parts that have ended, of transfers that have not."""

    async def failures(
        self, run: RunId, *, code: str = "", key: str = "*", after: str = "", limit: int = 1_000
    ) -> Sequence[TransferRecord]:
        """Dead letters with their history, by key, from after the key `after`.

        Args:
            code: only this error code; "" for all.
            key: glob over the whole key (`*` and `?` match any characters, also `/`; `[...]` sets).
        """

    async def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        """Dead letters counted by code, most first."""

    async def redrive(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> int:
        """Queues dead letters again with all their attempts; the history stays. Returns how many.

        Args:
            code: see `failures`.
            key: see `failures`.
            keys: only these; any where it is empty.
        """

    async def page(
        self,
        run: RunId,
        *,
        prefix: str = "",
        states: Sequence[TransferState] = (),
        code: str = "",
        after: str = "",
        limit: int = 100,
    ) -> Page[TransferRecord]:
        """Some transfers by key, with their history and without a total; cheap whatever the run
        holds. To keep it so, a page may have fewer than `limit`, even none, before the last one:
        only an empty cursor tells that nothing follows.

        Args:
            prefix: what their keys start with.
            states: only these; all where it is empty.
            code: only this error code, which FAILED and SKIPPED transfers have; "" for all.

        Raises:
            InputError: `after` is no cursor of a list of transfers.
        """

    def transfers(
        self, run: RunId, *, states: Sequence[TransferState] = ()
    ) -> AsyncIterator[TransferRecord]:
        """All transfers of the run (in these states), by key, without history, read in pages."""

    async def reset(self, run: RunId) -> None:
        """Forgets the run's shards and transfers, so that it is scanned anew. Leases are lost,
        uploads are abandoned (and stay known until they are forgotten)."""

    async def purge(self, run: RunId) -> None:
        """Forgets everything of the run, in steps: where it was interrupted, once more goes on."""

    async def ledgers(self, *, after: str = "", limit: int = 1_000) -> Sequence[RunId]:
        """The runs of which something is known, in a fixed order, from after `after`."""

    async def aclose(self) -> None: ...


class RunStore(Protocol):
    """The durable record of runs, and the queue from which keepers claim them.

    Updates carry the version that was read and are refused with ConflictError where another writer
    came first. Verbs are atomic and durable when they return; many processes may use them.
    """

    async def create_run(self, run: Run) -> Run:
        """Returns the run as it is kept: where its task has one of this `scheduled_at`, that one,
        and nothing was created. Raises ConflictError where the id is taken."""

    async def get_run(self, ident: RunId) -> Run | None: ...

    async def update_run(self, run: Run) -> Run:
        """Replaces the run of `run.version`; returns it with its new version. `keeper` and
        `kept_until` stay as they are kept: they change by the three verbs below alone."""

    async def runs(
        self, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        """Newest first, without a total.

        Raises:
            InputError: `after` is no cursor of this list.
        """

    async def latest_runs(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Run]:
        """The newest run of each of these tasks that has one."""

    async def claim_run(self, keeper: str, duration: timedelta) -> Run | None:
        """Gives a run to `keeper`, RUNNING and of a new version, until `duration` from now.

        First those whose keeper let `kept_until` pass, then QUEUED ones, oldest first; never one
        that is RUNNING and had no keeper. None where there are none. One keeper gets it.
        """

    async def keep_run(self, run: Run, duration: timedelta) -> Run:
        """Keeps the run until `duration` from now; returns it as it is, with its `order`. Its
        version stays, so that this is no other writer's conflict.

        Raises:
            LeaseLostError: another keeper has it, or it does not run any more.
        """

    async def expired_runs(
        self, before: datetime, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        """Runs that ended before, oldest first, without a total: none that is under way or was
        interrupted, and none that is its task's newest.

        Raises:
            InputError: `after` is no cursor of this list.
        """

    async def delete_run(self, run: Run) -> bool:
        """Whether it was there, of this version, and not under way. What the ledger knows of it
        stays: see `Ledger.purge`."""

    async def unknown_runs(self, idents: Sequence[RunId]) -> Sequence[RunId]:
        """Those of these that there are not."""

    async def release_run(self, run: Run) -> None:
        """Queues the run again, of a new version; does nothing where `run.keeper` has it not."""

    async def untold_runs(self, *, limit: int = 100) -> Sequence[Run]:
        """Runs of the hub that have ended since `note_told`, those that ended first first."""

    async def note_told(self, run: Run) -> None:
        """Notes that people were told of the run's `ended_at`. Its version stays."""

    async def aclose(self) -> None: ...


class TaskStore(RunStore, Protocol):
    """The durable record of tasks and their runs."""

    async def create_task(self, task: Task) -> None:
        """Raises ConflictError where the id is taken."""

    async def get_task(self, ident: TaskId) -> Task | None: ...

    async def find_task(self, fingerprint: str, *, owner: str = "") -> Task | None:
        """The newest task of this fingerprint and owner."""

    async def update_task(self, task: Task) -> Task:
        """Replaces the task of `task.version`; returns it with its new version. The former one is
        kept."""

    async def task_version(self, ident: TaskId, version: int) -> Task | None:
        """The task as it was; also after it was deleted, if its runs were kept."""

    async def task_versions(self, ident: TaskId, *, limit: int = 100) -> Sequence[Task]:
        """The newest first, which is the task as it is."""

    async def delete_task(self, ident: TaskId, *, with_runs: bool) -> bool:
        """Deletes the task, and its runs and versions if asked; False where there is no task. What
        the ledger knows of its runs stays: see `Ledger.purge`. Runs may go in steps, the task last:
        where it was interrupted, once more goes on."""

    async def tasks(
        self,
        chosen: TaskFilter = ALL_TASKS,
        *,
        sort: TaskSort = TaskSort.CREATED,
        descending: bool = True,
        after: str = "",
        limit: int = 100,
    ) -> Page[Task]:
        """With their total. Equal ones come in the order of their creation.

        Raises:
            InputError: `after` is no cursor of this list and sort.
        """

    async def due_tasks(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int = 100
    ) -> Sequence[Task]:
        """ACTIVE tasks with a `next_run_at` up to `until`, by it and by id, from after `after`."""

    async def event_tasks(self) -> Sequence[Task]:
        """Those with `events`, by id, whatever their state."""

    async def plan_task(
        self, ident: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        """Sets `next_run_at` where it still is `known`; returns whether it was. The version stays,
        so that this is no other writer's conflict."""


class Seats(Protocol):
    """Named seats, each held by one holder at most: who may act where only one may."""

    async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
        """Takes or keeps the seat for `duration` from now; None where another one holds it.

        Atomic and durable when it returns. Whoever holds a seat keeps its number; each new holder
        has a greater one. A duration of zero gives the seat up.

        Raises:
            StateError
        """

    async def aclose(self) -> None: ...


class Fleet(Protocol):
    """The processes of a hub that were seen lately, and what they carry.

    Verbs are atomic and durable when they return; many processes may use them.
    """

    async def register(self, member: Member) -> None:
        """Enters a process; replaces what is known of its id."""

    async def heartbeat(self, ident: str, load: Load) -> Member | None:
        """Notes that the process lives and what it carries; None where it is not known (any more):
        it must register again. Returns it with `draining`."""

    async def drain(self, ident: str) -> bool:
        """Asks a process to finish; False where it is not known."""

    async def members(self, *, after: str = "", limit: int = 1_000) -> Sequence[Member]:
        """By id, from after the id `after`."""

    async def leave(self, ident: str) -> None: ...

    async def forget(self, before: datetime) -> Sequence[Member]:
        """Removes those not seen since `before` and returns them, by id: each is returned to one
        caller."""

    async def aclose(self) -> None: ...
