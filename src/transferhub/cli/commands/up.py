"""`dth up`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command

EXAMPLES = """
    On this machine, for yourself:
      dth up

    For several machines; start `dth worker` with the same database on the others:
      DTH_DATABASE=postgresql://dth@db.example.com/dth dth up

    With the state on AWS; start `dth worker` with the same ledger on the others:
      dth up --ledger aws://moves?region=eu-west-1

    For others, once there is a user; `dth doctor` shows all settings:
      dth up --host 0.0.0.0 --public-url https://hub.example.com \\
        --tls-certificate hub.pem --tls-key hub.key
"""


@click.pass_obj
def up(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts.hub import serve

    with app.process(params) as (settings, talk):
        serve(settings, talk=talk)
    return ExitCode.OK


command = Command(
    "up",
    callback=up,
    short_help="Start the hub: tasks, schedules, API, and their runs on this machine.",
    help="""Start the hub and serve it until Ctrl-C or SIGTERM.

    It keeps its tasks, runs and users in the state folder (SQLite), in PostgreSQL or on AWS,
    carries runs in processes of this machine, and says where it is and how to sign in for the first
    time.
    What was under way when it was stopped or killed goes on at the next start.
    """,
    examples=EXAMPLES,
    params=options.chain(options.server_options(), options.process_options()),
)
