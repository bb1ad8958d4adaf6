"""`dth resume`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command
from transferhub.cli.job import read_all, read_settings
from transferhub.model.transfer import RunId

EXAMPLES = """
    dth resume last
    dth resume 3f2a --bandwidth 20MB/s
"""


@click.pass_obj
def resume(app: App, /, **params: Any) -> ExitCode:
    settings = read_all(lambda faults: read_settings(params, faults))
    with app.session(params, settings) as session:
        session.speak_of_run(RunId(params["run"]))
        return session.carry(lambda: session.host.resume(RunId(params["run"]), settings.tuning()))


command = Command(
    "resume",
    callback=resume,
    short_help="Go on with a run that was interrupted.",
    help="Go on with a run that was interrupted, killed or failed, as it was asked for then.",
    examples=EXAMPLES,
    params=options.chain(
        [options.run_argument()],
        options.speed_options(),
        options.output_options(progress=True, json="the end of the run"),
    ),
)
