"""The suite of the RunStore port: the queue of runs, their lists, and the runs of schedules.

A subclass gives `stores`, several instances over one empty state that use `clock`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import FakeClock
from tests.conformance.task_stores import CREATED, run
from transferhub.errors import ConflictError, InputError, LeaseLostError
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunOrder, RunState, TaskId, Trigger
from transferhub.model.transfer import RunId
from transferhub.state.base import RunStore

LEASE = timedelta(seconds=30)


def queued(ident: str, *, of: str = "task", seconds: float = 0) -> Run:
    return run(ident, of=of, state=RunState.QUEUED, seconds=seconds)


class RunStoreSuite:
    """Every test of the port."""

    @pytest.fixture
    def store(self, stores: Sequence[RunStore]) -> RunStore:
        return stores[0]

    # Telling

    async def test_a_run_is_told_of_once_each_time_it_ends(
        self, stores: Sequence[RunStore], clock: FakeClock
    ) -> None:
        store = stores[0]
        for ident, seconds, trigger in (("b", 2, Trigger.EVENT), ("a", 1, Trigger.PERSON)):
            ended = replace(run(ident, state=RunState.FAILED), ended_at=clock.after(seconds))
            await store.create_run(replace(ended, trigger=trigger))
        mine = replace(run("c", state=RunState.FAILED), ended_at=clock.now)
        await store.create_run(replace(mine, trigger=Trigger.COMMAND))
        await store.create_run(queued("d"))
        first, second = await store.untold_runs()
        assert (first.ident, second.ident) == ("a", "b")
        assert await store.untold_runs(limit=1) == [first]
        await stores[1].note_told(first)
        assert await stores[2].untold_runs() == [second]
        assert await store.get_run(first.ident) == first
        again = await store.update_run(replace(first, state=RunState.QUEUED, ended_at=None))
        await store.note_told(again)
        assert await store.untold_runs() == [second]
        ended_again = await store.update_run(replace(again, ended_at=clock.after(3)))
        await store.note_told(first)
        assert await store.untold_runs() == [second, ended_again]

    # Claiming

    async def test_the_oldest_queued_run_is_claimed_first(
        self, store: RunStore, clock: FakeClock
    ) -> None:
        await store.create_run(queued("b", seconds=2))
        await store.create_run(queued("a", seconds=1))
        claimed = await store.claim_run("k", LEASE)
        assert claimed == replace(
            queued("a", seconds=1),
            state=RunState.RUNNING,
            keeper="k",
            kept_until=clock.after(30),
            version=2,
        )
        assert await store.get_run(RunId("a")) == claimed
        assert [await _claimed(store) for _ in range(2)] == ["b", None]

    async def test_a_run_is_claimed_once_however_many_ask(self, stores: Sequence[RunStore]) -> None:
        for number in range(6):
            await stores[0].create_run(queued(f"{number}", seconds=number))
        claims = [store.claim_run(f"{n}", LEASE) for n, store in enumerate(stores) for _ in "xxx"]
        claimed = [found for found in await asyncio.gather(*claims) if found is not None]
        assert sorted(found.ident for found in claimed) == [*"012345"]

    async def test_a_run_whose_keeper_died_is_claimed_before_those_that_wait(
        self, store: RunStore, clock: FakeClock
    ) -> None:
        await store.create_run(queued("a"))
        dead = await store.claim_run("dead", LEASE)
        assert dead is not None
        await store.create_run(queued("b"))
        clock.advance(29.999)
        assert await _claimed(store) == "b"
        assert await _claimed(store) is None
        clock.advance(0.001)
        assert await _claimed(store) == "a"
        with pytest.raises(LeaseLostError):
            await store.keep_run(dead, LEASE)
        with pytest.raises(ConflictError):
            await store.update_run(replace(dead, state=RunState.SUCCEEDED))

    async def test_a_run_without_a_keeper_is_never_claimed(
        self, store: RunStore, clock: FakeClock
    ) -> None:
        await store.create_run(run("direct"))
        for state in set(RunState) - {RunState.QUEUED, RunState.RUNNING}:
            await store.create_run(replace(run(state), state=state, keeper="k", kept_until=CREATED))
        clock.advance(1e6)
        assert await store.claim_run("k", LEASE) is None

    # Keeping

    async def test_a_kept_run_tells_its_order_and_keeps_its_version(
        self, store: RunStore, clock: FakeClock
    ) -> None:
        await store.create_run(queued("a"))
        mine = await store.claim_run("k", LEASE)
        assert mine is not None
        clock.advance(20)
        kept = await store.keep_run(mine, LEASE)
        assert kept == replace(mine, kept_until=clock.after(30))
        stopped = await store.update_run(replace(mine, order=RunOrder.STOP))
        assert stopped == replace(kept, order=RunOrder.STOP, version=mine.version + 1)
        assert await store.keep_run(mine, LEASE) == stopped

    async def test_only_its_keeper_keeps_a_run(self, store: RunStore) -> None:
        await store.create_run(queued("a"))
        mine = await store.claim_run("k", LEASE)
        assert mine is not None
        with pytest.raises(LeaseLostError, match="Run a is not kept by other"):
            await store.keep_run(replace(mine, keeper="other"), LEASE)
        await store.create_run(run("direct"))
        with pytest.raises(LeaseLostError):
            await store.keep_run(run("direct"), LEASE)
        with pytest.raises(LeaseLostError):
            await store.keep_run(replace(mine, ident=RunId("unknown")), LEASE)

    async def test_a_run_that_ended_is_not_kept(self, store: RunStore) -> None:
        await store.create_run(queued("a"))
        mine = await store.claim_run("k", LEASE)
        assert mine is not None
        await store.update_run(replace(mine, state=RunState.FAILED))
        with pytest.raises(LeaseLostError):
            await store.keep_run(mine, LEASE)

    async def test_an_update_does_not_move_the_keeper(
        self, store: RunStore, clock: FakeClock
    ) -> None:
        await store.create_run(queued("a"))
        mine = await store.claim_run("k", LEASE)
        assert mine is not None
        updated = await store.update_run(replace(mine, keeper="x", kept_until=None))
        assert (updated.keeper, updated.kept_until) == ("k", clock.after(30))

    async def test_a_released_run_waits_again(self, store: RunStore) -> None:
        await store.create_run(queued("a"))
        mine = await store.claim_run("k", LEASE)
        assert mine is not None
        await store.release_run(replace(mine, keeper="other"))
        assert await _claimed(store) is None
        await store.release_run(mine)
        assert await store.get_run(RunId("a")) == replace(queued("a"), version=3)
        assert await _claimed(store, "k2") == "a"
        await store.release_run(mine)
        assert await _claimed(store) is None

    # Schedules

    async def test_a_moment_of_a_schedule_starts_one_run(self, stores: Sequence[RunStore]) -> None:
        planned = [
            replace(queued(f"{n}"), trigger=Trigger.SCHEDULE, scheduled_at=CREATED)
            for n in range(len(stores))
        ]
        kept = await asyncio.gather(
            *(store.create_run(each) for store, each in zip(stores, planned, strict=True))
        )
        assert [*(await stores[0].runs()).items] == [kept[0]]
        assert len({each.ident for each in kept}) == 1
        assert kept[0] in planned

    async def test_a_moment_is_another_one_for_another_task(self, store: RunStore) -> None:
        first = replace(queued("a"), scheduled_at=CREATED)
        assert await store.create_run(first) == first
        for other in (
            replace(first, ident=RunId("b"), task=TaskId("other")),
            replace(first, ident=RunId("c"), scheduled_at=CREATED + timedelta(microseconds=1)),
            replace(first, ident=RunId("d"), scheduled_at=None),
            replace(first, ident=RunId("e"), scheduled_at=None),
        ):
            assert await store.create_run(other) == other
        await store.update_run(replace(first, state=RunState.SUCCEEDED))
        again = await store.create_run(replace(first, ident=RunId("f")))
        assert (again.ident, again.state) == ("a", RunState.SUCCEEDED)
        with pytest.raises(ConflictError):
            await store.create_run(replace(first, scheduled_at=CREATED + timedelta(days=1)))

    # Expiring

    async def test_runs_expire_oldest_first_but_for_the_newest_of_a_task(
        self, store: RunStore
    ) -> None:
        def ended(ident: str, seconds: float, *, of: str = "task") -> Run:
            at = CREATED + timedelta(seconds=seconds)
            return replace(run(ident, of=of, state=RunState.FAILED, seconds=seconds), ended_at=at)

        for each in (ended("a", 1), ended("b", 3), ended("c", 2), ended("d", 4)):
            await store.create_run(each)
        await store.create_run(ended("e", 1, of="other"))
        await store.create_run(run("f", seconds=0))
        await store.create_run(replace(queued("g"), ended_at=CREATED))
        await store.create_run(run("h", state=RunState.CANCELLED, seconds=9))
        before = CREATED + timedelta(seconds=4)
        page = await store.expired_runs(before, limit=2)
        assert [*page.items] == [ended("a", 1), ended("c", 2)]
        rest = await store.expired_runs(before, after=page.cursor, limit=2)
        assert ([*rest.items], rest.cursor) == ([ended("b", 3)], "")
        assert not (await store.expired_runs(CREATED + timedelta(seconds=1))).items
        with pytest.raises(InputError, match="after"):
            await store.expired_runs(before, after=(await store.runs(limit=1)).cursor)

    async def test_a_run_is_deleted_as_it_was_read_and_never_under_way(
        self, store: RunStore
    ) -> None:
        kept = await store.create_run(run("a", state=RunState.FAILED))
        newer = await store.update_run(replace(kept, state=RunState.SUCCEEDED))
        for state in (RunState.RUNNING, RunState.QUEUED):
            assert not await store.delete_run(await store.create_run(run(state, state=state)))
        assert not await store.delete_run(kept)
        assert await store.delete_run(newer)
        assert not await store.delete_run(newer)
        assert await store.get_run(kept.ident) is None
        asked = [RunId(name) for name in ("b", "queued", "a", "x\x00y")]
        assert [*await store.unknown_runs(asked)] == ["b", "a", "x\x00y"]
        assert [*await store.unknown_runs([])] == []

    # Lists

    async def test_runs_are_paged(self, store: RunStore) -> None:
        for number in range(7):
            await store.create_run(run(f"{number}", seconds=number // 3))
        first = await store.runs(limit=3)
        await store.create_run(run("newer", seconds=9))
        second = await store.runs(after=first.cursor, limit=3)
        third = await store.runs(after=second.cursor, limit=3)
        pages = [[each.ident for each in page.items] for page in (first, second, third)]
        assert pages == [[*"654"], [*"321"], [*"0"]]
        assert (third.cursor, first.total) == ("", None)
        assert (await store.runs(limit=8)).cursor == ""

    async def test_runs_of_many_states_are_paged_in_one_order(self, store: RunStore) -> None:
        states = (RunState.RUNNING, RunState.FAILED, RunState.SUCCEEDED)
        for number in range(9):
            await store.create_run(run(f"{number}", state=states[number % 3], seconds=number))
        chosen, after = RunFilter(states=states[:2]), ""
        found: list[str] = []
        while not found or after:
            page = await store.runs(chosen, after=after, limit=2)
            found += [each.ident for each in page.items]
            after = page.cursor
        assert found == [*"764310"]

    async def test_runs_are_chosen_by_trigger_and_time(self, store: RunStore) -> None:
        for number, trigger in enumerate([*Trigger, *Trigger]):
            await store.create_run(replace(run(f"{number}", seconds=number), trigger=trigger))
        assert await _idents(store, RunFilter(trigger=Trigger.EVENT)) == [*"62"]
        second = timedelta(seconds=1)
        times = RunFilter(since=CREATED + 2 * second, until=CREATED + 5 * second)
        assert await _idents(store, times) == [*"432"]
        assert await _idents(store, replace(times, trigger=Trigger.COMMAND)) == [*"3"]
        assert await _idents(store, replace(times, task=TaskId("none"))) == []

    async def test_the_newest_run_of_each_task_is_found(self, store: RunStore) -> None:
        for ident, task, seconds in (("a", "x", 2), ("b", "x", 1), ("c", "y", 0), ("d", "z", 0)):
            await store.create_run(run(ident, of=task, seconds=seconds))
        await store.create_run(run("e", of="y", seconds=0))
        found = await store.latest_runs([TaskId(name) for name in ("x", "y", "none")])
        assert {task: each.ident for task, each in found.items()} == {"x": "a", "y": "e"}
        assert await store.latest_runs([]) == {}

    async def test_what_is_no_cursor_is_refused(self, store: RunStore) -> None:
        for cursor in ("?", "bm9wZQ==", "é", "WyJydW5zIiwieCIsMV0="):
            with pytest.raises(InputError, match="after"):
                await store.runs(after=cursor)


async def _claimed(store: RunStore, keeper: str = "k") -> str | None:
    found = await store.claim_run(keeper, LEASE)
    return found.ident if found else None


async def _idents(store: RunStore, chosen: RunFilter) -> list[str]:
    return [each.ident for each in (await store.runs(chosen)).items]
