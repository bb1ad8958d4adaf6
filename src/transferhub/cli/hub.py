"""What the commands ask of a hub. `hosts.local_hub` answers on this machine's state,
`hosts.remote` asks a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from transferhub.model.event import EventStatus
from transferhub.model.fleet import Member
from transferhub.model.pages import Page, TaskFilter, TaskSort
from transferhub.model.people import (
    ApiToken,
    AuditEntry,
    Credential,
    CredentialKind,
    Role,
    Scope,
    User,
)
from transferhub.model.run import Run, Task, TaskId
from transferhub.model.transfer import FailureGroup, RunId, TransferRecord

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.control.people import NewToken
    from transferhub.hosts.hub_views import RunView, TaskView
    from transferhub.model.history import LogPage
    from transferhub.plugins.objects.notifications import Piece

Definition = Mapping[str, Any]
"""A task as `cli.tasks.definition` writes it."""


class TaskEvents(Protocol):
    """The verbs on how tasks hear of changes. Each raises TransferHubError only."""

    def status(self, ident: TaskId) -> EventStatus: ...
    def pieces(self, ident: TaskId, hub_url: str) -> list[Piece]:
        """What is to be set up; `hub_url` is where senders reach the hub."""

    def listen(self, ident: TaskId, values: Mapping[str, Any]) -> None:
        """As `EventSource.from_json` reads them; {} for nowhere."""

    def new_token(self, ident: TaskId) -> str: ...
    def set_up(self, ident: TaskId) -> None: ...
    def take_down(self, ident: TaskId) -> bool: ...


class Hub(Protocol):
    """The verbs on a hub. Each raises TransferHubError only, InputError naming the field."""

    @property
    def events(self) -> TaskEvents: ...

    # Tasks

    def task(self, ident: TaskId) -> TaskView: ...
    def tasks(
        self,
        chosen: TaskFilter,
        *,
        sort: TaskSort = TaskSort.NAME,
        after: str = "",
        limit: int = 100,
    ) -> Page[TaskView]:
        """Ascending."""

    def create_task(self, definition: Definition) -> Task: ...
    def update_task(self, ident: TaskId, definition: Definition, *, version: int) -> Task: ...
    def clone_task(self, ident: TaskId, name: str) -> Task: ...
    def pause_task(self, ident: TaskId) -> Task: ...
    def resume_task(self, ident: TaskId) -> Task: ...
    def limit_task(self, ident: TaskId, limits: Mapping[str, Any]) -> Task: ...
    def delete_task(self, ident: TaskId, *, purge: bool) -> None: ...
    def next_runs(self, ident: TaskId, count: int) -> Sequence[datetime]: ...

    # Runs

    def runs(self, task: TaskId | None = None, *, limit: int) -> Sequence[Run]:
        """Newest first, with `done` and `failed` in their summaries."""

    def run(self, ident: RunId) -> RunView:
        """Of an id, of the start of one, or of "last"."""

    def start_run(self, task: TaskId) -> Run: ...
    def stop_run(self, ident: RunId, *, abandon: bool) -> Run: ...
    def retry_run(self, ident: RunId, *, code: str, key: str) -> tuple[int, Run]: ...
    def failures(
        self, ident: RunId, *, code: str, key: str, limit: int
    ) -> Sequence[TransferRecord]:
        """The first ones by key."""

    def failure_groups(self, ident: RunId) -> Sequence[FailureGroup]: ...
    def logs(
        self, ident: RunId, *, level: str, words: str, after: int | None = None, limit: int
    ) -> LogPage:
        """Its last lines, or those after `last` of a page."""

    # The fleet, people and credentials

    def workers(self) -> Sequence[Member]: ...
    def drain_worker(self, ident: str) -> None: ...
    def users(self) -> Sequence[User]: ...
    def create_user(self, name: str, password: str, role: Role) -> User: ...
    def set_user_role(self, name: str, role: Role) -> User: ...
    def disable_user(self, name: str) -> User: ...
    def enable_user(self, name: str) -> User: ...
    def set_password(self, name: str, password: str) -> None: ...
    def create_link(self, name: str, role: Role, duration: timedelta) -> str: ...
    def tokens(self) -> Sequence[ApiToken]: ...
    def create_token(
        self, label: str, *, role: Role, duration: timedelta, scopes: Collection[Scope]
    ) -> NewToken: ...
    def revoke_token(self, ident: str) -> None: ...
    def credentials(self) -> Sequence[Credential]: ...
    def put_credential(
        self, name: str, kind: CredentialKind, fields: Mapping[str, str]
    ) -> Credential: ...
    def delete_credential(self, name: str) -> None: ...
    def rotate_credentials(self) -> int: ...
    def audit(self, *, who: str, action: str, subject: str, limit: int) -> Sequence[AuditEntry]: ...
