"""The lists of a hub are read from indexes, in their order: nothing is sorted or scanned."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from tests.conformance.fleets import LOAD, member
from tests.conformance.run_stores import queued
from tests.conformance.task_stores import CREATED, run, task
from tests.unit.state.test_sql_plans import Plans
from transferhub.model.pages import RunFilter, TaskSort
from transferhub.model.run import RunState, TaskId, Trigger
from transferhub.state.cursors import RUNS, Place, order_of_tasks, write_cursor
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql import database as sql_database
from transferhub.state.sql.database import Database
from transferhub.state.sql.fleet import SqlFleet
from transferhub.state.sql.seats import SqlSeats

LEASE = timedelta(seconds=1)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    plans = Plans()
    monkeypatch.setattr(sql_database, "Session", plans.session)
    return plans


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.sqlite3")
    yield database
    await database.aclose()


def unwanted(plans: Plans) -> set[str]:
    """Sorts, and scans of what is no subquery or given row."""
    given = ("json", "SCAN (subquery", "SCAN found", "SCAN t", "CONSTANT", "VALUES")
    scans = {line for line in plans.lines if line.startswith("SCAN")}
    sorts = {line for line in plans.lines if "TEMP B-TREE" in line}
    in_order = {line for line in scans if " USING " in line}
    return sorts | {line for line in scans - in_order if not any(word in line for word in given)}


@pytest.mark.parametrize("sort", TaskSort)
@pytest.mark.parametrize("descending", [False, True])
async def test_tasks_are_walked_in_the_order_of_their_index(
    database: Database, plans: Plans, sort: TaskSort, descending: bool
) -> None:
    store = SqlTaskStore(database)
    place = Place("n" if sort is TaskSort.NAME else 1, 1)
    after = write_cursor(order_of_tasks(sort, descending=descending), place)
    for cursor in ("", after):
        await store.tasks(sort=sort, descending=descending, after=cursor)
    column = {TaskSort.NAME: "sort_name", TaskSort.NEXT_RUN: "next_run_at"}.get(sort, f"{sort}_at")
    assert {line.partition(" (")[0] for line in plans.lines if f"ix_tasks_{column}_id" in line} >= {
        f"SCAN tasks USING INDEX ix_tasks_{column}_id",
        f"SEARCH tasks USING INDEX ix_tasks_{column}_id",
    }
    assert not unwanted(plans)


async def test_runs_are_read_in_the_order_of_an_index(database: Database, plans: Plans) -> None:
    store = SqlTaskStore(database)
    after = write_cursor(RUNS, Place(1, 1))
    tasks, states = (None, TaskId("a")), ((), (RunState.FAILED, RunState.RUNNING))
    for of, among, trigger, cursor in product(tasks, states, (None, Trigger.EVENT), ("", after)):
        chosen = RunFilter(task=of, states=among, trigger=trigger, since=CREATED, until=CREATED)
        await store.runs(chosen, after=cursor)
        await store.runs(replace(chosen, since=None, until=None), after=cursor)
    read = {line for line in plans.lines if "runs" in line}
    assert len(read) > 5
    assert {line for line in read if "created_at_id" not in line} == set()
    assert not unwanted(plans)


async def test_no_verb_of_a_hub_reads_a_whole_table(database: Database, plans: Plans) -> None:
    store, seats, fleet = SqlTaskStore(database), SqlSeats(database), SqlFleet(database)
    await store.create_task(task("a"))
    await store.update_task(task("a"))
    await store.find_task("f")
    await store.task_version(TaskId("a"), 1)
    await store.task_versions(TaskId("a"))
    await store.due_tasks(CREATED)
    await store.due_tasks(CREATED, after=(CREATED, TaskId("a")))
    await store.plan_task(TaskId("a"), None, CREATED)
    await store.create_run(queued("a"))
    await store.create_run(replace(run("b", of="a"), scheduled_at=CREATED))
    await store.create_run(replace(run("c", of="a"), scheduled_at=CREATED))
    claimed = await store.claim_run("k", LEASE)
    assert claimed is not None
    assert await store.claim_run("k", LEASE) is None
    await store.release_run(await store.keep_run(claimed, LEASE))
    await store.latest_runs([TaskId("a"), TaskId("b")])
    await store.delete_task(TaskId("a"), with_runs=True)
    await seats.take("s", "h", LEASE)
    await fleet.register(member("a"))
    await fleet.heartbeat("a", LOAD)
    await fleet.members(after="0")
    await fleet.forget(CREATED + LEASE)
    assert {line for line in plans.lines if "ix_runs_kept" in line}
    assert {line for line in plans.lines if "ix_tasks_due" in line}
    assert not unwanted(plans)
