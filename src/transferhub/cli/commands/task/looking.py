"""`dth task list`, `show` and `next`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Choice, Command, Option
from transferhub.cli.hub_lines import (
    hub_run_document,
    next_run,
    run_lines,
    task_document,
    task_lines,
)
from transferhub.cli.hub_options import count_option, hub_options, task_argument
from transferhub.cli.places import route
from transferhub.cli.text import NOTHING, iso_time, local_time, table, visible
from transferhub.model.pages import TaskFilter, TaskSort
from transferhub.model.run import Run, Task, TaskState

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.hosts.hub_views import TaskView

_LATEST = 5
_USUAL = ", and each day since nobody chose a schedule"


@click.pass_context
def list_tasks(context: click.Context, /, **params: Any) -> ExitCode:
    state = params["state_is"]
    chosen = TaskFilter(
        state=TaskState(state) if state else None,
        tag=params["tag"] or "",
        owner=params["owner"] or "",
        words=params["search"] or "",
    )
    with at_desk(context, params) as desk:
        every = desk.every(chosen, sort=TaskSort(params["sort"].replace("-", "_")))
        views = list(islice(every, params["limit"] + 1))
        found = views[: params["limit"]]
        desk.tell(
            [task_document(view.task, view.latest) for view in found],
            _listed(found, more=len(views) > len(found), chosen=chosen),
        )
    return ExitCode.OK


def _listed(found: Sequence[TaskView], *, more: bool, chosen: TaskFilter) -> list[str]:
    if found:
        return [*task_lines(found), *(["", "There are more; see --limit."] if more else [])]
    if chosen == TaskFilter():
        return ["There are no tasks yet. Create one with dth task create, or dth task apply."]
    return ["No task is like that."]


@click.pass_context
def show_task(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        view = desk.find(params["task"])
        runs = desk.hub.runs(view.task.ident, limit=_LATEST)
        document = task_document(view.task, view.latest)
        document["runs"] = [hub_run_document(run) for run in runs]
        desk.tell(document, _task_lines(view.task, runs))
    return ExitCode.OK


def _task_lines(task: Task, runs: Sequence[Run]) -> list[str]:
    from transferhub.cli.tasks.files import write_task_files
    from transferhub.control.usual import is_usual

    daily = bool(task.schedule) and is_usual(task.kind, task.schedule)
    rows = [
        ("task", task.ident),
        ("name", visible(task.name)),
        ("state", task.state.value),
        ("moves", route(task)),
        ("next run", local_time(next_run(task)) + (_USUAL if daily else "")),
        ("owner", visible(task.owner) or NOTHING),
        ("changed", f"{local_time(task.updated_at)}, version {task.version}"),
    ]
    listed = ["", *run_lines(runs)] if runs else ["", "It has not run yet."]
    return [*table(rows), "", *write_task_files([task]).splitlines(), *listed]


@click.pass_context
def next_of_task(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        moments = desk.hub.next_runs(task.ident, params["limit"])
        document = {"id": task.ident, "next_runs": [iso_time(moment) for moment in moments]}
        desk.tell(document, _moments(task, [local_time(moment) for moment in moments]))
    return ExitCode.OK


def _moments(task: Task, moments: list[str]) -> list[str]:
    if not task.schedule:
        return [f"{visible(task.name)} has no schedule; a person or an event starts it."]
    if not moments:
        return [f"{visible(task.name)} runs no more by its schedule."]
    paused = [] if task.state is TaskState.ACTIVE else ["It is paused, and would run at:"]
    return [*paused, *moments]


COMMANDS = [
    Command(
        "list",
        callback=list_tasks,
        short_help="List tasks.",
        help="List tasks, with their newest runs and when they run next.",
        examples="""
            dth task list
            dth task list --tag nightly --state-is paused
            dth task list --search "photos backup" --json
        """,
        on_hub=True,
        params=options.chain(
            [
                Option(["--tag"], metavar="TAG", help="Only tasks with this tag."),
                Option(
                    ["--state-is"],
                    type=Choice(("active", "paused")),
                    metavar="STATE",
                    help="Only active or only paused tasks.",
                ),
                Option(["--owner"], metavar="NAME", help="Only tasks of this owner."),
                Option(
                    ["--search"],
                    metavar="WORDS",
                    help="Only tasks with all of these words in name, description or places.",
                ),
                Option(
                    ["--sort"],
                    type=Choice(("name", "created", "updated", "next-run")),
                    default="name",
                    metavar="BY",
                    help="name, created, updated or next-run. [default: name]",
                ),
                count_option(100, "tasks"),
            ],
            hub_options("the tasks"),
        ),
    ),
    Command(
        "show",
        callback=show_task,
        short_help="Show one task and its latest runs.",
        help="Show one task: its state, its definition as a task file says it, its latest runs.",
        examples="""
            dth task show Photos
        """,
        on_hub=True,
        params=options.chain([task_argument()], hub_options("the task")),
    ),
    Command(
        "next",
        callback=next_of_task,
        short_help="Show when a task runs next.",
        help="Show when a task runs next by its schedule, as if it were not paused.",
        examples="""
            dth task next Photos --limit 10
        """,
        on_hub=True,
        params=options.chain(
            [task_argument(), count_option(5, "runs")], hub_options("the moments")
        ),
    ),
]
