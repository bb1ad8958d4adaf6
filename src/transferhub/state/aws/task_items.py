"""Tasks as items of the hub's table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.aws.views import Entry, moment_text, place_text
from transferhub.state.cursors import Place
from transferhub.state.task_lines import TaskLine
from transferhub.state.values import (
    from_micros,
    from_micros_or_none,
    to_micros,
    to_micros_or_none,
    whole_text,
)

ALL = "tasks"
"""By id, with all that lists need of a task."""

DUE = "tasks-due"
EVENTS = "tasks-events"

_VERSION = "version#"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """Attributes:
    number: grows with each task that is created.
    """

    task: Task
    number: int
    edition: int = 1

    @classmethod
    def of(cls, item: Item) -> ListedTask:
        return cls(task=to_task(item), number=item["number"], edition=item["edition"])

    @property
    def title(self) -> str:
        return f"Task {self.task.ident}"

    @property
    def key(self) -> Item:
        return task_key(self.task.ident)

    @property
    def item(self) -> Item:
        return {
            **self.key,
            **_to_attributes(self.task),
            "number": self.number,
            "edition": self.edition,
        }

    @property
    def former(self) -> Item:
        """The item that keeps the task as it is now, once it has changed."""
        return {**version_key(self.task.ident, self.task.version), **_to_attributes(self.task)}

    def with_task(self, task: Task) -> ListedTask:
        return replace(self, task=task, edition=self.edition + 1)

    def entries(self) -> Sequence[Entry]:
        return [*self._entries()]

    def _entries(self) -> Iterator[Entry]:
        task = self.task
        facts = {"ident": task.ident}
        yield Entry(ALL, task.ident, _line_to_facts(TaskLine.of(task, self.number)))
        place = Place(to_micros(task.created_at), self.number)
        yield Entry(like(task.fingerprint, task.owner), place_text(place), facts)
        if task.state is TaskState.ACTIVE and task.next_run_at is not None:
            yield Entry(DUE, due_place(task.next_run_at, task.ident), facts)
        if task.events:
            yield Entry(EVENTS, task.ident, facts)


def task_key(ident: TaskId) -> Item:
    return {"pk": f"task#{ident}", "sk": "task"}


def version_key(ident: TaskId, version: int) -> Item:
    return {"pk": f"task#{ident}", "sk": f"{_VERSION}{version:010}"}


def versions(ident: TaskId) -> tuple[str, str, str]:
    """The partition of the former versions of a task, the oldest first, and their bounds in it."""
    return f"task#{ident}", _VERSION, f"{_VERSION}~"


def like(fingerprint: str, owner: str) -> str:
    """The view of the tasks of this fingerprint and owner, the oldest first."""
    return f"tasks-like#{fingerprint}#{whole_text(owner)}"


def due_place(moment: datetime, ident: TaskId) -> str:
    return f"{moment_text(to_micros(moment))}#{ident}"


def facts_to_line(entry: Item) -> TaskLine:
    facts = {name: value for name, value in entry.items() if name not in {"pk", "sk"}}
    return TaskLine(**{**facts, "state": TaskState(facts["state"]), "tags": tuple(facts["tags"])})


def _line_to_facts(line: TaskLine) -> Item:
    return {**asdict(line), "state": line.state.value, "tags": [*line.tags]}


def _to_attributes(task: Task) -> Item:
    attributes = {
        "ident": task.ident,
        "name": whole_text(task.name),
        "kind": task.kind,
        "spec": json.dumps(dict(task.spec)),
        "fingerprint": task.fingerprint,
        "created_at": to_micros(task.created_at),
        "updated_at": to_micros(task.updated_at),
        "description": whole_text(task.description),
        "owner": whole_text(task.owner),
        "tags": json.dumps(task.tags),
        "schedule": json.dumps(dict(task.schedule)),
        "state": task.state.value,
        "next_run_at": to_micros_or_none(task.next_run_at),
        "limits": json.dumps(dict(task.limits)),
        "events": json.dumps(dict(task.events)),
        "version": task.version,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def to_task(item: Item) -> Task:
    """Of an item of a task, or of a former version of it."""
    return Task(
        ident=TaskId(item["ident"]),
        name=item["name"],
        kind=item["kind"],
        spec=json.loads(item["spec"]),
        fingerprint=item["fingerprint"],
        created_at=from_micros(item["created_at"]),
        updated_at=from_micros(item["updated_at"]),
        description=item["description"],
        owner=item["owner"],
        tags=tuple(json.loads(item["tags"])),
        schedule=json.loads(item["schedule"]),
        state=TaskState(item["state"]),
        next_run_at=from_micros_or_none(item.get("next_run_at")),
        limits=json.loads(item["limits"]),
        events=json.loads(item["events"]),
        version=item["version"],
    )
