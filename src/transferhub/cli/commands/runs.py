"""`dth runs`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.desk import server_of
from transferhub.cli.documents import as_json, run_document
from transferhub.cli.exits import ExitCode
from transferhub.cli.far_runs import list_runs
from transferhub.cli.grouped import Command, Count, Option
from transferhub.cli.run_lines import runs_table

EXAMPLES = """
    dth runs
    dth runs --limit 100 --json | jq '.[] | select(.status == "failed")'
"""


@click.pass_context
def runs(context: click.Context, /, **params: Any) -> ExitCode:
    if server_of(context):
        return list_runs(context, params)
    app: App = context.obj
    with app.session(params) as session:
        found = session.host.runs(params["limit"])
        if session.json:
            app.out.line(as_json([run_document(run, task) for run, task in found], app.out))
        elif found:
            at_work = session.host.is_worked_on
            app.out.lines(runs_table([(run, task, at_work(run.ident)) for run, task in found]))
        else:
            app.out.line("There are no runs yet. Start one with `dth transfer SOURCE DESTINATION`.")
    return ExitCode.OK


command = Command(
    "runs",
    callback=runs,
    short_help="List the latest runs.",
    help="List the latest runs, newest first.",
    examples=EXAMPLES,
    on_hub=True,
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
