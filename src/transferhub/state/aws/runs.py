"""`AwsRuns`: the half of `AwsTaskStore` that keeps runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, Delete, Put
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import ALL_RUNS, Page, RunFilter
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState, TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.run_items import (
    ALL,
    KEPT,
    QUEUED,
    UNTOLD,
    ListedRun,
    moment_key,
    of_task,
    run_key,
    views_of,
)
from transferhub.state.aws.views import HubItems, moment_text, neighbour, place_text, text_place
from transferhub.state.cursors import EXPIRED_RUNS, RUNS, read_cursor, write_cursor
from transferhub.state.refusals import run_changed, run_exists, run_lost
from transferhub.state.values import to_micros

_TRIES = 5
_CLAIMABLE = 10
_QUERIES_AT_ONCE = 16
_FEWEST_EXPIRED = 100
_LAST = "~"
"""Comes after all that `moment_text` writes."""

_Step = Callable[[ListedRun], ListedRun | None]


class AwsRuns:
    """A RunStore in DynamoDB; each verb that changes one run is one write or one transaction."""

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._items = HubItems(connection)
        self._clock = clock

    async def create_run(self, run: Run) -> Run:
        listed = ListedRun(run=run, number=await self._items.next_number())
        at = None if run.scheduled_at is None else moment_key(run.task, run.scheduled_at)
        moment = [] if at is None else [Put({**at, "ident": run.ident}, ABSENT)]
        for _ in range(_TRIES):
            if await self._items.change(None, listed, *moment):
                return run
            kept = None if at is None else await self._of_moment(at)
            if kept is not None:
                return kept
            if await self._find(run.ident) is not None:
                raise run_exists(run.ident)
            # What stood in the way was deleted in between.
        raise run_changed(run.ident)

    async def get_run(self, ident: RunId) -> Run | None:
        found = await self._find(ident)
        return None if found is None else found.run

    async def update_run(self, run: Run) -> Run:
        """As the port says; the task and the moment of a run stay as they were created."""

        def update(known: ListedRun) -> ListedRun | None:
            if known.run.version != run.version:
                return None
            return known.with_run(
                replace(
                    run,
                    version=run.version + 1,
                    task=known.run.task,
                    scheduled_at=known.run.scheduled_at,
                    keeper=known.run.keeper,
                    kept_until=known.run.kept_until,
                )
            )

        updated = await self._change(run.ident, update)
        if updated is None:
            raise run_changed(run.ident)
        return updated.run

    async def runs(
        self, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        """As the port says. A run that changes while a page is read may be missing from it.

        It costs one query for each view, and one read for each hundred runs. Where it is chosen by
        trigger among others, entries that are left out are read too, a thousand at once.
        """
        place = read_cursor(RUNS, after, int)
        ends = [neighbour(place_text(place), -1)] if place else []
        if chosen.until is not None:
            ends.append(moment_text(to_micros(chosen.until)))
        low = "" if chosen.since is None else moment_text(to_micros(chosen.since))
        found: dict[str, Item] = {}
        # One after the other: a run that moves on is in the view that is read later.
        for view, keep in views_of(chosen):
            entries = await self._items.view(
                view,
                low=low,
                high=min(ends, default=""),
                descending=True,
                limit=limit + 1,
                keep=keep,
            )
            found |= {entry["sk"]: entry for entry in entries}
        newest = [found[at] for at in sorted(found, reverse=True)[: limit + 1]]
        page, cursor = newest[:limit], ""
        if page and len(newest) > limit:
            cursor = write_cursor(RUNS, text_place(page[-1]["sk"]))
        runs = [listed.run for listed in await self._listed(page)]
        return Page(items=tuple(run for run in runs if chosen.fits(run)), cursor=cursor)

    async def latest_runs(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Run]:
        entries: list[Item] = []
        for start in range(0, len(tasks), _QUERIES_AT_ONCE):
            some = tasks[start : start + _QUERIES_AT_ONCE]
            for found in await asyncio.gather(*map(self._latest_entry, some)):
                entries += found
        return {listed.run.task: listed.run for listed in await self._listed(entries)}

    async def claim_run(self, keeper: str, duration: timedelta) -> Run | None:
        now = self._clock()

        def claim(known: ListedRun) -> ListedRun | None:
            if known.run.state is not RunState.QUEUED and not known.is_lapsed(now):
                return None
            return known.with_run(
                replace(
                    known.run,
                    state=RunState.RUNNING,
                    keeper=keeper,
                    kept_until=now + duration,
                    version=known.run.version + 1,
                )
            )

        lapsed = moment_text(to_micros(now)) + _LAST
        return await self._first(KEPT, lapsed, claim) or await self._first(QUEUED, "", claim)

    async def keep_run(self, run: Run, duration: timedelta) -> Run:
        until = self._clock() + duration
        kept = await self._change(
            run.ident,
            lambda known: (
                known.with_run(replace(known.run, kept_until=until))
                if known.is_kept_by(run.keeper)
                else None
            ),
        )
        if kept is None:
            raise run_lost(run)
        return kept.run

    async def expired_runs(
        self, before: datetime, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        """As the port says. Old runs that stay are read again each time: the newest of a task, and
        those that never ended."""
        place = read_cursor(EXPIRED_RUNS, after, int)
        low = neighbour(place_text(place), 1) if place else ""
        found: list[ListedRun] = []
        rest: Item | None = None
        while True:
            entries, rest = await self._items.page(
                ALL,
                low=low,
                high=moment_text(to_micros(before)),
                limit=max(limit + 1, _FEWEST_EXPIRED),
                after=rest,
            )
            found += await self._expired(entries, before)
            if rest is None or len(found) > limit:
                break
        page, cursor = found[:limit], ""
        if page and len(found) > limit:
            cursor = write_cursor(EXPIRED_RUNS, page[-1].place)
        return Page(items=tuple(listed.run for listed in page), cursor=cursor)

    async def delete_run(self, run: Run) -> bool:
        while (known := await self._find(run.ident)) is not None:
            if known.run.version != run.version or known.run.state in UNDER_WAY_STATES:
                return False
            if await self._delete(known):
                return True
        return False

    async def unknown_runs(self, idents: Sequence[RunId]) -> Sequence[RunId]:
        found = await self._items.find_many([run_key(ident) for ident in dict.fromkeys(idents)])
        known = {item["ident"] for item in found}
        return [ident for ident in idents if ident not in known]

    async def release_run(self, run: Run) -> None:
        await self._change(
            run.ident,
            lambda known: (
                known.with_run(
                    replace(
                        known.run,
                        state=RunState.QUEUED,
                        keeper="",
                        kept_until=None,
                        version=known.run.version + 1,
                    )
                )
                if known.is_kept_by(run.keeper)
                else None
            ),
        )

    async def untold_runs(self, *, limit: int = 100) -> Sequence[Run]:
        entries = await self._items.view(UNTOLD, limit=limit)
        return [listed.run for listed in await self._listed(entries) if listed.is_untold]

    async def note_told(self, run: Run) -> None:
        if run.ended_at is not None:
            told_at = to_micros(run.ended_at)
            await self._change(
                run.ident, lambda known: known.told(told_at) if known.told_at < told_at else None
            )

    async def aclose(self) -> None:
        await self._items.aclose()

    async def _delete_runs_of(self, task: TaskId) -> None:
        rest: Item | None = None
        while True:
            entries, rest = await self._items.page(of_task(task), limit=100, after=rest)
            for start in range(0, len(entries), _QUERIES_AT_ONCE):
                some = entries[start : start + _QUERIES_AT_ONCE]
                await asyncio.gather(*(self._delete_whatever(RunId(at["ident"])) for at in some))
            if rest is None:
                return

    async def _delete_whatever(self, ident: RunId) -> None:
        while (known := await self._find(ident)) is not None and not await self._delete(known):
            pass

    async def _delete(self, known: ListedRun) -> bool:
        at = known.run.scheduled_at
        moment = [] if at is None else [Delete(moment_key(known.run.task, at))]
        return await self._items.change(known, None, *moment)

    async def _change(self, ident: RunId, step: _Step) -> ListedRun | None:
        """The run as `step` changed it; None where there is none, or it is to stay as it is."""
        while (known := await self._find(ident)) is not None:
            changed = step(known)
            if changed is None or await self._items.change(known, changed):
                return changed
        return None

    async def _first(self, view: str, high: str, step: _Step) -> Run | None:
        """The first run of a view that `step` changed. Those that another one was quicker to
        change are passed over."""
        rest: Item | None = None
        while True:
            entries, rest = await self._items.page(view, high=high, limit=_CLAIMABLE, after=rest)
            for entry in entries:
                changed = await self._change(RunId(entry["ident"]), step)
                if changed is not None:
                    return changed.run
            if rest is None:
                return None

    async def _expired(self, entries: Sequence[Item], before: datetime) -> list[ListedRun]:
        ended = [
            listed
            for listed in await self._listed(entries)
            if listed.run.state not in UNDER_WAY_STATES
            and listed.run.ended_at is not None
            and listed.run.ended_at < before
        ]
        tasks = [*dict.fromkeys(listed.run.task for listed in ended)]
        newest = {run.ident for run in (await self.latest_runs(tasks)).values()}
        return [listed for listed in ended if listed.run.ident not in newest]

    async def _latest_entry(self, task: TaskId) -> Sequence[Item]:
        return (await self._items.page(of_task(task), descending=True, limit=1)).items

    async def _listed(self, entries: Sequence[Item]) -> list[ListedRun]:
        """The runs of entries, in their order, but for those that are gone."""
        idents = [RunId(entry["ident"]) for entry in entries]
        items = await self._items.find_many([run_key(ident) for ident in dict.fromkeys(idents)])
        found = {item["ident"]: ListedRun.of(item) for item in items}
        return [found[ident] for ident in idents if ident in found]

    async def _find(self, ident: RunId) -> ListedRun | None:
        item = await self._items.find(run_key(ident))
        return None if item is None else ListedRun.of(item)

    async def _of_moment(self, key: Item) -> Run | None:
        moment = await self._items.find(key)
        return None if moment is None else await self.get_run(RunId(moment["ident"]))
