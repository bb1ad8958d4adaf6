"""`dth report`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import plain, print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command
from transferhub.model.transfer import RunId

EXAMPLES = """
    zcat "$(dth report last)" | head
    dth report last --json
"""


@click.pass_obj
def report(app: App, /, **params: Any) -> ExitCode:
    with app.session(params) as session:
        path = session.host.report(RunId(params["run"]))
        if session.json:
            run, _, _ = session.host.show(RunId(params["run"]))
            print_json(plain(run.summary), app.out)
        else:
            app.out.line(str(path))
    return ExitCode.OK


command = Command(
    "report",
    callback=report,
    short_help="Print where the report of a run is.",
    help="""Print the path of a run's report: a CSV.gz with every object that was not the same.""",
    examples=EXAMPLES,
    params=options.chain(
        [options.run_argument()],
        options.output_options(progress=False, json="the run's summary"),
    ),
)
