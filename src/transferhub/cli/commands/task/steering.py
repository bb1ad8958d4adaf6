"""`dth task start`, `stop`, `retry`, `pause`, `resume` and `delete`."""

from __future__ import annotations

import time
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import Desk, at_desk
from transferhub.cli.exits import ExitCode, exit_of_status
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_lines import hub_run_document, task_document
from transferhub.cli.hub_options import hub_options, task_argument
from transferhub.cli.standing import standing_document, standing_lines
from transferhub.cli.text import counted, noun_of, visible
from transferhub.errors import MoveError
from transferhub.model.run import UNDER_WAY_STATES, Run, Task
from transferhub.model.transfer import RunId

_LOOK_SECONDS = 1.0


@click.pass_context
def start(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        run = desk.hub.start_run(task.ident)
        if params["wait"]:
            return _follow(desk, run, task)
        sentence = f"Run {run.ident} of {visible(task.name)} is queued; dth show {run.ident} tells."
        desk.tell(hub_run_document(run), [sentence])
    return ExitCode.OK


@click.pass_context
def stop(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        view = desk.find(params["task"])
        latest = view.latest
        if latest is None or latest.state not in UNDER_WAY_STATES:
            raise MoveError(f"No run of task {view.task.ident} is under way.")
        run = desk.hub.stop_run(latest.ident, abandon=params["abandon"])
        desk.tell(hub_run_document(run), [_stopped(run)])
    return ExitCode.OK


def _stopped(run: Run) -> str:
    if run.state not in UNDER_WAY_STATES:
        return f"Run {run.ident} had not begun, and is cancelled."
    how = "leaves what is under way" if run.order == "abandon" else "ends what is under way"
    return f"Run {run.ident} stops: it {how}. dth task retry goes on with it."


@click.pass_context
def retry(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        view = desk.find(params["task"])
        ident = RunId(params["run"]) if params["run"] else view.latest and view.latest.ident
        if not ident:
            raise MoveError(f"Task {view.task.ident} has not run yet.")
        count, run = desk.hub.retry_run(ident, code=params["code"] or "", key=params["key"])
        under_way = run.state in UNDER_WAY_STATES
        if params["wait"] and under_way:
            return _follow(desk, run, view.task)
        noun = noun_of(view.task.kind)
        sentence = (
            f"Run {run.ident} is queued again; {counted(count, f'failed {noun}')} will be tried."
            if under_way
            else f"No failed {noun} of run {run.ident} matches; nothing was changed."
        )
        desk.tell({**hub_run_document(run), "retried": count}, [sentence])
    return ExitCode.OK


def _follow(desk: Desk, run: Run, task: Task) -> ExitCode:
    """Waits for the end of a run, and tells it."""
    desk.app.err.line(f"dth: run {run.ident} is followed; Ctrl-C leaves it to the hub")
    while True:
        view = desk.hub.run(run.ident)
        if view.run.state not in UNDER_WAY_STATES:
            desk.tell(standing_document(view), standing_lines(view, noun=noun_of(task.kind)))
            return exit_of_status(view.run.state)
        time.sleep(_LOOK_SECONDS)


@click.pass_context
def pause(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        task = desk.hub.pause_task(desk.find(params["task"]).task.ident)
        desk.tell(task_document(task), [f"{_named(task)} is paused; a run under way goes on."])
    return ExitCode.OK


@click.pass_context
def resume(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        task = desk.hub.resume_task(desk.find(params["task"]).task.ident)
        desk.tell(task_document(task), [f"{_named(task)} is active."])
    return ExitCode.OK


@click.pass_context
def delete(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        if not params["yes"]:
            what = " and all of its runs" if params["purge"] else ""
            click.confirm(f"Delete task {_named(task)} ({task.ident}){what}?", abort=True, err=True)
        desk.hub.delete_task(task.ident, purge=params["purge"])
        runs = " with its runs" if params["purge"] else "; its runs stay known"
        sentence = f"Deleted {_named(task)}{runs}."
        desk.tell({"id": task.ident, "deleted": True, "purged": params["purge"]}, [sentence])
    return ExitCode.OK


def _named(task: Task) -> str:
    return visible(task.name)


def _wait_option() -> Option:
    return Option(
        ["--wait"],
        is_flag=True,
        help="Wait for the end of the run; the exit code is that of `dth transfer`.",
    )


COMMANDS = [
    Command(
        "start",
        callback=start,
        short_help="Start a run of a task now.",
        help="Start a run of a task now, whether it is paused or not.",
        examples="""
            dth task start Photos
            dth task start Photos --wait
        """,
        on_hub=True,
        params=options.chain([task_argument(), _wait_option()], hub_options("the run")),
    ),
    Command(
        "stop",
        callback=stop,
        short_help="Stop the run of a task that is under way.",
        help="Stop the run of a task that is under way. What is left can be retried.",
        examples="""
            dth task stop Photos
        """,
        on_hub=True,
        params=options.chain(
            [
                task_argument(),
                Option(
                    ["--abandon"],
                    is_flag=True,
                    help="Do not end what is under way, as is usual.",
                ),
            ],
            hub_options("the run"),
        ),
    ),
    Command(
        "retry",
        callback=retry,
        short_help="Try again what failed, and what a stopped run left.",
        help="""Try again what failed in a task's newest run, all or what matches.

        A run that was stopped, or that failed, goes on with what is left.
        """,
        examples="""
            dth task retry Photos
            dth task retry Photos --code denied --wait
        """,
        on_hub=True,
        params=options.chain(
            [
                task_argument(),
                Option(["--run"], metavar="RUN", help="Another run. [default: the newest]"),
            ],
            options.filter_options(),
            [_wait_option()],
            hub_options("the run"),
        ),
    ),
    Command(
        "pause",
        callback=pause,
        short_help="Let no schedule and no event start a task.",
        help="Let no schedule and no event start a task. A run under way goes on.",
        examples="""
            dth task pause Photos
        """,
        on_hub=True,
        params=options.chain([task_argument()], hub_options("the task")),
    ),
    Command(
        "resume",
        callback=resume,
        short_help="End the pause of a task.",
        help="End the pause of a task. Runs that were missed meanwhile are not started.",
        examples="""
            dth task resume Photos
        """,
        on_hub=True,
        params=options.chain([task_argument()], hub_options("the task")),
    ),
    Command(
        "delete",
        callback=delete,
        short_help="Delete a task.",
        help="Delete a task. Its runs, with their counts and reports, stay known.",
        examples="""
            dth task delete Photos
            dth task delete Photos --purge --yes
        """,
        on_hub=True,
        params=options.chain(
            [
                task_argument(),
                Option(["--purge"], is_flag=True, help="Delete its runs and their history, too."),
                Option(["--yes"], is_flag=True, help="Do not ask."),
            ],
            hub_options("what was deleted"),
        ),
    ),
]
