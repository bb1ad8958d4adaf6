"""`AwsLogs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT, Action, Delete, Update, When
from transferhub.model.clock import Clock, utc_now
from transferhub.model.history import HistoryOf, LogLevel, LogLine, LogPage
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.expiry import KEPT, Expiry
from transferhub.state.aws.log_keys import (
    drop_key,
    hour_key,
    hours_until,
    line_key,
    lines_between,
    run_key,
)
from transferhub.state.aws.log_lines import Packed, numbered, pack, portions
from transferhub.state.aws.log_reader import LogReader
from transferhub.state.aws.log_tail import LogTail, Tail
from transferhub.state.aws.schema import HUB
from transferhub.state.aws.shelf import changes, equal, first_items, key_of
from transferhub.state.sampling import Reading, fill_page_from, is_cut, is_full
from transferhub.state.values import to_micros

_HOUR = 3_600_000_000
_MOST_PURGED = 20
_MOST_CUT = 90
"""Items, with two more in one transaction."""

_MOST_KNOWN = 1_000


class AwsLogs:
    """Logs in DynamoDB.

    Lines of a task go to the end of one item, the tail (see `LogTail`); when that holds 2 KB, they
    become items of their own, of up to 500 lines of one run. Packed, a line takes 20 to 60 bytes, a
    single one 130. So a batch of 25 lines writes some 4 units: 2 for the tail, 1 for the counts of
    its run, and its share of what the tail becomes. A row for each line would be 25. To write line
    by line costs 3 units each. A page of 100 lines reads some 5 units, and to look whether a log
    has grown reads 2 or 3.

    What has expired is not shown, whether DynamoDB has deleted it or not; the hub's own retention
    is usually earlier. Where an answer is lost on the way, lines may be there twice.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock = utc_now,
        *,
        keep: timedelta | None = KEPT,
    ) -> None:
        """Args:
        keep: see `Expiry`.
        """
        self._connection = connection
        self._table = connection.table(HUB)
        self._tail = LogTail(self._table)
        self._expiry = Expiry(clock=clock, keep=keep)
        self._known: dict[RunId, int] = {}

    async def append(self, lines: Sequence[LogLine]) -> None:
        with self._connection.failures():
            for task in sorted({line.task for line in lines}):
                for portion in portions(line for line in lines if line.task == task):
                    await self._append(task, portion)

    async def page(
        self,
        of: HistoryOf,
        *,
        level: LogLevel = LogLevel.DEBUG,
        words: str = "",
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> LogPage:
        forward = after is not None
        with self._connection.failures():
            reader = await LogReader.open(self._table, of, self._expiry, forward=forward)
            given = after if forward else before
            reading = Reading(
                forward=forward,
                start=reader.newest + 1 if given is None else given,
                level=level,
                words=words,
                limit=limit,
            )
            page = await fill_page_from(reader.read, reading)
        return replace(page, dropped=reader.dropped)

    async def purge(self, before: datetime) -> int:
        moment, purged = to_micros(before), 0
        until = hours_until(moment // _HOUR)
        with self._connection.failures():
            async for page in self._table.pages(until, limit=2 * _MOST_PURGED):
                for entry in page:
                    purged += await self._purge(entry, moment)
                    if purged == _MOST_PURGED:
                        return purged
        return purged

    async def forget(self, run: RunId) -> None:
        with self._connection.failures():
            if counts := await self._table.get(run_key(run)):
                await self._forget(run, counts)

    async def aclose(self) -> None:
        await self._connection.aclose()

    # Adding

    async def _append(self, task: TaskId, lines: Sequence[LogLine]) -> None:
        ends = {line.run: max(at.at for at in lines if at.run == line.run) for line in lines}
        for run, last_at in ends.items():
            await self._know(task, run, last_at)
        while (tail := await self._tail.add(task, lines)) is None:
            await self._settle(task, await self._tail.read(task))
        await self._settle(task, tail)
        added = sorted(numbered(lines, tail.last), key=lambda line: line.run)
        for run, of_it in groupby(added, key=lambda line: line.run):
            await self._count(task, run, list(of_it))

    async def _settle(self, task: TaskId, tail: Tail) -> None:
        if tail.is_full:
            await self._tail.empty(task, tail, self._to_item)

    async def _know(
        self, task: TaskId, run: RunId, last_at: datetime, *, first: int | None = None
    ) -> None:
        """Enters a run before its first line, and the hour of its last one before that."""
        hour = to_micros(last_at) // _HOUR
        if self._known.get(run, -1) >= hour:
            return
        expires = self._expiry.of_now()
        await self._table.put({**hour_key(hour, run), "run": run, **expires})
        if run not in self._known:
            if first is None:
                first = (await self._tail.read(task)).last + 1
            counts = {"task": task, "first": first, "newest": 0, "lines": 0, "size": 0}
            entered = {**run_key(run), **counts, "last_at": to_micros(last_at), **expires}
            await self._table.put(entered, ABSENT)
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[run] = hour

    async def _count(self, task: TaskId, run: RunId, lines: Sequence[LogLine]) -> None:
        """Counts lines that were added, and cuts the log of the run where it is full."""
        last_at = max(line.at for line in lines)
        while (counts := await self._add_counts(run, lines, last_at)) is None:
            # It was forgotten meanwhile.
            self._known.pop(run, None)
            await self._know(task, run, last_at, first=lines[0].number)
        while counts and is_full(counts["lines"], counts["size"]):
            counts = await self._cut(run, counts)

    async def _add_counts(
        self, run: RunId, lines: Sequence[LogLine], last_at: datetime
    ) -> Item | None:
        sets = {"last_at": to_micros(last_at), **self._expiry.of_now()}
        adds = {"lines": len(lines), "size": sum(line.size for line in lines)}
        newer = changes({**sets, "newest": lines[-1].number}, adds)
        counts = await self._table.update(
            run_key(run), newer, When("attribute_exists(pk) AND #newest < :to_newest")
        )
        # Later lines of another writer may have been counted earlier.
        return counts or await self._table.update(run_key(run), changes(sets, adds), PRESENT)

    def _to_item(self, packed: Packed) -> Item:
        first = packed.lines[0]
        return {
            **line_key(first.task, first.number),
            "run": first.run,
            "number": first.number,
            "count": len(packed.lines),
            "size": packed.size,
            "lines": pack(packed.lines),
            **self._expiry.of_now(),
        }

    # Dropping

    async def _cut(self, run: RunId, counts: Item) -> Item | None:
        """Drops the oldest lines of a full log; the counts as they are then, None where another one
        did it."""
        which, keep = _lines_of(run, counts)
        items = await first_items(self._table, which, limit=_MOST_CUT, keep=keep)
        gone: list[Item] = []
        lines, size = counts["lines"], counts["size"]
        for item in items:
            if is_cut(lines, size):
                break
            gone.append(item)
            lines, size = lines - item["count"], size - item["size"]
        if not gone:
            return None
        dropped = counts["lines"] - lines
        first = gone[-1]["number"] + gone[-1]["count"]
        less = changes({"first": first}, {"lines": -dropped, "size": size - counts["size"]})
        drop = changes({"run": run, **self._expiry.of_now()}, {"dropped": dropped})
        actions: list[Action] = [
            Update(run_key(run), less, PRESENT),
            Update(drop_key(TaskId(counts["task"]), run), drop),
            *(Delete(key_of(item), PRESENT) for item in gone),
        ]
        if not await self._table.transact(actions):
            return None
        return {**counts, "lines": lines, "size": size, "first": first}

    async def _purge(self, entry: Item, before: int) -> bool:
        """Whether the run of an hour's entry was forgotten."""
        run = RunId(entry["run"])
        counts = await self._table.get(run_key(run))
        if counts is not None and counts["last_at"] >= before:
            if counts["last_at"] // _HOUR > int(entry["sk"][:12]):
                await self._table.delete(key_of(entry))
            return False
        if counts is not None:
            await self._forget(run, counts)
        await self._table.delete(key_of(entry))
        return counts is not None

    async def _forget(self, run: RunId, counts: Item) -> None:
        task = TaskId(counts["task"])
        await self._tail.forget(task, run)
        which, keep = _lines_of(run, counts)
        async for page in self._table.pages(which, keep=keep):
            await self._table.write(deletes=[key_of(item) for item in page])
        await self._table.write(deletes=[drop_key(task, run), run_key(run)])


def _lines_of(run: RunId, counts: Item) -> tuple[When, When]:
    """What asks for them, and what leaves those of other runs out."""
    task, newest = TaskId(counts["task"]), max(counts["newest"], counts["first"])
    return lines_between(task, counts["first"], newest), equal({"run": run})
