"""`dth redrive`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command
from transferhub.cli.job import read_all, read_settings
from transferhub.cli.text import counted
from transferhub.model.transfer import RunId

EXAMPLES = """
    dth redrive last
    dth redrive last --code denied --key "photos/2024/*"
"""


@click.pass_obj
def redrive(app: App, /, **params: Any) -> ExitCode:
    settings = read_all(lambda faults: read_settings(params, faults))
    with app.session(params, settings) as session:
        with session.failing():
            session.speak_of_run(RunId(params["run"]))
            count, summary = session.host.redrive(
                RunId(params["run"]),
                settings.tuning(),
                code=params["code"] or "",
                key=params["key"],
            )
        if summary is None:
            session.display.close()
            if session.json:
                print_json({"run": params["run"], "redriven": count}, app.out)
            else:
                app.out.line(f"No failed {session.display.noun} matches; nothing was tried again.")
            return ExitCode.OK
        session.display.talk(f"{counted(count, session.display.noun)} tried again.")
        return session.end(summary, redriven=count)


command = Command(
    "redrive",
    callback=redrive,
    short_help="Try the failed objects of a run again.",
    help="Try the failed objects of a run again, all or those that match, with all their attempts.",
    examples=EXAMPLES,
    params=options.chain(
        [options.run_argument()],
        options.filter_options(),
        options.speed_options(),
        options.output_options(progress=True, json="the end of the run"),
    ),
)
