"""The suite of the TaskStore port: a test for each of its guarantees.

A subclass gives the fixture `store`, an empty one.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from transferhub.errors import ConflictError
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import RunId
from transferhub.state.base import TaskStore

CREATED = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)


def task(ident: str, *, seconds: float = 0, fingerprint: str = "f") -> Task:
    return Task(
        ident=TaskId(ident),
        name=f"Name of {ident}",
        kind="objects",
        spec={"source": "s3://bucket/é\x00😀", "limits": {"bytes": 1 << 60, "rate": 0.5}, "of": []},
        fingerprint=fingerprint,
        created_at=CREATED + timedelta(seconds=seconds),
        updated_at=CREATED + timedelta(seconds=seconds),
    )


def run(
    ident: str, *, of: str = "task", state: RunState = RunState.RUNNING, seconds: float = 0
) -> Run:
    return Run(
        ident=RunId(ident),
        task=TaskId(of),
        task_version=3,
        state=state,
        created_at=CREATED + timedelta(seconds=seconds),
    )


class TaskStoreSuite:
    """Every test of the port."""

    async def test_a_task_comes_back_as_it_was(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        assert await store.get_task(TaskId("a")) == task("a")
        assert await store.get_task(TaskId("b")) is None

    async def test_the_id_of_a_task_is_given_once(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        with pytest.raises(ConflictError, match="Task a exists"):
            await store.create_task(task("a", fingerprint="other"))
        assert await store.get_task(TaskId("a")) == task("a")

    async def test_an_update_counts_the_version(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        changed = replace(task("a"), name="New", spec={"new": True}, fingerprint="g")
        updated = await store.update_task(changed)
        assert updated == replace(changed, version=2)
        assert await store.get_task(TaskId("a")) == updated
        assert (await store.update_task(updated)).version == 3

    async def test_a_task_that_was_changed_meanwhile_is_not_updated(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        await store.update_task(replace(task("a"), name="First"))
        with pytest.raises(ConflictError, match="changed by another writer"):
            await store.update_task(replace(task("a"), name="Second"))
        found = await store.get_task(TaskId("a"))
        assert found is not None
        assert (found.name, found.version) == ("First", 2)

    async def test_an_unknown_task_is_not_updated(self, store: TaskStore) -> None:
        with pytest.raises(ConflictError):
            await store.update_task(task("a"))
        assert (await store.tasks()).items == ()

    async def test_one_of_many_writers_wins(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        results = await asyncio.gather(
            *(store.update_task(task("a")) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, Task) for result in results) == 1
        assert sum(isinstance(result, ConflictError) for result in results) == 4

    async def test_the_newest_task_of_a_fingerprint_and_owner_is_found(
        self, store: TaskStore
    ) -> None:
        await store.create_task(task("new", seconds=2))
        await store.create_task(task("old", seconds=1))
        await store.create_task(task("other", seconds=3, fingerprint="g"))
        await store.create_task(replace(task("hers", seconds=4), owner="ann"))
        found = await store.find_task("f")
        assert found is not None
        assert found.ident == "new"
        hers = await store.find_task("f", owner="ann")
        assert hers is not None
        assert hers.ident == "hers"
        assert await store.find_task("g", owner="ann") is None
        assert await store.find_task("none") is None

    async def test_tasks_come_newest_first(self, store: TaskStore) -> None:
        for ident, seconds in (("b", 2), ("c", 3), ("a", 1), ("d", 3)):
            await store.create_task(task(ident, seconds=seconds))
        assert [found.ident for found in (await store.tasks()).items] == [*"dcba"]
        assert [found.ident for found in (await store.tasks(limit=2)).items] == [*"dc"]

    async def test_a_run_comes_back_as_it_was(self, store: TaskStore) -> None:
        await store.create_run(run("a"))
        assert await store.get_run(RunId("a")) == run("a")
        assert await store.get_run(RunId("b")) is None
        ended = replace(
            run("b", state=RunState.FAILED),
            started_at=CREATED + timedelta(microseconds=1),
            ended_at=CREATED + timedelta(days=1),
            error_code="no_bucket",
            error="There is no bucket \x00\x01'é😀'.",
            workers=("host-1-0", "host-1-1"),
            summary={"scanned_source": 1 << 60, "seconds": 1.5, "report": None},
            resumed=2,
        )
        await store.create_run(ended)
        assert await store.get_run(RunId("b")) == ended

    async def test_the_error_of_a_run_may_quote_anything(self, store: TaskStore) -> None:
        await store.create_run(replace(run("a"), error="name \udcff.txt"))
        found = await store.get_run(RunId("a"))
        assert found is not None
        assert found.error.startswith("name ")

    async def test_the_id_of_a_run_is_given_once(self, store: TaskStore) -> None:
        await store.create_run(run("a"))
        with pytest.raises(ConflictError, match="Run a exists"):
            await store.create_run(run("a", of="other"))
        assert await store.get_run(RunId("a")) == run("a")

    async def test_an_update_of_a_run_counts_the_version(self, store: TaskStore) -> None:
        await store.create_run(run("a"))
        changed = replace(run("a"), state=RunState.SUCCEEDED, ended_at=CREATED, workers=("w",))
        updated = await store.update_run(changed)
        assert updated == replace(changed, version=2)
        assert await store.get_run(RunId("a")) == updated

    async def test_a_run_that_was_changed_meanwhile_is_not_updated(self, store: TaskStore) -> None:
        await store.create_run(run("a"))
        await store.update_run(replace(run("a"), resumed=1))
        with pytest.raises(ConflictError, match="changed by another writer"):
            await store.update_run(replace(run("a"), resumed=2))
        with pytest.raises(ConflictError):
            await store.update_run(run("unknown"))
        found = await store.get_run(RunId("a"))
        assert found is not None
        assert found.resumed == 1

    async def test_an_id_that_none_can_have_is_unknown(self, store: TaskStore) -> None:
        await store.create_task(task("a"))
        await store.create_run(run("a"))
        long = "x" * 5_000
        assert await store.get_task(TaskId(long)) is None
        assert await store.get_run(RunId(long)) is None
        assert (await store.runs(RunFilter(task=TaskId(long)))).items == ()
        assert await store.latest_runs([TaskId(long)]) == {}
        assert [*await store.unknown_runs([RunId(long)])] == [long]

    async def test_runs_come_newest_first(self, store: TaskStore) -> None:
        for ident, seconds in (("b", 2), ("c", 3), ("a", 1), ("d", 3)):
            await store.create_run(run(ident, seconds=seconds))
        assert [found.ident for found in (await store.runs()).items] == [*"dcba"]
        assert [found.ident for found in (await store.runs(limit=3)).items] == [*"dcb"]

    async def test_runs_are_chosen_by_task_and_state(self, store: TaskStore) -> None:
        await store.create_run(run("a", of="x", state=RunState.RUNNING))
        await store.create_run(run("b", of="x", state=RunState.CANCELLED))
        await store.create_run(run("c", of="y", state=RunState.RUNNING))
        await store.create_run(run("d", of="x", state=RunState.FAILED))
        assert [at.ident for at in (await store.runs(RunFilter(task=TaskId("x")))).items] == [
            *"dba"
        ]
        assert [
            at.ident for at in (await store.runs(RunFilter(states=(RunState.RUNNING,)))).items
        ] == [*"ca"]
        resumable = (RunState.RUNNING, RunState.CANCELLED)
        found = await store.runs(RunFilter(task=TaskId("x"), states=resumable), limit=1)
        assert [at.ident for at in found.items] == ["b"]
        assert (await store.runs(RunFilter(task=TaskId("z")))).items == ()
