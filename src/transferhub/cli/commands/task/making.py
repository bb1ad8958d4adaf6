"""`dth task create`, `clone` and `limits`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_lines import task_document
from transferhub.cli.hub_options import (
    given_limits,
    hub_options,
    limit_options,
    name_argument,
    task_argument,
)
from transferhub.cli.job import Faults, Params, read_all, spec_values
from transferhub.cli.tasks_told import created_lines, limit_lines
from transferhub.errors import InputError
from transferhub.model.faults import flatten, raise_faults

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.control.tasks import TaskDraft

Value = TypeVar("Value")

LIMITS = ("bandwidth", "requests", "concurrency")
_TIMINGS = ("once", "every", "cron")
_POLICIES = ("zone", "overlap", "catch_up")


SpecValues = Callable[[Params, Faults], Mapping[str, Any]]
"""The parameters of a kind of task that the user gave."""


@click.pass_context
def create(context: click.Context, /, **params: Any) -> ExitCode:
    return create_from(context, params, "objects", spec_values)


def create_from(
    context: click.Context, params: Params, kind: str, spec_values: SpecValues
) -> ExitCode:
    """Creates a task of this kind from what the user typed, and tells it."""
    from transferhub.cli.tasks.definition import definition

    draft = read_all(lambda faults: _draft(params, faults, kind, spec_values))
    with at_desk(context, params) as desk:
        task = desk.hub.create_task(definition(draft))
        if params["start"]:
            desk.hub.start_run(task.ident)
        desk.tell(task_document(task), created_lines(task, started=params["start"]))
    return ExitCode.OK


def _draft(params: Params, faults: Faults, kind: str, spec_values: SpecValues) -> TaskDraft | None:
    """The draft of a task, with values as a task keeps them."""
    from transferhub.cli.tasks.definition import checked
    from transferhub.control.tasks import TaskDraft

    schedule = {
        name: params[name] for name in (*_TIMINGS, *_POLICIES) if params.get(name) is not None
    }
    draft = TaskDraft(
        name=params["name"],
        kind=kind,
        spec=spec_values(params, faults),
        description=params["description"] or "",
        tags=params["tag"],
        schedule=schedule if schedule or params.get("no_schedule") else None,
        limits=given_limits(params),
    )
    if faults.found:
        return None
    return faults.read(lambda: _as_typed(lambda: checked(draft)))


def _as_typed(read: Callable[[], Value]) -> Value:
    """Faults name parameters of this command in place of the fields of a file."""
    try:
        return read()
    except InputError as error:
        raise_faults(
            InputError(_param(fault.field), fault.message.removeprefix(f"{fault.field}: "))
            for fault in flatten([error])
        )
        raise


def _param(field: str) -> str:
    part, _, name = field.partition(".")
    match part:
        case "limits":
            return f"limit_{name}"
        case "spec" | "schedule":
            return name or part
        case "tags":
            return "tag"
        case _:
            return field


@click.pass_context
def clone(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        former = desk.find(params["task"]).task
        task = desk.hub.clone_task(former.ident, params["name"])
        desk.tell(task_document(task), created_lines(task, started=False))
    return ExitCode.OK


@click.pass_context
def limits(context: click.Context, /, **params: Any) -> ExitCode:
    given = given_limits(params)
    cleared = {name for name, value in given.items() if value == "none"}
    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        if given:
            kept = {**task.limits, **given}
            wanted = {name: value for name, value in kept.items() if name not in cleared}
            task = _as_typed(lambda: desk.hub.limit_task(task.ident, wanted))
        desk.tell(task_document(task), limit_lines(task))
    return ExitCode.OK


def schedule_options() -> list[Option]:
    def make(flag: str, metavar: str, text: str) -> Option:
        return Option([flag], section="Schedule", metavar=metavar, help=text)

    return [
        make("--cron", "EXPRESSION", 'Minute, hour, day, month, weekday, such as "30 2 * * *".'),
        make("--every", "DURATION", "Again and again, such as 6h or 1h30m."),
        make("--once", "TIME", "At this time, such as 2026-12-01T02:00:00+01:00."),
        make("--zone", "NAME", "Time zone, such as Europe/Berlin. [default: UTC]"),
        make(
            "--overlap",
            "POLICY",
            "While the last run is under way: skip, queue, or cancel the old one. [default: skip]",
        ),
        make(
            "--catch-up",
            "POLICY",
            "Missed runs that are started: none, one or all. [default: one]",
        ),
    ]


def stored_option(side: str) -> Option:
    return Option(
        [f"--{side}-credential"],
        section=side.capitalize(),
        metavar="NAME",
        help="Credential that the hub stores; see `dth credential put`.",
    )


def task_options(*, limits: Sequence[str] = LIMITS) -> list[Option]:
    """Args:
    limits: that the task may have.
    """
    chosen = {f"limit_{name}" for name in limits}
    return [
        Option(["--name"], section="Task", required=True, metavar="NAME", help="Its name."),
        Option(["--description"], section="Task", metavar="TEXT", help="What it is for."),
        Option(
            ["--tag"],
            section="Task",
            multiple=True,
            metavar="TAG",
            help="A word to find it by; may be given more than once.",
        ),
        Option(["--start"], section="Task", is_flag=True, help="Start its first run at once."),
        *(option for option in limit_options("Task") if option.name in chosen),
    ]


COMMANDS = [
    Command(
        "create",
        callback=create,
        short_help="Create a task.",
        help="""Create a task with the options of `dth transfer`.

        Files that it names, and folders, are those of the machines that carry its runs.
        """,
        examples="""
            dth task create s3://photos s3://backup/photos --name Photos --cron "30 2 * * *"
            dth task create s3://logs file:///srv/logs --name Logs --every 1h --tag hourly --start
        """,
        on_hub=True,
        params=options.chain(
            options.location_arguments(),
            task_options(),
            schedule_options(),
            [stored_option("source"), *options.side_options("source")],
            [stored_option("destination"), *options.side_options("destination")],
            options.scope_options(),
            options.compare_options(),
            options.writing_options(),
            options.deleting_options(),
            hub_options("the task"),
        ),
    ),
    Command(
        "clone",
        callback=clone,
        short_help="Create a task like another one, paused.",
        help="Create a task like another one. It is paused until `dth task resume`.",
        examples="""
            dth task clone Photos "Photos, second copy"
        """,
        on_hub=True,
        params=options.chain(
            [task_argument(), name_argument("Name of the new task.")], hub_options("the new task")
        ),
    ),
    Command(
        "limits",
        callback=limits,
        short_help="Show or change what a task may use.",
        help="""Show what a task may use, or change it: a run under way keeps to it within seconds.

        "none" lifts a limit; those that are not named stay.
        """,
        examples="""
            dth task limits Photos --bandwidth 50MB/s
            dth task limits Photos --bandwidth none
        """,
        on_hub=True,
        params=options.chain([task_argument()], limit_options("Task"), hub_options("the task")),
    ),
]
