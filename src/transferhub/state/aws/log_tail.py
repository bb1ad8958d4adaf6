"""`LogTail`: the newest lines of a task's log, in one item to which everybody adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transferhub.aws.attributes import Item
from transferhub.aws.table import Table, When
from transferhub.model.history import LogLine
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.log_keys import tail_key
from transferhub.state.aws.log_lines import Packed, pack, stretches, unpack

_FULL = 2 << 10
"""Bytes. A write costs a unit for each KB of the item, so that a longer tail costs more for each
line, and a shorter one more for what it becomes."""

_UNPACKED_SHARE = 16
"""What packs better than this fills a tail nevertheless."""

_NAMES = {"#last": "last", "#weight": "weight", "#held": "held"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Attributes:
    last: the number of the newest line that the task ever had.
    lines: the newest ones, in their order; None: one that was forgotten.
    weight: how full it is.
    """

    last: int
    lines: Sequence[LogLine | None] = ()
    weight: int = 0

    @property
    def is_full(self) -> bool:
        return self.weight >= _FULL

    @property
    def first(self) -> int:
        """The number of its first line, or of the one to come. What is before has an item of its
        own."""
        return self.last - len(self.lines) + 1


class LogTail:
    """A full tail takes nothing in until its lines have become items and it is empty again: whoever
    finds it full does that, and all who do write the same ones. So a line is readable from when it
    has a number, and no number before it is seen later. Verbs raise AwsError."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, task: TaskId, lines: Sequence[LogLine]) -> Tail | None:
        """The tail with these at its end; None where it was full."""
        packed = pack(lines)
        size = sum(line.size for line in lines)
        change = When(
            "SET #held = list_append(if_not_exists(#held, :none), :one)"
            " ADD #last :count, #weight :weight",
            {
                ":none": [],
                ":one": [packed],
                ":count": len(lines),
                ":weight": max(len(packed), size // _UNPACKED_SHARE),
            },
            _NAMES,
        )
        room = When("attribute_not_exists(#weight) OR #weight < :full", {":full": _FULL})
        item = await self._table.update(tail_key(task), change, room)
        return to_tail(item, task) if item else None

    async def read(self, task: TaskId) -> Tail:
        return to_tail(await self._table.get(tail_key(task)), task)

    async def empty(self, task: TaskId, tail: Tail, to_item: Callable[[Packed], Item]) -> None:
        """Makes items of the lines of a full tail, if nobody has done so meanwhile."""
        await self._table.write([to_item(packed) for packed in stretches(tail.lines)])
        change = When("SET #held = :none, #weight = :zero", {":none": [], ":zero": 0}, _NAMES)
        await self._table.update(tail_key(task), change, _as_read(tail))

    async def forget(self, task: TaskId, run: RunId) -> None:
        """Takes the lines of a run out of it; the others keep their numbers."""
        while True:
            tail = await self.read(task)
            if all(line is None or line.run != run for line in tail.lines):
                return
            left = [line if line and line.run != run else None for line in tail.lines]
            change = When("SET #held = :held", {":held": [pack(left)]}, _NAMES)
            if await self._table.update(tail_key(task), change, _as_read(tail)):
                return


def to_tail(item: Item | None, task: TaskId) -> Tail:
    if item is None:
        return Tail(last=0)
    packed = [unpack(one, task, 0) for one in item["held"]]
    first = item["last"] - sum(map(len, packed)) + 1
    lines: list[LogLine | None] = []
    for one in item["held"]:
        lines += unpack(one, task, first + len(lines))
    return Tail(last=item["last"], lines=lines, weight=item["weight"])


def _as_read(tail: Tail) -> When:
    return When(
        "#last = :last AND #weight = :weight", {":last": tail.last, ":weight": tail.weight}, _NAMES
    )
