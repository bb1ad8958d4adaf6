"""The verbs of a hub elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from transferhub.control.channels import ChannelView, Trial
from transferhub.control.people import NewToken
from transferhub.errors import InputError
from transferhub.hosts.hub_views import RunView, TaskView
from transferhub.hosts.remote import answers, documents
from transferhub.hosts.remote.events import RemoteEvents
from transferhub.hosts.remote.inputs import camel, limits_input, task_input
from transferhub.hosts.remote.line import Line
from transferhub.model.fleet import Member
from transferhub.model.history import LogPage
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

Item = TypeVar("Item")

_PAGE = 100
_IDENTS = 1_000
_LOOK_BACK = 10_000
_MOST_NAMED = 5


class RemoteHub:
    """Used in a `with`, which ends the line. What the token allows is decided there."""

    def __init__(self, server: str, token: str, *, ca_bundle: str = "") -> None:
        """As `Line`."""
        self._line = Line(server, token, ca_bundle=ca_bundle)
        self.events = RemoteEvents(self._line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.close()

    # Tasks

    def task(self, ident: TaskId) -> TaskView:
        return answers.task_view(self._line.ask(documents.TASK, {"id": ident}, ident="task"))

    def tasks(
        self,
        chosen: TaskFilter,
        *,
        sort: TaskSort = TaskSort.NAME,
        after: str = "",
        limit: int = 100,
    ) -> Page[TaskView]:
        only = {
            "state": chosen.state.upper() if chosen.state else None,
            "tag": chosen.tag,
            "owner": chosen.owner,
        }
        page = self._line.ask(
            documents.TASKS,
            {
                "filter": only,
                "search": chosen.words,
                "sort": sort.upper(),
                "first": min(limit, _PAGE),
                "after": after,
            },
        )
        total = page["total"]
        return Page(
            items=tuple(answers.task_view(told) for told in page["items"]),
            cursor=page["cursor"] or "",
            total=None if total is None else int(total),
        )

    def create_task(self, definition: Mapping[str, Any]) -> Task:
        given = {"input": task_input(definition)}
        return answers.task(self._line.ask(documents.CREATE_TASK, given))

    def update_task(self, ident: TaskId, definition: Mapping[str, Any], *, version: int) -> Task:
        given = {"id": ident, "version": version, "input": task_input(definition)}
        return self._changed(documents.UPDATE_TASK, given)

    def clone_task(self, ident: TaskId, name: str) -> Task:
        return self._changed(documents.CLONE_TASK, {"id": ident, "name": name})

    def pause_task(self, ident: TaskId) -> Task:
        return self._changed(documents.PAUSE_TASK, {"id": ident})

    def resume_task(self, ident: TaskId) -> Task:
        return self._changed(documents.RESUME_TASK, {"id": ident})

    def limit_task(self, ident: TaskId, limits: Mapping[str, Any]) -> Task:
        given = {"id": ident, "limits": limits_input(limits)}
        return self._changed(documents.LIMIT_TASK, given)

    def delete_task(self, ident: TaskId, *, purge: bool) -> None:
        self._line.ask(documents.DELETE_TASK, {"id": ident, "purge": purge}, ident="task")

    def next_runs(self, ident: TaskId, count: int) -> Sequence[datetime]:
        moments = self._line.ask(documents.NEXT_RUNS, {"id": ident, "first": count}, ident="task")
        return [answers.moment(moment) for moment in moments]

    def _changed(self, document: str, given: Mapping[str, Any]) -> Task:
        return answers.task(self._line.ask(document, given, ident="task"))

    # Runs

    def runs(self, task: TaskId | None = None, *, limit: int) -> Sequence[Run]:
        only = {"filter": {"task": task}} if task else {}
        return list(islice(self._every(documents.RUNS, answers.run, only), limit))

    def run(self, ident: RunId) -> RunView:
        try:
            return self._run(ident)
        except InputError as error:
            if error.code != "no_run":
                raise
        return self._run(self._whole(ident))

    def _run(self, ident: str) -> RunView:
        return answers.run_view(self._line.ask(documents.RUN, {"id": ident}, ident="run"))

    def _whole(self, start: str) -> str:
        """The id that begins so, or that of the last run."""
        every: Iterator[str] = self._every(documents.RUN_IDS, lambda told: str(told["id"]), {})
        known = islice(every, 1 if start == "last" else _LOOK_BACK)
        found = [ident for ident in known if start == "last" or ident.startswith(start)]
        if not found:
            raise InputError(
                "run",
                f"there is no run {start[:64]!r}; dth runs lists those that there are",
                code="no_run",
            )
        if len(found) > 1:
            names = ", ".join(found[:_MOST_NAMED])
            raise InputError("run", f"{start!r} may be any of {names}; write more of it")
        return found[0]

    def start_run(self, task: TaskId) -> Run:
        return answers.run(self._line.ask(documents.START_RUN, {"id": task}, ident="task"))

    def stop_run(self, ident: RunId, *, abandon: bool) -> Run:
        given = {"id": ident, "abandon": abandon}
        return answers.run(self._line.ask(documents.STOP_RUN, given, ident="run"))

    def retry_run(self, ident: RunId, *, code: str, key: str) -> tuple[int, Run]:
        given = {"id": ident, "code": code, "key": key}
        told = self._line.ask(documents.RETRY_RUN, given, ident="run")
        return int(told["count"]), answers.run(told["run"])

    def failures(
        self, ident: RunId, *, code: str, key: str, limit: int
    ) -> Sequence[TransferRecord]:
        given = {"id": ident, "code": code, "key": key}
        every = self._every(documents.FAILURES, answers.transfer, given)
        return list(islice(every, limit))

    def failure_groups(self, ident: RunId) -> Sequence[FailureGroup]:
        told = self._line.ask(documents.FAILURE_GROUPS, {"id": ident}, ident="run")
        return [answers.failure_group(group) for group in told]

    def logs(
        self, ident: RunId, *, level: str, words: str, after: int | None = None, limit: int
    ) -> LogPage:
        given = {"id": ident, "level": level.upper(), "search": words, "first": limit}
        cursor = "" if after is None else str(after)
        told = self._line.ask(documents.LOGS, {**given, "after": cursor}, ident="run")
        return answers.log_page(told)

    # The fleet

    def workers(self) -> Sequence[Member]:
        return [answers.member(told) for told in self._line.ask(documents.WORKERS)]

    def drain_worker(self, ident: str) -> None:
        self._line.ask(documents.DRAIN_WORKER, {"id": ident}, ident="worker")

    # People

    def users(self) -> Sequence[User]:
        return list(self._every(documents.USERS, answers.user, {}))

    def create_user(self, name: str, password: str, role: Role) -> User:
        given = {"name": name, "password": password, "role": role.upper()}
        return answers.user(self._line.ask(documents.CREATE_USER, given))

    def set_user_role(self, name: str, role: Role) -> User:
        given = {"name": name, "role": role.upper()}
        return answers.user(self._line.ask(documents.SET_USER_ROLE, given))

    def disable_user(self, name: str) -> User:
        return answers.user(self._line.ask(documents.DISABLE_USER, {"name": name}))

    def enable_user(self, name: str) -> User:
        return answers.user(self._line.ask(documents.ENABLE_USER, {"name": name}))

    def set_password(self, name: str, password: str) -> None:
        self._line.ask(documents.SET_PASSWORD, {"name": name, "password": password})

    def create_link(self, name: str, role: Role, duration: timedelta) -> str:
        given = {"name": name, "role": role.upper(), "duration": _seconds(duration)}
        return str(self._line.ask(documents.CREATE_LINK, given)["secret"])

    def tokens(self) -> Sequence[ApiToken]:
        return [answers.token(told) for told in self._line.ask(documents.TOKENS)]

    def create_token(
        self, label: str, *, role: Role, duration: timedelta, scopes: Collection[Scope]
    ) -> NewToken:
        given = {
            "label": label,
            "role": role.upper(),
            "duration": _seconds(duration),
            "scopes": [scope.upper() for scope in scopes],
        }
        told = self._line.ask(documents.CREATE_TOKEN, given)
        return NewToken(secret=told["secret"], token=answers.token(told["token"]))

    def revoke_token(self, ident: str) -> None:
        self._line.ask(documents.REVOKE_TOKEN, {"id": ident}, ident="token")

    # Credentials and the audit log

    def credentials(self) -> Sequence[Credential]:
        return list(self._every(documents.CREDENTIALS, answers.credential, {}))

    def put_credential(
        self, name: str, kind: CredentialKind, fields: Mapping[str, str]
    ) -> Credential:
        secret = {camel(field): value for field, value in fields.items()}
        given = {"input": {"name": name, "kind": kind.upper(), **secret}}
        return answers.credential(self._line.ask(documents.PUT_CREDENTIAL, given))

    def delete_credential(self, name: str) -> None:
        self._line.ask(documents.DELETE_CREDENTIAL, {"name": name})

    def rotate_credentials(self) -> int:
        return int(self._line.ask(documents.ROTATE_CREDENTIALS))

    def channels(self) -> Sequence[ChannelView]:
        return [answers.channel(told) for told in self._line.ask(documents.CHANNELS)]

    def put_channel(self, values: Mapping[str, Any]) -> ChannelView:
        return answers.channel(self._line.ask(documents.PUT_CHANNEL, {"input": dict(values)}))

    def test_channel(self, name: str) -> Trial:
        told = self._line.ask(documents.TEST_CHANNEL, {"name": name})
        return Trial(delivered=told["delivered"], sentence=told["sentence"])

    def delete_channel(self, name: str) -> None:
        self._line.ask(documents.DELETE_CHANNEL, {"name": name})

    def audit(self, *, who: str, action: str, subject: str, limit: int) -> Sequence[AuditEntry]:
        given = {"who": who, "action": action, "subject": subject}
        return list(islice(self._every(documents.AUDIT, answers.audit_entry, given), limit))

    def _every(
        self,
        document: str,
        read: Callable[[Mapping[str, Any]], Item],
        given: Mapping[str, Any],
    ) -> Iterator[Item]:
        """All things of a list, page by page."""
        first = _IDENTS if document is documents.RUN_IDS else _PAGE
        after = ""
        while True:
            page = self._line.ask(document, {**given, "first": first, "after": after}, ident="run")
            yield from (read(told) for told in page["items"])
            after = page["cursor"] or ""
            if not after:
                return


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f}s"
