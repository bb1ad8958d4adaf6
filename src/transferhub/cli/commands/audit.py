"""`dth audit`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_lines import audit_document, audit_lines
from transferhub.cli.hub_options import count_option, hub_options


@click.pass_context
def audit(context: click.Context, /, **params: Any) -> ExitCode:
    chosen = {name: params[name] or "" for name in ("who", "action", "subject")}
    with at_desk(context, params) as desk:
        entries = desk.hub.audit(**chosen, limit=params["limit"])
        desk.tell(
            [audit_document(entry) for entry in entries],
            audit_lines(entries) if entries else ["Nothing like that was changed."],
        )
    return ExitCode.OK


command = Command(
    "audit",
    callback=audit,
    short_help="Show who changed what on a hub.",
    help="Show who changed what on a hub, newest first. Secrets are masked.",
    examples="""
        dth audit
        dth audit --action task.delete --limit 1000 --json
    """,
    on_hub=True,
    params=options.chain(
        [
            Option(["--who"], metavar="NAME", help="Only changes by this name."),
            Option(["--action"], metavar="ACTION", help="Only this, such as task.update."),
            Option(
                ["--subject"],
                metavar="ID",
                help="Only of this task, run, user, token or credential.",
            ),
            count_option(50, "changes"),
        ],
        hub_options("the changes"),
    ),
)
