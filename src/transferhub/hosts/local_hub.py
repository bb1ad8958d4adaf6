"""The verbs of a hub on the state of this machine, for whoever may write it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from transferhub.control.channels import ChannelView, Trial
from transferhub.control.people import NewToken
from transferhub.control.runs import Runs
from transferhub.control.tasks import TaskDraft
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_views import RunView, TaskView
from transferhub.hosts.local_events import LocalEvents
from transferhub.hosts.services import Services
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.fleet import Member
from transferhub.model.history import LogLevel, LogPage, OfRun
from transferhub.model.pages import Page, RunFilter, TaskFilter, TaskSort
from transferhub.model.people import (
    ApiToken,
    AuditEntry,
    Caller,
    Credential,
    CredentialKind,
    How,
    Role,
    Scope,
    User,
)
from transferhub.model.run import Run, Task, TaskId
from transferhub.model.transfer import FailureGroup, RunId, TransferRecord

T = TypeVar("T")

_PAGE = 1_000


class LocalHub:
    """Used in a `with`, which opens and closes the state. All is done as the administrator who
    typed the command, and noted so in the audit log."""

    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._me = Caller(name=user_name(), role=Role.ADMIN, how=How.COMMAND)

    def __enter__(self) -> Self:
        try:
            self._wait(self._open())
        except BaseException:
            self._close()
            raise
        return self

    async def _open(self) -> None:
        base, stack = self._settings.base, self._stack
        state = await open_hub_state(StatePlace.of(base), stack)
        self._hub = Services(state, self._settings, stack, public_url="").hub
        self._runs = Runs(state.tasks, state.ledger)
        self.events = LocalEvents(self._hub.events, self._me, self._wait)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._wait(self._stack.aclose())
        self._runner.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    # Tasks

    def task(self, ident: TaskId) -> TaskView:
        async def steps() -> TaskView:
            return await self._view(await self._hub.tasks.get(self._me, ident))

        return self._wait(steps())

    def tasks(
        self,
        chosen: TaskFilter,
        *,
        sort: TaskSort = TaskSort.NAME,
        after: str = "",
        limit: int = 100,
    ) -> Page[TaskView]:
        async def steps() -> Page[TaskView]:
            page = await self._hub.tasks.page(
                self._me, chosen, sort=sort, descending=False, after=after, limit=limit
            )
            items = [await self._view(task) for task in page.items]
            return Page(items=tuple(items), cursor=page.cursor, total=page.total)

        return self._wait(steps())

    async def _view(self, task: Task) -> TaskView:
        runs = await self._hub.orders.page(self._me, RunFilter(task=task.ident), limit=1)
        return TaskView(task=task, latest=next(iter(runs.items), None))

    def create_task(self, definition: Mapping[str, Any]) -> Task:
        return self._wait(self._hub.tasks.create(self._me, TaskDraft(**definition)))

    def update_task(self, ident: TaskId, definition: Mapping[str, Any], *, version: int) -> Task:
        draft = TaskDraft(**definition)
        return self._wait(self._hub.tasks.update(self._me, ident, draft, version=version))

    def clone_task(self, ident: TaskId, name: str) -> Task:
        return self._wait(self._hub.tasks.clone(self._me, ident, name))

    def pause_task(self, ident: TaskId) -> Task:
        return self._wait(self._hub.tasks.pause(self._me, ident))

    def resume_task(self, ident: TaskId) -> Task:
        return self._wait(self._hub.tasks.resume(self._me, ident))

    def limit_task(self, ident: TaskId, limits: Mapping[str, Any]) -> Task:
        return self._wait(self._hub.tasks.set_limits(self._me, ident, limits))

    def delete_task(self, ident: TaskId, *, purge: bool) -> None:
        self._wait(self._hub.tasks.delete(self._me, ident, purge=purge))

    def next_runs(self, ident: TaskId, count: int) -> Sequence[datetime]:
        return self._wait(self._hub.tasks.upcoming(self._me, ident, count))

    # Runs

    def runs(self, task: TaskId | None = None, *, limit: int) -> Sequence[Run]:
        page = self._wait(self._hub.orders.page(self._me, RunFilter(task=task), limit=limit))
        return page.items

    def run(self, ident: RunId) -> RunView:
        async def steps() -> RunView:
            run, _ = await self._runs.find(ident)
            (standing,) = await self._hub.orders.standings(self._me, [run])
            return RunView(run=run, standing=standing)

        return self._wait(steps())

    def start_run(self, task: TaskId) -> Run:
        return self._wait(self._hub.orders.start(self._me, task))

    def stop_run(self, ident: RunId, *, abandon: bool) -> Run:
        return self._wait(self._hub.orders.stop(self._me, ident, abandon=abandon))

    def retry_run(self, ident: RunId, *, code: str, key: str) -> tuple[int, Run]:
        return self._wait(self._hub.orders.retry(self._me, ident, code=code, key=key))

    def failures(
        self, ident: RunId, *, code: str, key: str, limit: int
    ) -> Sequence[TransferRecord]:
        return self._wait(
            self._hub.orders.failures(self._me, ident, code=code, key=key, limit=limit)
        )

    def failure_groups(self, ident: RunId) -> Sequence[FailureGroup]:
        return self._wait(self._hub.orders.failure_groups(self._me, ident))

    def logs(
        self, ident: RunId, *, level: str, words: str, after: int | None = None, limit: int
    ) -> LogPage:
        return self._wait(
            self._hub.history.logs(
                self._me,
                OfRun(ident),
                level=LogLevel(level),
                words=words,
                after=after,
                limit=limit,
            )
        )

    # The fleet

    def workers(self) -> Sequence[Member]:
        return self._wait(self._hub.workers.all(self._me))

    def drain_worker(self, ident: str) -> None:
        self._wait(self._hub.workers.drain(self._me, ident))

    # People

    def users(self) -> Sequence[User]:
        async def steps() -> Sequence[User]:
            found: list[User] = []
            while page := await self._hub.accounts.users(
                self._me, after=found[-1].name if found else "", limit=_PAGE
            ):
                found += page
            return found

        return self._wait(steps())

    def create_user(self, name: str, password: str, role: Role) -> User:
        return self._wait(self._hub.accounts.create_user(self._me, name, password, role))

    def set_user_role(self, name: str, role: Role) -> User:
        return self._wait(self._hub.accounts.set_role(self._me, name, role))

    def disable_user(self, name: str) -> User:
        return self._wait(self._hub.accounts.disable_user(self._me, name))

    def enable_user(self, name: str) -> User:
        return self._wait(self._hub.accounts.enable_user(self._me, name))

    def set_password(self, name: str, password: str) -> None:
        self._wait(self._hub.accounts.set_password(self._me, name, password))

    def create_link(self, name: str, role: Role, duration: timedelta) -> str:
        return self._wait(self._hub.accounts.create_link(self._me, name, role, duration=duration))

    def tokens(self) -> Sequence[ApiToken]:
        return self._wait(self._hub.accounts.tokens(self._me))

    def create_token(
        self, label: str, *, role: Role, duration: timedelta, scopes: Collection[Scope]
    ) -> NewToken:
        return self._wait(
            self._hub.accounts.create_token(
                self._me, label, role=role, duration=duration, scopes=scopes
            )
        )

    def revoke_token(self, ident: str) -> None:
        self._wait(self._hub.accounts.revoke_token(self._me, ident))

    # Credentials and the audit log

    def credentials(self) -> Sequence[Credential]:
        async def steps() -> Sequence[Credential]:
            found: list[Credential] = []
            while page := await self._hub.credentials.names(
                self._me, after=found[-1].name if found else "", limit=_PAGE
            ):
                found += page
            return found

        return self._wait(steps())

    def put_credential(
        self, name: str, kind: CredentialKind, fields: Mapping[str, str]
    ) -> Credential:
        return self._wait(self._hub.credentials.put(self._me, name, kind, fields))

    def delete_credential(self, name: str) -> None:
        self._wait(self._hub.credentials.delete(self._me, name))

    def rotate_credentials(self) -> int:
        return self._wait(self._hub.credentials.rotate(self._me))

    def channels(self) -> Sequence[ChannelView]:
        return self._wait(self._hub.channels.list(self._me))

    def put_channel(self, values: Mapping[str, Any]) -> ChannelView:
        return self._wait(self._hub.channels.put(self._me, values))

    def test_channel(self, name: str) -> Trial:
        return self._wait(self._hub.channels.test(self._me, name))

    def delete_channel(self, name: str) -> None:
        self._wait(self._hub.channels.delete(self._me, name))

    def audit(self, *, who: str, action: str, subject: str, limit: int) -> Sequence[AuditEntry]:
        return self._wait(
            self._hub.journal.entries(
                self._me, who=who, action=action, subject=subject, limit=limit
            )
        )


def user_name() -> str:
    """Of whoever typed the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "admin"
