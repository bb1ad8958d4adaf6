"""A task that hears of changes, over state in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.control.hub_desk import OPERATOR, HubDesk, admit_all, draft
from transferhub.control.events import Events
from transferhub.control.intake import Intake
from transferhub.control.key_ring import GivenKeys
from transferhub.control.tasks import Tasks
from transferhub.control.vault import Credentials
from transferhub.errors import InputError
from transferhub.model.event import EventKind, ObjectEvent
from transferhub.model.run import Task
from transferhub.plugins.objects.notifications import Arrangement
from transferhub.plugins.objects.spec import parse_spec
from transferhub.state.memory import MemoryInbox, MemoryVault

SPEC = {"source": "s3://photos/in/", "destination": "s3://copies/"}
SQS = {"kind": "sqs", "queue_url": "https://sqs.eu-west-1.amazonaws.com/111122223333/q"}
BLOCKED = "http://169.254.169.254/q"


class FakeNotifier:
    """Keeps what was set up, by its name."""

    def __init__(self) -> None:
        self.there: dict[str, Arrangement] = {}

    async def add(self, arrangement: Arrangement) -> None:
        self.there[arrangement.ident] = arrangement

    async def remove(self, arrangement: Arrangement) -> bool:
        return self.there.pop(arrangement.ident, None) is not None


class SourceDesk(HubDesk):
    def __init__(self) -> None:
        super().__init__()
        plugins = {"objects": parse_spec, "images": parse_spec}
        self.tasks = Tasks(
            self.store,
            self.ledger,
            self.journal,
            plugins,
            admit=admit_all,
            clock=lambda: self.now,
            new_ident=iter("abcdefgh").__next__,
        )
        self.inbox = MemoryInbox(lambda: self.now)
        self.vault = MemoryVault()
        ring = GivenKeys("A" * 43 + "=")
        self.credentials = Credentials(self.vault, ring, self.journal, lambda: self.now)
        self.notifier = FakeNotifier()
        secrets = iter(f"token {number}" for number in range(9))
        self.events = Events(
            self.store,
            self.inbox,
            self.journal,
            self.credentials,
            self.vault,
            self.notifier,
            check_url=_check_url,
            clock=lambda: self.now,
            new_secret=secrets.__next__,
        )
        self.intake = Intake(self.store, self.inbox, self.credentials, clock=lambda: self.now)

    async def task(self, **given: Any) -> Task:
        return await self.tasks.create(OPERATOR, draft(**{"spec": SPEC, **given}))

    async def following(self, **events: str) -> Task:
        return await self.store.update_task(replace(await self.task(), events=events or SQS))

    async def waiting(self, task: Task) -> Sequence[str]:
        return [at.key for at in await self.inbox.waiting(task.ident, limit=99)]

    async def tell(self, task: Task, key: str = "in/a") -> None:
        await self.inbox.put(task.ident, [ObjectEvent("photos", key, EventKind.CREATED)])

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def _check_url(url: str, field: str) -> None:
    if url == BLOCKED:
        raise InputError(field, "is not reached", code="blocked_address")
