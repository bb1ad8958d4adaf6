"""`dth worker`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command

EXAMPLES = """
    Without a password, or with one in ~/.pgpass:
      dth worker --database postgresql://dth@db.example.com/dth

    Of a hub whose state is on AWS:
      dth worker --ledger aws://moves?region=eu-west-1

    With more runs at once:
      DTH_DATABASE=postgresql://dth@db.example.com/dth dth worker --runs 8
"""


@click.pass_obj
def worker(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts.worker import work

    with app.process(params) as (settings, talk):
        work(settings, talk=talk)
    return ExitCode.OK


command = Command(
    "worker",
    callback=worker,
    short_help="Carry runs of a hub on this machine, too.",
    help="""Carry runs of a hub on this machine, until Ctrl-C or SIGTERM.

    It shares nothing with the hub but its PostgreSQL, or its state on AWS. It takes queued runs,
    and lends a hand with large ones of other machines. What it carried when it was killed goes on
    elsewhere.
    """,
    examples=EXAMPLES,
    params=options.process_options(),
)
