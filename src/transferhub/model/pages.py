"""How tasks and runs are chosen, sorted and paged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from transferhub.model.run import Run, RunState, Task, TaskId, TaskState, Trigger

Item = TypeVar("Item", bound=object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Attributes:
    cursor: where the next page begins; "" after the last one.
    total: how many there are on all pages; None where to count them is not cheap.
    """

    items: tuple[Item, ...]
    cursor: str = ""
    total: int | None = None


class TaskSort(StrEnum):
    """NAME passes over upper and lower case; NEXT_RUN has tasks without one last, ascending."""

    CREATED = "created"
    UPDATED = "updated"
    NAME = "name"
    NEXT_RUN = "next_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """What is left empty chooses all.

    Attributes:
        words: each must stand somewhere in name, description, source or destination, in any case.
    """

    state: TaskState | None = None
    tag: str = ""
    owner: str = ""
    kind: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """What is left empty chooses all.

    Attributes:
        since: created then or later.
        until: created before then.
    """

    task: TaskId | None = None
    states: tuple[RunState, ...] = ()
    trigger: Trigger | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, run: Run) -> bool:
        return (
            (self.task is None or run.task == self.task)
            and (not self.states or run.state in self.states)
            and (self.trigger is None or run.trigger is self.trigger)
            and (self.since is None or run.created_at >= self.since)
            and (self.until is None or run.created_at < self.until)
        )


ALL_TASKS = TaskFilter()
ALL_RUNS = RunFilter()

_SORTED_CHARACTERS = 200


def sort_name(task: Task) -> str:
    """What tasks are sorted by for their names."""
    return task.name.casefold()[:_SORTED_CHARACTERS]


def search_text(task: Task) -> str:
    """What `TaskFilter.words` are looked for in."""
    places = (text for side in ("source", "destination") for text in _texts(task.spec.get(side)))
    return "\n".join((task.name, task.description, *places)).casefold()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)


def search_words(words: str) -> list[str]:
    return words.casefold().split()
