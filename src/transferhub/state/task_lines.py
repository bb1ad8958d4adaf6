"""Lists of tasks for stores that read all of them: what they need of each task, and nothing else.

A store that has an index for each order, such as a database, needs none of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from transferhub.model.pages import (
    Page,
    TaskFilter,
    TaskSort,
    search_text,
    search_words,
    sort_name,
)
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.cursors import (
    Place,
    moment_value,
    order_of_tasks,
    read_cursor,
    write_cursor,
)
from transferhub.state.values import whole_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """Moments are as `moment_value` gives them.

    Attributes:
        number: grows with each task that is created.
        name: what it is sorted by.
        words: what is searched.
    """

    ident: TaskId
    number: int
    created_at: int
    updated_at: int
    next_run_at: int
    name: str
    state: TaskState
    owner: str
    kind: str
    tags: tuple[str, ...]
    words: str

    @classmethod
    def of(cls, task: Task, number: int) -> TaskLine:
        return cls(
            ident=task.ident,
            number=number,
            created_at=moment_value(task.created_at),
            updated_at=moment_value(task.updated_at),
            next_run_at=moment_value(task.next_run_at),
            name=whole_text(sort_name(task)),
            state=task.state,
            owner=whole_text(task.owner),
            kind=task.kind,
            tags=tuple(map(whole_text, task.tags)),
            words=whole_text(search_text(task)),
        )

    def value(self, sort: TaskSort) -> int | str:
        """Its place in a sorted list, but for its number."""
        match sort:
            case TaskSort.CREATED:
                return self.created_at
            case TaskSort.UPDATED:
                return self.updated_at
            case TaskSort.NEXT_RUN:
                return self.next_run_at
            case TaskSort.NAME:
                return self.name
            case _:
                assert_never(sort)

    def fits(self, chosen: TaskFilter) -> bool:
        return (
            (chosen.state is None or self.state is chosen.state)
            and (not chosen.tag or chosen.tag in self.tags)
            and (not chosen.owner or self.owner == chosen.owner)
            and (not chosen.kind or self.kind == chosen.kind)
            and all(word in self.words for word in search_words(chosen.words))
        )


def page_of_lines(
    lines: Iterable[TaskLine],
    chosen: TaskFilter,
    *,
    sort: TaskSort,
    descending: bool,
    after: str,
    limit: int,
) -> Page[TaskLine]:
    """Does what `TaskStore.tasks` promises.

    Args:
        lines: of all tasks.

    Raises:
        InputError: `after` is no cursor of this list and sort.
    """
    order = order_of_tasks(sort, descending=descending)
    place = read_cursor(order, after, str if sort is TaskSort.NAME else int)
    found = sorted(
        (line for line in lines if line.fits(chosen)),
        key=lambda line: _key(line.value(sort), line.number),
        reverse=descending,
    )
    total = len(found)
    if place is not None:
        mark = _key(place.value, place.number)
        keys = [_key(line.value(sort), line.number) for line in found]
        found = [
            line
            for line, key in zip(found, keys, strict=True)
            if (key < mark if descending else key > mark)
        ]
    page, cursor = found[:limit], ""
    if page and len(found) > limit:
        cursor = write_cursor(order, Place(page[-1].value(sort), page[-1].number))
    return Page(items=tuple(page), cursor=cursor, total=total)


def _key(value: int | str, number: int) -> tuple[int, str, int]:
    """Sorts values of one kind."""
    return (value, "", number) if isinstance(value, int) else (0, value, number)
