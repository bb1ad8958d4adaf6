"""`dth worker`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.job import read_all

EXAMPLES = """
    Without a password, or with one in ~/.pgpass:
      dth worker --database postgresql://dth@db.example.com/dth

    With more runs at once:
      DTH_DATABASE=postgresql://dth@db.example.com/dth dth worker --runs 8
"""


@click.pass_obj
def worker(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts.worker import work
    from transferhub.model.units import parse_count

    runs = read_all(lambda faults: faults.parsed(params, "runs", parse_count))
    with app.process(params) as (settings, talk):
        work(settings, runs=runs, name=params["name"] or "", talk=talk)
    return ExitCode.OK


command = Command(
    "worker",
    callback=worker,
    short_help="Carry runs of a hub on this machine, too.",
    help="""Carry runs of a hub on this machine, until Ctrl-C or SIGTERM.

    It shares nothing with the hub but its PostgreSQL. It takes queued runs, and lends a hand with
    large ones of other machines. What it carried when it was killed goes on elsewhere.
    """,
    examples=EXAMPLES,
    params=options.chain(
        [
            Option(
                ["--name"],
                metavar="NAME",
                help="Name of this machine in lists. [default: its host name]",
            )
        ],
        options.process_options(),
    ),
)
