"""`dth up`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.job import Faults, read_all

EXAMPLES = """
    On this machine, for yourself:
      dth up

    For several machines; start `dth worker` with the same database on the others:
      DTH_DATABASE=postgresql://dth@db.example.com/dth dth up
"""


@click.pass_obj
def up(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts.hub import Place, serve
    from transferhub.model.units import parse_count

    def read(faults: Faults) -> tuple[int, int] | None:
        port, runs = (faults.parsed(params, name, parse_count) for name in ("port", "runs"))
        return None if port is None or runs is None else (port, runs)

    port, runs = read_all(read)
    with app.process(params) as (settings, talk):
        serve(settings, Place(host=params["host"], port=port), runs=runs, talk=talk)
    return ExitCode.OK


command = Command(
    "up",
    callback=up,
    short_help="Start the hub: tasks, schedules, API, and their runs on this machine.",
    help="""Start the hub and serve it until Ctrl-C or SIGTERM.

    It keeps its tasks, runs and users in the state folder (SQLite) or in PostgreSQL, carries runs
    in processes of this machine, and says where it is and how to sign in for the first time.
    What was under way when it was stopped or killed goes on at the next start.
    """,
    examples=EXAMPLES,
    params=options.chain(
        [
            Option(
                ["--host"],
                metavar="ADDRESS",
                default="127.0.0.1",
                help="Address to listen on. [default: 127.0.0.1]",
            ),
            Option(
                ["--port"],
                metavar="PORT",
                default="8420",
                help="Port to listen on; 0 takes a free one. [default: 8420]",
            ),
        ],
        options.process_options(),
    ),
)
