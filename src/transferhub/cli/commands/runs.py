"""`dth runs`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import as_json, run_document
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Count, Option
from transferhub.cli.places import route
from transferhub.cli.text import NOTHING, local_time, status_words, table
from transferhub.model.run import Run, Task
from transferhub.model.units import format_count, format_seconds

_HEADER = ("RUN", "STATUS", "STARTED", "DURATION", "COPIED", "FAILED", "SOURCE → DESTINATION")

EXAMPLES = """
    dth runs
    dth runs --limit 100 --json | jq '.[] | select(.status == "failed")'
"""


@click.pass_obj
def runs(app: App, /, **params: Any) -> ExitCode:
    with app.session(params) as session:
        found = session.host.runs(params["limit"])
        if session.json:
            app.out.line(as_json([run_document(run, task) for run, task in found], app.out))
        elif found:
            rows = [
                _row(run, task, at_work=session.host.is_worked_on(run.ident)) for run, task in found
            ]
            app.out.lines(table([_HEADER, *rows], right=(3, 4, 5)))
        else:
            app.out.line("There are no runs yet. Start one with `dth transfer SOURCE DESTINATION`.")
    return ExitCode.OK


def _row(run: Run, task: Task, *, at_work: bool) -> tuple[str, ...]:
    return (
        run.ident,
        status_words(run.state, at_work=at_work),
        local_time(run.started_at),
        duration(run),
        _count(run, "done"),
        _count(run, "failed"),
        route(task),
    )


def duration(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return NOTHING
    return format_seconds((run.ended_at - run.started_at).total_seconds())


def _count(run: Run, name: str) -> str:
    value = run.summary.get(name)
    return format_count(value) if isinstance(value, int) else NOTHING


command = Command(
    "runs",
    callback=runs,
    short_help="List the latest runs.",
    help="List the latest runs, newest first.",
    examples=EXAMPLES,
    params=options.chain(
        [
            Option(
                ["--limit"],
                type=Count(),
                default=20,
                metavar="COUNT",
                help="How many. [default: 20]",
            )
        ],
        options.output_options(progress=False, json="the runs"),
    ),
)
