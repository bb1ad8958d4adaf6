"""The suite of the TaskStore port's lists, versions and plans.

A subclass gives `stores`, several instances over one empty state that use `clock`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conformance.task_stores import CREATED, run, task
from transferhub.errors import ConflictError, InputError
from transferhub.model.pages import ALL_TASKS, TaskFilter, TaskSort
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.model.transfer import RunId
from transferhub.state.base import TaskStore

SECOND = timedelta(seconds=1)


class TaskListSuite:
    """Tasks as a hub keeps them."""

    @pytest.fixture
    def store(self, stores: Sequence[TaskStore]) -> TaskStore:
        return stores[0]

    async def test_everything_of_a_task_comes_back(self, store: TaskStore) -> None:
        full = replace(
            task("a"),
            description="Every night \x00 é😀",
            owner="ann",
            tags=("b", 'a "quoted" one', "é"),
            schedule={"kind": "every", "interval": 60},
            state=TaskState.PAUSED,
            updated_at=CREATED + SECOND,
            next_run_at=CREATED + timedelta(days=1, microseconds=1),
        )
        await store.create_task(full)
        assert await store.get_task(TaskId("a")) == full
        plain = await store.update_task(replace(full, next_run_at=None, tags=()))
        assert await store.get_task(TaskId("a")) == plain

    # Versions

    async def test_former_versions_are_kept(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        second = await store.update_task(replace(task("a"), name="2", spec={"n": 2}))
        third = await store.update_task(replace(second, name="3"))
        versions = [task("a"), second, third]
        assert [await store.task_version(TaskId("a"), n) for n in (1, 2, 3)] == versions
        assert await store.task_version(TaskId("a"), 4) is None
        assert await store.task_version(TaskId("b"), 1) is None
        assert [*await store.task_versions(TaskId("a"))] == [*reversed(versions)]
        assert [*await store.task_versions(TaskId("a"), limit=2)] == [third, second]
        assert [*await store.task_versions(TaskId("b"))] == []

    async def test_writers_that_race_leave_one_version_each(
        self, stores: Sequence[TaskStore]
    ) -> None:
        await stores[0].create_task(task("a"))
        results = await asyncio.gather(
            *(store.update_task(replace(task("a"), name=f"{n}")) for n, store in enumerate(stores)),
            return_exceptions=True,
        )
        [winner] = [each for each in results if isinstance(each, Task)]
        assert sum(isinstance(each, ConflictError) for each in results) == len(stores) - 1
        assert [*await stores[0].task_versions(TaskId("a"))] == [winner, task("a")]

    # Deleting

    async def test_a_deleted_task_may_leave_its_history(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        await store.create_run(run("r", of="a"))
        changed = await store.update_task(replace(task("a"), name="2"))
        assert await store.delete_task(TaskId("a"), with_runs=False)
        assert not await store.delete_task(TaskId("a"), with_runs=False)
        assert await store.get_task(TaskId("a")) is None
        assert (await store.tasks()).items == ()
        assert await store.get_run(RunId("r")) == run("r", of="a")
        assert await store.task_version(TaskId("a"), 1) == task("a")
        assert await store.task_version(TaskId("a"), 2) == changed

    async def test_a_deleted_task_may_take_its_history_along(self, store: TaskStore) -> None:
        for ident in "ab":
            await store.create_task(task(ident))
            await store.create_run(run(f"run of {ident}", of=ident))
            await store.update_task(task(ident))
        assert await store.delete_task(TaskId("a"), with_runs=True)
        assert [each.ident for each in (await store.runs()).items] == ["run of b"]
        assert [*await store.task_versions(TaskId("a"))] == []
        assert len(await store.task_versions(TaskId("b"))) == 2

    # Lists

    async def test_tasks_are_sorted(self, store: TaskStore) -> None:
        for ident, name, created, updated, planned in (
            ("a", "Delta", 1, 9, None),
            ("b", "alpha", 2, 8, 5),
            ("c", "Écho", 3, 7, 4),
            ("d", "Beta", 4, 6, None),
            ("e", "beta", 5, 5, 3),
        ):
            await store.create_task(
                replace(
                    task(ident, seconds=created),
                    name=name,
                    updated_at=CREATED + updated * SECOND,
                    next_run_at=None if planned is None else CREATED + planned * SECOND,
                )
            )
        ups = {
            TaskSort.CREATED: "abcde",
            TaskSort.UPDATED: "edcba",
            TaskSort.NAME: "bdeac",
            TaskSort.NEXT_RUN: "ecbad",
        }
        for sort, up in ups.items():
            for descending in (False, True):
                expected = up[::-1] if descending else up
                for size in (1, 2, 5):
                    assert await _walk(store, sort, descending, size) == [*expected]

    async def test_a_page_tells_how_many_there_are(self, store: TaskStore) -> None:
        for number in range(5):
            await store.create_task(task(f"{number}", seconds=number))
        first = await store.tasks(limit=2)
        last = await store.tasks(after=first.cursor, limit=3)
        assert (first.total, last.total, last.cursor) == (5, 5, "")

    async def test_tasks_are_chosen(self, store: TaskStore) -> None:
        await store.create_task(replace(task("a"), owner="ann", tags=("x", "y%"), kind="images"))
        await store.create_task(replace(task("b"), owner="bob", tags=("xy", 'q"x"')))
        await store.create_task(replace(task("c"), state=TaskState.PAUSED, tags=("é", "x")))
        for chosen, expected in (
            (ALL_TASKS, "cba"),
            (TaskFilter(owner="ann"), "a"),
            (TaskFilter(kind="images"), "a"),
            (TaskFilter(state=TaskState.PAUSED), "c"),
            (TaskFilter(state=TaskState.ACTIVE), "ba"),
            (TaskFilter(tag="x"), "ca"),
            (TaskFilter(tag="é"), "c"),
            (TaskFilter(tag="y_"), ""),
            (TaskFilter(tag="y%"), "a"),
            (TaskFilter(tag='q"x"'), "b"),
            (TaskFilter(tag="x", owner="bob"), ""),
        ):
            assert await _chosen(store, chosen) == [*expected]

    async def test_words_are_found_in_every_text_of_a_task(self, store: TaskStore) -> None:
        await store.create_task(replace(task("a"), name="Nightly ÉTÉ", spec={}))
        await store.create_task(replace(task("b"), description="100% of_it!", name="", spec={}))
        spec = {"source": {"bucket": "Photos", "rules": [1]}, "destination": "s3://b/nightly/"}
        await store.create_task(replace(task("c"), name="", spec={**spec, "other": "hidden"}))
        for words, expected in (
            ("nightly", "ca"),
            ("NIGHTLY été", "a"),
            ("night s3://b/", "c"),
            ("photos", "c"),
            ("100%", "b"),
            ("0%f", ""),
            ("of_it!", "b"),
            ("ofxit", ""),
            ("hidden", ""),
            ("  ", "cba"),
        ):
            assert await _chosen(store, TaskFilter(words=words)) == [*expected]

    async def test_a_cursor_of_another_list_is_refused(self, store: TaskStore) -> None:
        for number in range(3):
            await store.create_task(task(f"{number}"))
            await store.create_run(run(f"{number}"))
        cursor = (await store.tasks(limit=1)).cursor
        for other in (cursor[:-4], "nonsense", (await store.runs(limit=1)).cursor):
            with pytest.raises(InputError, match="after"):
                await store.tasks(after=other)
        with pytest.raises(InputError):
            await store.tasks(after=cursor, descending=False)
        with pytest.raises(InputError):
            await store.tasks(after=cursor, sort=TaskSort.NAME)

    # Plans

    async def test_what_is_due_comes_in_its_order(self, store: TaskStore) -> None:
        for ident, seconds in (("d", 2), ("b", 1), ("a", 2), ("c", 3), ("none", None)):
            planned = None if seconds is None else CREATED + seconds * SECOND
            await store.create_task(replace(task(ident), next_run_at=planned))
        paused = replace(task("paused"), next_run_at=CREATED, state=TaskState.PAUSED)
        await store.create_task(paused)
        until = CREATED + 2 * SECOND
        assert [each.ident for each in await store.due_tasks(until)] == [*"bad"]
        assert [each.ident for each in await store.due_tasks(until, limit=2)] == [*"ba"]
        after = (until, TaskId("a"))
        assert [each.ident for each in await store.due_tasks(until, after=after)] == ["d"]
        assert [*await store.due_tasks(until - 2 * SECOND)] == []

    async def test_a_plan_is_moved_by_one_only(self, stores: Sequence[TaskStore]) -> None:
        await stores[0].create_task(task("a"))
        later = CREATED + SECOND
        moved = await asyncio.gather(
            *(store.plan_task(TaskId("a"), None, later) for store in stores)
        )
        assert sorted(moved) == [False] * (len(stores) - 1) + [True]
        assert await stores[0].get_task(TaskId("a")) == replace(task("a"), next_run_at=later)
        assert await stores[0].plan_task(TaskId("a"), later, None)
        assert not await stores[0].plan_task(TaskId("a"), later, None)
        assert not await stores[0].plan_task(TaskId("b"), None, None)
        assert (await stores[0].update_task(task("a"))).version == 2


async def _chosen(store: TaskStore, chosen: TaskFilter) -> list[str]:
    page = await store.tasks(chosen)
    assert page.total == len(page.items)
    return [each.ident for each in page.items]


async def _walk(store: TaskStore, sort: TaskSort, descending: bool, size: int) -> list[str]:
    found: list[str] = []
    after = ""
    while not found or after:
        page = await store.tasks(sort=sort, descending=descending, after=after, limit=size)
        found += [each.ident for each in page.items]
        after = page.cursor
    return found
