"""The lists of a hub are read from indexes, in their order: nothing is sorted or scanned."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from tests.conformance.fleets import LOAD, member
from tests.conformance.run_stores import queued
from tests.conformance.task_stores import CREATED, run, task
from tests.unit.state.plans import Plans
from transferhub.model.pages import RunFilter, TaskSort
from transferhub.model.run import RunState, TaskId, Trigger
from transferhub.state.cursors import EXPIRED_RUNS, RUNS, Place, order_of_tasks, write_cursor
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.database import Database
from transferhub.state.sql.fleet import SqlFleet
from transferhub.state.sql.seats import SqlSeats
from transferhub.state.sql.session import Session
from transferhub.state.values import to_micros

LEASE = timedelta(seconds=1)


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
    expired = await store.expired_runs(CREATED + LEASE)
    await store.expired_runs(CREATED + LEASE, after=write_cursor(EXPIRED_RUNS, Place(1, 1)))
    assert not expired.items
    assert await store.unknown_runs([claimed.ident]) == []
    assert not await store.delete_run(claimed)
    await store.delete_task(TaskId("a"), with_runs=True)
    await seats.take("s", "h", LEASE)
    await fleet.register(member("a"))
    await fleet.heartbeat("a", LOAD)
    await fleet.members(after="0")
    await fleet.forget(CREATED + LEASE)
    assert {line for line in plans.lines if "ix_runs_kept" in line}
    assert {line for line in plans.lines if "ix_tasks_due" in line}
    assert not unwanted(plans)


@pytest.mark.postgresql
async def test_postgresql_sorts_no_runs_and_reads_no_table(postgres_url: str, plans: Plans) -> None:
    database = await Database.open(postgres_url)
    store = SqlTaskStore(database)
    # Enough that its planner does not rather read the whole table.
    await database.write(fill)
    plans.lines.clear()
    place = Place(to_micros(CREATED) + 10_000, 10_000)
    after = write_cursor(RUNS, place)
    among = (RunState.FAILED, RunState.SUCCEEDED)
    for of, states, trigger in product(
        (None, TaskId("task-7")), ((), among), (None, Trigger.EVENT)
    ):
        for cursor in ("", after):
            await store.runs(RunFilter(task=of, states=states, trigger=trigger), after=cursor)
    claimed = await store.claim_run("k", LEASE)
    assert claimed is not None
    await store.keep_run(claimed, LEASE)
    for sort in TaskSort:
        await store.tasks(sort=sort, limit=10)
    await store.due_tasks(CREATED, limit=10)
    await store.find_task("f")
    await database.aclose()
    found = {line.strip() for line in plans.lines}
    for index in ("ix_tasks_due", "ix_runs_task_created_at_id", "ix_runs_state_created_at_id"):
        assert {line for line in found if index in line}
    assert not {line for line in found if "Sort Key" in line or "Seq Scan on runs" in line}


def fill(session: Session) -> None:
    session.execute(
        "INSERT INTO runs (ident, task, task_version, state, created_at, error_code, error, "
        "workers, summary, resumed, version, cause) "
        "SELECT concat('run-', n), concat('task-', mod(n, 200)), 1, CASE mod(n, 10) "
        "WHEN 0 THEN 'failed' WHEN 1 THEN 'queued' ELSE 'succeeded' END, CAST(? AS bigint) + n, "
        "'', '', '[]', '{}', 0, 1, CASE mod(n, 7) WHEN 0 THEN 'event' ELSE 'command' END "
        "FROM generate_series(1, 20000) AS n",
        to_micros(CREATED),
    )
    session.execute(
        "INSERT INTO tasks (ident, name, kind, spec, fingerprint, created_at, version, "
        "updated_at, next_run_at, sort_name) SELECT concat('task-', n), 'x', 'objects', '{}', "
        "concat('f', n), n, 1, n, CAST(? AS bigint) + n, concat('x', n) "
        "FROM generate_series(1, 5000) AS n",
        to_micros(CREATED),
    )
    for table in ("runs", "tasks"):
        session.execute(f"ANALYZE {table}")
