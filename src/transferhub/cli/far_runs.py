"""`dth runs`, `show` and `failures` on a hub elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import click

from transferhub.cli.desk import Desk, at_desk
from transferhub.cli.documents import failure_document, group_document, run_document
from transferhub.cli.exits import ExitCode
from transferhub.cli.job import Params
from transferhub.cli.places import route
from transferhub.cli.run_lines import failures_lines, runs_table
from transferhub.cli.standing import standing_lines, totals_document
from transferhub.cli.text import noun_of
from transferhub.errors import InputError
from transferhub.model.run import Run, Task, TaskId
from transferhub.model.transfer import RunId


def list_runs(context: click.Context, params: Params) -> ExitCode:
    with at_desk(context, params) as desk:
        found = _with_tasks(desk, desk.hub.runs(limit=params["limit"]))
        desk.tell(
            [run_document(run, task) for run, task in found],
            runs_table([(run, task, True) for run, task in found])
            if found
            else ["There are no runs yet. Start one with dth task start TASK."],
        )
    return ExitCode.OK


def show_run(context: click.Context, params: Params) -> ExitCode:
    with at_desk(context, params) as desk:
        view = desk.hub.run(RunId(params["run"]))
        failed = view.standing.failed or view.standing.delete_failed
        groups = desk.hub.failure_groups(view.run.ident) if failed else []
        task = _task(desk, view.run)
        document = run_document(view.run, task) | {"totals": totals_document(view)}
        desk.tell(document, standing_lines(view, groups, route(task), noun=noun_of(task.kind)))
    return ExitCode.OK


def list_failures(context: click.Context, params: Params) -> ExitCode:
    with at_desk(context, params) as desk:
        run = desk.hub.run(RunId(params["run"])).run
        groups = desk.hub.failure_groups(run.ident)
        records = desk.hub.failures(
            run.ident, code=params["code"] or "", key=params["key"], limit=params["limit"]
        )
        desk.tell(
            {
                "run": run.ident,
                "groups": [group_document(group) for group in groups],
                "failures": [failure_document(record) for record in records],
            },
            failures_lines(
                run.ident,
                groups,
                records,
                limit=params["limit"],
                again=f"dth task retry {run.task} --run {run.ident}",
                noun=noun_of(_task(desk, run).kind),
            ),
        )
    return ExitCode.OK


def _with_tasks(desk: Desk, runs: Sequence[Run]) -> list[tuple[Run, Task]]:
    tasks = {run.task: run for run in runs}
    known = {ident: _task(desk, run) for ident, run in tasks.items()}
    return [(run, known[run.task]) for run in runs]


def _task(desk: Desk, run: Run) -> Task:
    """The task of a run; only its id where it was deleted."""
    try:
        return desk.hub.task(TaskId(run.task)).task
    except InputError as error:
        if error.code != "no_task":
            raise
    return Task(
        ident=run.task,
        name=f"task {run.task}, which was deleted",
        kind="",
        spec={},
        fingerprint="",
        created_at=run.created_at,
        updated_at=run.created_at,
    )
