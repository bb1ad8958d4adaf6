"""A database of the first version keeps its tasks and runs when the hub's columns are added."""

import json
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, text

from tests.conformance.task_stores import CREATED
from transferhub.model.pages import RunFilter, TaskFilter, TaskSort
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import RunId
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.codec import to_words
from transferhub.state.sql.drivers import driver_of
from transferhub.state.sql.upgrades import engine_of, upgrade
from transferhub.state.sql.url import parse_url
from transferhub.state.values import to_micros

SPEC = {
    "source": {"scheme": "s3", "bucket": "Photos", "prefix": "a\x00b"},
    "destination": {"scheme": "file", "path": "/srv"},
}
TASKS = [
    Task(
        ident=TaskId(f"task-{number}"),
        name=name,
        kind="objects",
        spec=SPEC,
        fingerprint=f"f{number}",
        created_at=CREATED + timedelta(seconds=number),
        updated_at=CREATED + timedelta(seconds=number),
        version=number + 1,
    )
    for number, name in enumerate(["Zebra", "ant \x00 é"])
]
RUNS = [
    Run(
        ident=RunId(f"run-{state}"),
        task=TASKS[0].ident,
        task_version=1,
        state=state,
        created_at=CREATED + timedelta(seconds=number),
        error="It's broken: 100%",
        workers=("w",),
        summary={"done": 1},
    )
    for number, state in enumerate([RunState.RUNNING, RunState.SUCCEEDED])
]


def _fill(connection: Connection) -> None:
    for task in TASKS:
        connection.execute(
            text(
                "INSERT INTO tasks (ident, name, kind, spec, fingerprint, created_at, version) "
                "VALUES (:ident, :name, 'objects', :spec, :print, :at, :version)"
            ),
            {
                "ident": task.ident,
                "name": to_words(task.name),
                "spec": json.dumps(task.spec),
                "print": task.fingerprint,
                "at": to_micros(task.created_at),
                "version": task.version,
            },
        )
    for run in RUNS:
        connection.execute(
            text(
                "INSERT INTO runs (ident, task, task_version, state, created_at, error_code, "
                "error, workers, summary, resumed, version) VALUES (:ident, :task, 1, :state, "
                ":at, '', :error, :workers, :summary, 0, 1)"
            ),
            {
                "ident": run.ident,
                "task": run.task,
                "state": run.state,
                "at": to_micros(run.created_at),
                "error": run.error,
                "workers": json.dumps(run.workers),
                "summary": json.dumps(dict(run.summary)),
            },
        )


async def test_tasks_and_runs_of_the_first_version_stay(state_url: str) -> None:
    engine = engine_of(driver_of(parse_url(state_url)))
    with engine.begin() as connection:
        upgrade(connection, "here", "0001")
        _fill(connection)
    engine.dispose()
    store = await SqlTaskStore.open(state_url)
    by_name = await store.tasks(sort=TaskSort.NAME, descending=False)
    assert by_name.items == (TASKS[1], TASKS[0])
    assert (await store.tasks(TaskFilter(words="photos zebra"))).items == (TASKS[0],)
    assert (await store.runs(RunFilter(task=TASKS[0].ident))).items == (RUNS[1], RUNS[0])
    assert await store.claim_run("keeper", timedelta(seconds=1)) is None
    await store.create_task(replace(TASKS[0], ident=TaskId("new")))
    assert (await store.tasks()).total == 3
    await store.aclose()
