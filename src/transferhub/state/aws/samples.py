"""`AwsSamples`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import Delete, Update, When
from transferhub.model.clock import Clock, utc_now
from transferhub.model.history import AS_TAKEN, STEPS, HistoryOf, OfRun, Point, Sample, Thinning
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.expiry import KEPT, Expiry
from transferhub.state.aws.sample_items import (
    HOUR,
    attribute,
    day_key,
    days_between,
    hour_key,
    hour_of,
    hours_until,
    item_key,
    items_between,
    items_of,
    samples_of,
    to_text,
    window_of,
)
from transferhub.state.aws.schema import HUB
from transferhub.state.aws.shelf import changes, equal, first_items, key_of
from transferhub.state.aws.together import together
from transferhub.state.sampling import (
    THINNED_STEPS,
    Kept,
    floor,
    merge,
    stretch,
    to_point,
)

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_HOURS_AT_ONCE = 100
_NEVER = datetime.max.replace(tzinfo=UTC)


class AwsSamples:
    """Samples in DynamoDB.

    The samples of 30 seconds of a run are one item, at most 2 KB: to add one writes 1 or 2 units,
    1.7 on average with what tells that the item is there, and the item becomes one sample of a
    coarser item for some 9 units, in one transaction. A run that goes on for a day so writes 72,000
    units for its 43,200 samples and 28,000 to thin them: $0.06. An item for each sample would cost
    as much, and many more requests to thin and to read. Its last two hours read as 120 units, the
    day before them as 100.

    What has expired is not shown, whether DynamoDB has deleted it or not; the hub's own retention
    is usually earlier.
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
        self._expiry = Expiry(clock=clock, keep=keep)

    async def add(self, run: RunId, task: TaskId, sample: Sample) -> None:
        name = attribute(sample.at)
        kept = Kept.of(run, task, sample)
        absent = When(f"attribute_not_exists(#{name})")
        with self._connection.failures():
            key = item_key(run, AS_TAKEN, sample.at)
            # Not added: it was there, or the answer to what has added it was lost.
            item = await self._table.update(key, self._change(kept), absent) or (
                await self._table.get(key)
            )
            if item is not None and item["edition"] == 1:
                await self._tell(kept)
                day = {**day_key(task, run, sample.at), "run": run, **self._expiry.of_now()}
                await self._table.put(day)

    async def latest(self, runs: Sequence[RunId]) -> Mapping[RunId, Sample]:
        with self._connection.failures():
            found = await together(self._latest, runs)
        return {run: sample for run, sample in zip(runs, found, strict=True) if sample}

    async def series(
        self, of: HistoryOf, since: datetime, until: datetime, *, points: int
    ) -> Sequence[Point]:
        width = stretch(since, until, points)
        with self._connection.failures():
            runs = [of.run] if isinstance(of, OfRun) else await self._runs(of.task, since, until)
            spans = [(run, step) for run in runs for step in STEPS]
            items = await together(lambda at: self._items(*at, since, until), spans)
        groups: dict[int, list[Kept]] = {}
        for kept in _samples(item for found in items for item in found):
            if since <= kept.sample.at < until:
                groups.setdefault((kept.sample.at - since) // width, []).append(kept)
        return [to_point(since + place * width, group) for place, group in sorted(groups.items())]

    async def thin(self, thinning: Thinning, before: datetime) -> int:
        end = floor(before, thinning.coarse)
        with self._connection.failures():
            oldest = await self._oldest(thinning.fine, end)
            if oldest is None:
                return 0
            start = floor(oldest, thinning.coarse)
            end = min(end, start + THINNED_STEPS * thinning.coarse)
            items = await self._all_items(thinning.fine, start, end)
            return sum(await together(lambda item: self._thin(item, thinning.coarse), items))

    async def purge(self, before: datetime) -> int:
        with self._connection.failures():
            return sum([await self._purge(step, before) for step in STEPS])

    async def forget(self, run: RunId) -> None:
        with self._connection.failures():
            for step in STEPS:
                async for page in self._table.pages(items_of(run, step)):
                    days = {
                        day["sk"]: day
                        for kept in _samples(page)
                        for day in [day_key(kept.task, run, kept.sample.at)]
                    }
                    gone = [*map(key_of, page), *days.values()]
                    await self._table.write(deletes=gone)

    async def aclose(self) -> None:
        await self._connection.aclose()

    # Reading

    async def _latest(self, run: RunId) -> Sample | None:
        for step in STEPS:  # what was thinned is older than what was not
            newest, _ = await self._table.query(
                items_of(run, step), descending=True, limit=1, keep=self._expiry.alive()
            )
            if newest:
                return samples_of(newest[0])[-1].sample
        return None

    async def _runs(self, task: TaskId, since: datetime, until: datetime) -> Sequence[RunId]:
        days = await first_items(self._table, days_between(task, since, until))
        return list(dict.fromkeys(RunId(day["run"]) for day in days))

    async def _items(
        self, run: RunId, step: timedelta, since: datetime, until: datetime
    ) -> Sequence[Item]:
        which = items_between(run, step, since, until)
        return await first_items(self._table, which, keep=self._expiry.alive())

    async def _oldest(self, step: timedelta, end: datetime) -> datetime | None:
        """The moment of the first sample of a step, if it is before the end. Forgets hours that
        have no items any more."""
        hour, moments = _NEVER, list[datetime]()
        async for entry in self._hours(step, end):
            if moments and hour_of(entry) != hour:
                break
            hour = hour_of(entry)
            items = await self._of_hour(entry, step, hour)
            moments += [kept.sample.at for kept in _samples(items)]
            if not items:
                await self._forget_hour(entry, step)
        oldest = min(moments, default=end)
        return oldest if oldest < end else None

    async def _hours(self, step: timedelta, end: datetime) -> AsyncIterator[Item]:
        """The oldest first."""
        async for page in self._table.pages(hours_until(step, end), limit=_HOURS_AT_ONCE):
            for entry in page:
                yield entry

    async def _of_hour(
        self, entry: Item, step: timedelta, since: datetime, until: datetime = _NEVER
    ) -> Sequence[Item]:
        """The items of a run and an hour whose windows begin between."""
        hour = hour_of(entry)
        first, last = max(since, hour), min(until, hour + HOUR) - _MICROSECOND
        which = items_between(RunId(entry["run"]), step, first, last)
        return await first_items(self._table, which)

    async def _all_items(self, step: timedelta, since: datetime, until: datetime) -> Sequence[Item]:
        """Of all runs, those whose windows begin between."""
        entries = [
            entry
            for entry in await first_items(self._table, hours_until(step, until - _MICROSECOND))
            if hour_of(entry) > since - HOUR
        ]
        found = await together(lambda entry: self._of_hour(entry, step, since, until), entries)
        return [item for items in found for item in items]

    # Writing

    def _change(self, kept: Kept) -> When:
        sets = {"run": kept.run, "task": kept.task, attribute(kept.sample.at): to_text(kept)}
        return changes({**sets, **self._expiry.of_now()}, {"edition": 1})

    async def _tell(self, kept: Kept) -> None:
        """Enters the hour of a new item."""
        entry = {**hour_key(kept.run, kept.step, kept.sample.at), "run": kept.run}
        await self._table.put({**entry, **self._expiry.of_now()})

    async def _forget_hour(self, entry: Item, step: timedelta) -> None:
        await self._table.delete(key_of(entry))
        if await self._of_hour(entry, step, hour_of(entry)):  # one came meanwhile
            await self._table.put(entry)

    async def _thin(self, item: Item, step: timedelta) -> int:
        """Makes one sample of those of an item; 0 where somebody else has changed it."""
        fine = samples_of(item)
        coarse = merge(fine, step)
        await self._tell(coarse)
        done = await self._table.transact(
            [
                Delete(key_of(item), _as_read(item)),
                Update(item_key(coarse.run, step, coarse.sample.at), self._change(coarse)),
            ]
        )
        return len(fine) if done else 0

    async def _purge(self, step: timedelta, before: datetime) -> int:
        """A day of it."""
        oldest = await self._oldest(step, before)
        if oldest is None:
            return 0
        end = min(before, oldest + _DAY)
        items = await self._all_items(step, window_of(step, oldest), end)
        return sum(await together(lambda item: self._drop(item, end), items))

    async def _drop(self, item: Item, before: datetime) -> int:
        """Removes the samples of an item from before then; returns how many."""
        kept = samples_of(item)
        old = [at.sample.at for at in kept if at.sample.at < before]
        if not old:
            return 0
        if len(old) == len(kept):
            return len(old) * await self._table.delete(key_of(item), _as_read(item))
        change = changes({}, {"edition": 1}, [attribute(at) for at in old])
        left = await self._table.update(key_of(item), change, _as_read(item))
        return len(old) if left else 0


def _as_read(item: Item) -> When:
    return equal({"edition": item["edition"]})


def _samples(items: Iterable[Item]) -> list[Kept]:
    """In their order."""
    return sorted(
        (kept for item in items for kept in samples_of(item)), key=lambda at: at.sample.at
    )
