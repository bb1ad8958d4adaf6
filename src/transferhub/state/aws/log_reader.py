"""`LogReader`: the lines of a run or a task, from both ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from transferhub.aws.table import Table, When
from transferhub.model.history import HistoryOf, LogLine, OfRun
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.expiry import Expiry
from transferhub.state.aws.log_keys import drop_key, drops_of, lines_between, run_key
from transferhub.state.aws.log_lines import MOST_PACKED, unpack
from transferhub.state.aws.log_tail import LogTail, Tail
from transferhub.state.aws.shelf import both, equal, first_items

_LINES_OF_AN_ITEM = 20
"""At least, of most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReader:
    """One look at a log. What is read of it is what was there when it was opened: the tail is read
    first, and what left it before is an item.

    Attributes:
        run: "" for those of all runs of the task.
        oldest, newest: numbers between which its lines are.
        dropped: lines that had to go for newer ones.
    """

    table: Table
    task: TaskId
    run: RunId
    tail: Tail
    forward: bool
    expiry: Expiry
    oldest: int
    newest: int
    dropped: int

    @classmethod
    async def open(cls, table: Table, of: HistoryOf, expiry: Expiry, *, forward: bool) -> Self:
        """Raises AwsError."""
        if not isinstance(of, OfRun):
            tail = await LogTail(table).read(of.task)
            drops = await first_items(table, drops_of(of.task))
            return cls(
                table=table,
                task=of.task,
                run=RunId(""),
                tail=tail,
                forward=forward,
                expiry=expiry,
                oldest=1,
                newest=tail.last,
                dropped=sum(drop["dropped"] for drop in drops),
            )
        counts = await table.get(run_key(of.run)) or {"task": "", "first": 1, "newest": 0}
        task = TaskId(counts["task"])
        drop = await table.get(drop_key(task, of.run))
        return cls(
            table=table,
            task=task,
            run=of.run,
            # After the counts: nothing up to `newest` comes later.
            tail=await LogTail(table).read(task),
            forward=forward,
            expiry=expiry,
            oldest=counts["first"],
            newest=counts["newest"],
            dropped=drop["dropped"] if drop else 0,
        )

    async def read(self, place: int, count: int) -> Sequence[LogLine]:
        """So many lines beyond a number."""
        found: list[LogLine] = []
        async for lines in self._pieces(place, count):
            found += lines
            if len(found) >= count:
                break
        return found[:count]

    async def _pieces(self, place: int, count: int) -> AsyncIterator[Sequence[LogLine]]:
        in_tail = self._chosen(self.tail.lines, place)
        if not self.forward:
            yield in_tail
        async for lines in self._items(place, count):
            yield lines
        if self.forward:
            yield in_tail

    async def _items(self, place: int, count: int) -> AsyncIterator[Sequence[LogLine]]:
        first, last = self.oldest, min(self.newest, self.tail.first - 1)
        if self.forward:
            first = max(first, place + 2 - MOST_PACKED)
        else:
            last = min(last, place - 1)
        if first > last or (self.forward and place >= last):
            return
        async for page in self.table.pages(
            lines_between(self.task, first, last),
            descending=not self.forward,
            limit=count // _LINES_OF_AN_ITEM + 1,
            keep=self._filter(),
        ):
            for item in page:
                yield self._chosen(unpack(item["lines"], self.task, item["number"]), place)

    def _filter(self) -> When:
        alive = self.expiry.alive()
        return both(alive, equal({"run": self.run})) if self.run else alive

    def _chosen(self, lines: Iterable[LogLine | None], place: int) -> Sequence[LogLine]:
        """In the order of reading."""
        chosen = [
            line
            for line in lines
            if line
            and self.run in ("", line.run)
            and line.number <= self.newest
            and (line.number > place if self.forward else line.number < place)
        ]
        return chosen if self.forward else chosen[::-1]
