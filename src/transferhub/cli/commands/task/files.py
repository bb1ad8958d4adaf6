"""`dth task apply`, `export`, `edit` and `schema`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.desk import Desk, at_desk
from transferhub.cli.documents import Document, as_json, plain
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_lines import change_lines
from transferhub.cli.hub_options import hub_options, task_argument, tasks_argument
from transferhub.cli.text import table, visible
from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.pages import TaskFilter
from transferhub.model.run import Task

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.cli.tasks.definition import Change
    from transferhub.cli.tasks.files import TaskFile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """What became, or would become, of a task of a file.

    Attributes:
        outcome: created, updated or unchanged.
    """

    name: str
    outcome: str
    ident: str = ""
    changes: Sequence[Change] = ()

    def document(self) -> Document:
        return {
            "name": self.name,
            "id": self.ident or None,
            "outcome": self.outcome,
            "changes": [asdict(change) for change in self.changes],
        }


@click.pass_context
def apply(context: click.Context, /, **params: Any) -> ExitCode:
    from transferhub.cli.tasks.files import read_task_files

    files = read_task_files(params["files"], sys.stdin.buffer.read)
    with at_desk(context, params) as desk:
        plans = _plans(desk, files)
        applied = [_apply(desk, *plan, dry_run=params["dry_run"]) for plan in plans]
        desk.tell([one.document() for one in applied], _applied_lines(applied, params["dry_run"]))
    return ExitCode.OK


def _plans(desk: Desk, files: Sequence[TaskFile]) -> list[tuple[TaskFile, Task | None]]:
    """Each with the task of its name; nothing is applied where one of them is not clear."""
    plans, faults = [], []
    for file in files:
        known = desk.named(file.kept.name)
        if len(known) > 1:
            idents = ", ".join(view.task.ident for view in known)
            sentence = f"{file.kept.name!r} is the name of several tasks ({idents}); rename them"
            faults.append(file.located(InputError("name", sentence)))
        task = known[0].task if known else None
        if task is not None and task.kind != file.kept.kind:
            sentence = f"{task.name!r} is of the kind {task.kind!r} and stays so"
            faults.append(file.located(InputError("kind", sentence)))
        plans.append((file, task))
    raise_faults(faults)
    return plans


def _apply(desk: Desk, file: TaskFile, task: Task | None, *, dry_run: bool) -> _Applied:
    from transferhub.cli.tasks.definition import changes, definition

    name, wanted = file.kept.name, file.definition
    if task is None:
        found = changes({}, wanted)
        made = None if dry_run else _located(file, lambda: desk.hub.create_task(wanted))
        return _Applied(
            name=name, outcome="created", ident=made.ident if made else "", changes=found
        )
    found = changes(definition(task), wanted)
    if found and not dry_run:
        _located(file, lambda: desk.hub.update_task(task.ident, wanted, version=task.version))
    return _Applied(
        name=name,
        outcome="updated" if found else "unchanged",
        ident=task.ident,
        changes=found,
    )


def _located(file: TaskFile, change: Callable[[], Task]) -> Task:
    try:
        return change()
    except InputError as error:
        raise file.located(error) from None


def _applied_lines(applied: Sequence[_Applied], dry_run: bool) -> list[str]:
    words = {"created": "would be created", "updated": "would be updated"} if dry_run else {}
    rows = [(words.get(one.outcome, one.outcome), visible(one.name), one.ident) for one in applied]
    lines: list[str] = []
    for line, one in zip(table(rows), applied, strict=True):
        shown = dry_run or one.outcome == "updated"
        lines += [line, *(change_lines(one.changes) if shown else [])]
    return lines


@click.pass_context
def export(context: click.Context, /, **params: Any) -> ExitCode:
    from transferhub.cli.tasks.definition import definition
    from transferhub.cli.tasks.files import write_task_files

    with at_desk(context, params) as desk:
        views = [desk.find(word) for word in params["tasks"]] or list(desk.every(TaskFilter()))
        tasks = [view.task for view in views]
        text = write_task_files(tasks) if tasks else ""
        desk.tell([plain(definition(task)) for task in tasks], text.splitlines())
    return ExitCode.OK


@click.pass_context
def edit(context: click.Context, /, **params: Any) -> ExitCode:
    from transferhub.cli.tasks.definition import changes, definition
    from transferhub.cli.tasks.files import read_task_files, write_task_files

    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        edited = click.edit(write_task_files([task]), extension=".yaml") or ""
        found: list[Change] = []
        if edited.strip():
            content = edited.encode()
            (file, *others) = read_task_files(["-"], lambda: content)
            if others:
                raise InputError("stdin", "holds more than one task; leave one")
            found = changes(definition(task), file.definition)
        if found:
            _located(
                file,
                lambda: desk.hub.update_task(task.ident, file.definition, version=task.version),
            )
        one = _Applied(
            name=task.name,
            outcome="updated" if found else "unchanged",
            ident=task.ident,
            changes=found,
        )
        desk.tell(one.document(), _applied_lines([one], dry_run=False))
    return ExitCode.OK


@click.pass_obj
def schema(app: App, /, **_: Any) -> ExitCode:
    from transferhub.cli.tasks.schema import task_schema

    app.out.line(as_json(task_schema(), app.out))
    return ExitCode.OK


COMMANDS = [
    Command(
        "apply",
        callback=apply,
        short_help="Create or update tasks from files.",
        help="""Create or update tasks from files, by their names.

        Applying a file again changes nothing. Every file is checked before anything is changed, and
        what is wrong is named with its line. A task that no file names stays as it is.
        """,
        examples="""
            dth task apply -f task.yaml --dry-run
            dth task apply -f tasks/
            dth task export | ssh other dth task apply -f -
        """,
        on_hub=True,
        params=options.chain(
            [
                Option(
                    ["-f", "--file", "files"],
                    metavar="FILE",
                    multiple=True,
                    required=True,
                    help="YAML or JSON with one task or more, a folder of such files, or - for"
                    " standard input; may be given more than once.",
                ),
                Option(
                    ["--dry-run"], is_flag=True, help="Show what would change, and change nothing."
                ),
            ],
            hub_options("what became of each task"),
        ),
    ),
    Command(
        "export",
        callback=export,
        short_help="Write tasks as a file that apply reads.",
        help="Write tasks as a file that `dth task apply` reads. It holds no secrets.",
        examples="""
            dth task export Photos > photos.yaml
            dth task export > all-tasks.yaml
        """,
        on_hub=True,
        params=options.chain([tasks_argument()], hub_options("the tasks")),
    ),
    Command(
        "edit",
        callback=edit,
        short_help="Change a task in an editor.",
        help="Change a task in the editor that EDITOR names, as a task file.",
        examples="""
            dth task edit Photos
        """,
        on_hub=True,
        params=options.chain([task_argument()], hub_options("what became of the task")),
    ),
    Command(
        "schema",
        callback=schema,
        short_help="Print the JSON Schema of a task file.",
        help="Print the JSON Schema of a task file, with which editors complete and check it.",
        examples="""
            dth task schema > task.schema.json
        """,
        params=[Option(["--debug"], is_flag=True, help="Show tracebacks of unexpected errors.")],
    ),
]
