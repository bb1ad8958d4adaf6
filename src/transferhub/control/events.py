"""`Events`: what people say of where a task hears of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.secrets import NewSecret
from transferhub.control.tasks import find_task
from transferhub.control.vault import Credentials
from transferhub.errors import InputError
from transferhub.model.clock import Clock
from transferhub.model.event import EventSource, EventStatus, SourceKind
from transferhub.model.faults import raise_faults
from transferhub.model.people import Caller, CredentialKind, Role, Scope
from transferhub.model.run import Task, TaskId
from transferhub.plugins.objects.notifications import Arrangement
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.base import TaskStore
from transferhub.state.events import Inbox
from transferhub.state.people import Vault

CheckUrl = Callable[[str, str], Awaitable[None]]
"""Raises InputError where the hub may not reach a URL; takes it and its field's name."""


class Notifier(Protocol):
    """Sets up at a source what an arrangement says. Verbs raise StoreError."""

    async def add(self, arrangement: Arrangement) -> None:
        """Idempotent; what others set up stays as it is."""

    async def remove(self, arrangement: Arrangement) -> bool:
        """Takes ours away; False where there was nothing."""


class Events:
    """Every verb checks the caller's role first; what changes something is noted in the audit
    log."""

    def __init__(
        self,
        store: TaskStore,
        inbox: Inbox,
        journal: Journal,
        credentials: Credentials,
        vault: Vault,
        notifier: Notifier,
        *,
        check_url: CheckUrl,
        clock: Clock,
        new_secret: NewSecret,
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._journal = journal
        self._credentials = credentials
        self._vault = vault
        self._notifier = notifier
        self._check_url = check_url
        self._clock = clock
        self._new_secret = new_secret

    # Looking

    async def status(self, caller: Caller, ident: TaskId) -> EventStatus:
        authorise(caller, Role.VIEWER)
        task = await find_task(self._store, ident)
        return EventStatus(
            source=EventSource.from_json(task.events) if task.events else None,
            waiting=await self._inbox.count(ident),
            since=(await self._inbox.lag()).get(ident),
        )

    async def arrangement(self, caller: Caller, ident: TaskId, *, hub_url: str) -> Arrangement:
        """What is to be set up at the source.

        Raises:
            InputError: the task hears of no changes.
        """
        authorise(caller, Role.VIEWER)
        return _arrangement(await find_task(self._store, ident), hub_url)

    # Changing

    async def set_source(self, caller: Caller, ident: TaskId, values: Mapping[str, Any]) -> Task:
        """Has the task hear of changes, or not any more.

        Args:
            values: as `EventSource.from_json` reads them; {} for nowhere, and events that wait are
                forgotten.

        Raises:
            InputError: naming each field; nothing is changed then.
        """
        authorise(caller, Role.OPERATOR)
        task = await find_task(self._store, ident)
        if not values:
            changed = await self._replace(caller, task, {})
            await self._inbox.forget(ident)
            return changed
        raise_faults(_unfit(task))
        source = EventSource.from_json(values)
        await self._check(source)
        return await self._replace(caller, task, source.to_json())

    async def new_token(self, caller: Caller, ident: TaskId) -> tuple[Task, str]:
        """Has the task hear of changes over HTTP, from whoever has the token, which is told now and
        never again. A former token of the task does not hold any more."""
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        task = await find_task(self._store, ident)
        raise_faults(_unfit(task))
        token, name = self._new_secret(), f"events-{ident}"
        await self._credentials.put(caller, name, CredentialKind.TOKEN, {"token": token})
        source = EventSource(kind=SourceKind.WEBHOOK, credential=name)
        return await self._replace(caller, task, source.to_json()), token

    async def set_up(self, caller: Caller, ident: TaskId) -> Arrangement:
        """Sets up the bucket's notification and the queue's policy.

        Raises:
            InputError: the task has no queue.
            StoreError
        """
        arrangement = await self._ours(caller, ident)
        await self._notifier.add(arrangement)
        await self._journal.note(caller, "task.events.add", ident, after=arrangement.notification())
        return arrangement

    async def take_down(self, caller: Caller, ident: TaskId) -> bool:
        """Takes away what `set_up` did; what others set up stays. False where there was nothing.

        Raises:
            InputError: the task has no queue.
            StoreError
        """
        arrangement = await self._ours(caller, ident)
        removed = await self._notifier.remove(arrangement)
        if removed:
            before = arrangement.notification()
            await self._journal.note(caller, "task.events.remove", ident, before=before)
        return removed

    # Steps

    async def _ours(self, caller: Caller, ident: TaskId) -> Arrangement:
        authorise(caller, Role.OPERATOR)
        arrangement = _arrangement(await find_task(self._store, ident), "")
        if not arrangement.can_apply:
            raise InputError("events", "only the notifications of a queue can be set up from here")
        return arrangement

    async def _check(self, source: EventSource) -> None:
        for name in ("queue_url", "endpoint"):
            if url := getattr(source, name):
                await self._check_url(url, f"events.{name}")
        if source.credential:
            kind = CredentialKind.KEYS if source.kind is SourceKind.SQS else CredentialKind.TOKEN
            sealed = await self._vault.get(source.credential)
            if sealed is None or sealed.credential.kind is not kind:
                raise InputError(
                    "events.credential",
                    f"there is no stored credential {source.credential[:128]!r} of kind {kind}",
                )

    async def _replace(self, caller: Caller, task: Task, events: Mapping[str, Any]) -> Task:
        updated = await self._store.update_task(
            replace(task, events=events, updated_at=self._clock())
        )
        await self._journal.note(
            caller,
            "task.events",
            task.ident,
            before={"events": task.events},
            after={"events": updated.events},
        )
        return updated


def _arrangement(task: Task, hub_url: str) -> Arrangement:
    if not task.events:
        raise InputError("events", "the task hears of no changes; say where it is to")
    spec, source = ObjectsSpec.from_json(task.spec), EventSource.from_json(task.events)
    return Arrangement.of(task.ident, spec, source, hub_url=hub_url)


def _unfit(task: Task) -> list[InputError]:
    """Why no events can be followed."""
    if task.kind != ObjectsSpec.kind:
        return [InputError("events", f"a task of kind {task.kind} follows none")]
    spec = ObjectsSpec.from_json(task.spec)
    faults = []
    if spec.source.scheme == "file":
        faults.append(InputError("events", "a file:// source tells of no changes"))
    if spec.manifest:
        faults.append(InputError("events", "a manifest names each key, and events name others"))
    return faults
