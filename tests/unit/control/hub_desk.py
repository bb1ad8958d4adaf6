"""The verbs on tasks and runs, over state in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from transferhub.control.journal import Journal
from transferhub.control.orders import Orders, ScheduledRuns
from transferhub.control.specs import Spec
from transferhub.control.tasks import Admit, TaskDraft, Tasks
from transferhub.model.people import AuditEntry, Caller, How, Role
from transferhub.model.run import Run, RunState, Task
from transferhub.model.transfer import (
    Difference,
    Failure,
    RunId,
    Transfer,
    WorkerId,
)
from transferhub.plugins.objects.spec import parse_spec
from transferhub.state.memory import MemoryLedger, MemoryTaskStore
from transferhub.state.memory.people import MemoryAudit

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOURLY = {"cron": "0 * * * *"}


def caller(role: Role) -> Caller:
    return Caller(name=f"the {role}", role=role, how=How.SESSION)


ADMIN, OPERATOR, VIEWER = map(caller, (Role.ADMIN, Role.OPERATOR, Role.VIEWER))


def draft(**given: Any) -> TaskDraft:
    values = {
        "name": "Photos",
        "kind": "objects",
        "spec": {"source": "s3://a", "destination": "s3://b"},
        **given,
    }
    return TaskDraft(**values)


async def admit_all(_: Spec) -> None:
    return


class HubDesk:
    def __init__(self, admit: Admit = admit_all) -> None:
        self.now = START
        numbers = count(1)
        names: dict[str, Any] = {
            "clock": lambda: self.now,
            "new_ident": lambda: f"id-{next(numbers):03}",
        }
        self.store = MemoryTaskStore(lambda: self.now)
        self.ledger = MemoryLedger(lambda: self.now)
        self.journal = Journal(MemoryAudit(), lambda: self.now)
        plugins = {"objects": parse_spec}
        self.tasks = Tasks(self.store, self.ledger, self.journal, plugins, admit=admit, **names)
        self.orders = Orders(self.store, self.ledger, self.journal, **names)
        self.scheduled = ScheduledRuns(self.store, **names)

    async def task(self, **given: Any) -> Task:
        return await self.tasks.create(OPERATOR, draft(**given))

    async def claimed(self, task: Task) -> Run:
        """A run of the task that a keeper carries."""
        await self.orders.start(OPERATOR, task.ident)
        run = await self.store.claim_run("keeper", timedelta(minutes=1))
        assert run is not None
        return run

    async def ended(self, task: Task, state: RunState = RunState.SUCCEEDED) -> Run:
        run = await self.claimed(task)
        return await self.store.update_run(replace(run, state=state, ended_at=self.now))

    async def dead_letters(self, run: RunId, *keys: str) -> None:
        """Records transfers and fails them for good."""
        await self.ledger.record(run, [Transfer(key, Difference.NEW, 5) for key in keys])
        leases = await self.ledger.lease(
            run, WorkerId("w"), limit=99, max_bytes=1 << 30, duration=timedelta(minutes=1)
        )
        await self.ledger.fail([Failure(lease, "denied", "no", None) for lease in leases])

    async def audit(self) -> Sequence[AuditEntry]:
        return await self.journal.entries(ADMIN)
