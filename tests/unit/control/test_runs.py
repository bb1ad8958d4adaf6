from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from transferhub.control.runs import Runs
from transferhub.engine.progress import Summary
from transferhub.errors import GuardError, InputError, RunError
from transferhub.model.run import Run, RunState, Task, TaskId, Trigger
from transferhub.model.transfer import Difference, RunId, Shard, Transfer, WorkerId
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec
from transferhub.state.memory import MemoryLedger, MemoryTaskStore

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SMALL = 5 << 20
ONE, TWO = WorkerId("one"), WorkerId("two")


def spec(destination: str = "b", **options: Any) -> ObjectsSpec:
    return parse_spec({"source": "s3://a", "destination": f"s3://{destination}", **options})


class Desk:
    """Runs over state in memory, with a clock that each look moves on."""

    def __init__(self) -> None:
        self.now = START
        self.ledger = MemoryLedger(clock=self.clock)
        self.tasks = MemoryTaskStore()
        self.runs = Runs(self.tasks, self.ledger, clock=self.clock)

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    async def begun(self, task: Task, *workers: WorkerId) -> Run:
        run, _ = await self.runs.begin(self.runs.new(task), workers or [ONE])
        return run

    async def ended(self, run: Run, state: RunState) -> None:
        totals = await self.ledger.totals(run.ident)
        await self.runs.end(run, Summary.of(run.ident, state, totals, seconds=1.0))


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_same_work_is_the_same_task(desk: Desk) -> None:
    first = await desk.runs.task_of(spec())
    assert await desk.runs.task_of(spec()) == first
    assert (await desk.runs.task_of(spec("c"))).ident != first.ident


async def test_a_task_takes_over_what_does_not_change_its_work(desk: Desk) -> None:
    first = await desk.runs.task_of(spec(part_size=SMALL))
    second = await desk.runs.task_of(spec(part_size=2 * SMALL))
    assert (second.ident, second.spec["part_size"]) == (first.ident, 2 * SMALL)
    assert second.version == first.version + 1


async def test_a_run_is_not_stored_before_it_begins(desk: Desk) -> None:
    run = desk.runs.new(await desk.runs.task_of(spec()))
    assert (await desk.tasks.runs()).items == ()
    await desk.runs.begin(run, [ONE])
    assert [each.ident for each in (await desk.tasks.runs()).items] == [run.ident]


async def test_a_later_start_learns_of_the_workers_of_all_earlier_ones(desk: Desk) -> None:
    run = await desk.begun(await desk.runs.task_of(spec()), ONE)
    again, former = await desk.runs.begin(run, [TWO])
    assert (former, again.resumed) == ([ONE], 1)
    _, former = await desk.runs.begin(again, [WorkerId("three")])
    assert former == [TWO, ONE]


async def test_the_workers_of_a_run_without_work_left_are_forgotten(desk: Desk) -> None:
    run = await desk.begun(await desk.runs.task_of(spec()))
    await desk.ended(run, RunState.SUCCEEDED)
    stored = await desk.tasks.get_run(run.ident)
    assert stored is not None
    assert (stored.workers, stored.state) == ((), RunState.SUCCEEDED)


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES])
async def test_an_ended_run_is_not_gone_on_with(desk: Desk, state: RunState) -> None:
    task = await desk.runs.task_of(spec())
    await desk.ended(await desk.begun(task), state)
    assert await desk.runs.unfinished(task) == []


async def test_killed_and_stopped_runs_are_gone_on_with_newest_first(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    killed = await desk.begun(task)
    stopped = await desk.begun(task)
    await desk.ended(stopped, RunState.CANCELLED)
    found = await desk.runs.unfinished(task)
    assert [run.ident for run in found] == [stopped.ident, killed.ident]


@pytest.mark.parametrize("left", ["nothing", "a transfer", "a range"])
async def test_a_failed_run_is_gone_on_with_while_it_has_work_left(desk: Desk, left: str) -> None:
    task = await desk.runs.task_of(spec())
    run = await desk.begun(task)
    transfers = [Transfer("k", Difference.NEW)] if left == "a transfer" else []
    shards = [Shard(ident="0", done=False, detail="{}")] if left == "a range" else []
    await desk.ledger.record(run.ident, transfers, shards)
    await desk.ended(run, RunState.FAILED)
    assert bool(await desk.runs.unfinished(task)) is (left != "nothing")


async def test_a_failed_run_that_another_one_followed_is_left_alone(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    failed = await desk.begun(task)
    await desk.ledger.record(failed.ident, [Transfer("k", Difference.NEW)])
    await desk.ended(failed, RunState.FAILED)
    await desk.ended(await desk.begun(task), RunState.SUCCEEDED)
    assert await desk.runs.unfinished(task) == []


async def test_unfinished_runs_of_the_same_work_with_other_options_are_known(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    await desk.begun(task)
    await desk.begun(await desk.runs.task_of(spec("c", mirror=True)))
    other = await desk.runs.task_of(spec(mirror=True))
    await desk.ended(await desk.begun(other), RunState.SUCCEEDED)
    killed = await desk.begun(other)
    found = await desk.runs.unfinished_beside(task)
    assert [(run.ident, its.ident) for run, its in found] == [(killed.ident, other.ident)]


async def test_what_a_hub_carries_is_left_to_it(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    hers = replace(task, ident=TaskId("hers"), owner="ann", created_at=desk.clock())
    await desk.tasks.create_task(hers)
    await desk.tasks.create_run(replace(desk.runs.new(hers), trigger=Trigger.PERSON, keeper="k"))
    assert await desk.runs.task_of(spec()) == task
    assert await desk.runs.unfinished(task) == []
    assert await desk.runs.unfinished_beside(task) == []


async def test_a_run_is_found_by_its_id_the_start_of_it_or_as_the_last(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    first, second = await desk.begun(task), await desk.begun(task)
    for name, run in ((first.ident, first), (second.ident[:-1], second), ("last", second)):
        found, its_task = await desk.runs.find(RunId(name))
        assert (found.ident, its_task) == (run.ident, task)


async def test_a_start_that_fits_two_runs_names_them(desk: Desk) -> None:
    task = await desk.runs.task_of(spec())
    runs = [await desk.begun(task), await desk.begun(task)]
    with pytest.raises(InputError, match="write more of it") as told:
        await desk.runs.find(RunId(f"{START:%Y}"))
    assert all(run.ident in told.value.message for run in runs)


@pytest.mark.parametrize("name", ["last", "nowhere"])
async def test_a_run_that_there_is_not_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InputError, match=f"there is no run '{name}'"):
        await desk.runs.find(RunId(name))


async def test_a_run_without_its_task_cannot_be_worked_on(desk: Desk) -> None:
    task = replace(await desk.runs.task_of(spec()), ident="gone")  # type: ignore[arg-type]
    await desk.begun(task)
    with pytest.raises(RunError, match="not there any more"):
        await desk.runs.latest(10)


async def test_a_failure_is_told_with_what_the_run_did_so_far(desk: Desk) -> None:
    run = await desk.begun(await desk.runs.task_of(spec()))
    await desk.ledger.record(run.ident, [Transfer("k", Difference.NEW, size=3)])
    summary = await desk.runs.failed(run, GuardError("too many", code="max_delete"))
    assert (summary.status, summary.error_code) == (RunState.FAILED, "max_delete")
    assert (summary.error, summary.waiting) == ("too many", 1)
    await desk.runs.end(run, summary)
    stored = await desk.tasks.get_run(run.ident)
    assert stored is not None
    assert (stored.workers, stored.error) == ((ONE,), "too many")
