"""`dth workers` and its commands."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Family
from transferhub.cli.hub_lines import member_document, member_lines, now
from transferhub.cli.hub_options import hub_options, name_argument


@click.pass_context
def list_workers(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        members = desk.hub.workers()
        none = ["No process of the hub is at work. Start one with dth up."]
        desk.tell(
            [member_document(member) for member in members],
            member_lines(members, now()) if members else none,
        )
    return ExitCode.OK


@click.pass_context
def drain(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        desk.hub.drain_worker(params["worker"])
        sentence = f"{params['worker']} ends what it carries, and takes nothing new."
        desk.tell({"id": params["worker"], "draining": True}, [sentence])
    return ExitCode.OK


command = Family(
    "workers",
    [
        Command(
            "list",
            callback=list_workers,
            short_help="List the processes of a hub.",
            help="List the servers and workers of a hub, and what they carry.",
            examples="""
                dth workers list
            """,
            on_hub=True,
            params=hub_options("the processes"),
        ),
        Command(
            "drain",
            callback=drain,
            short_help="Let a process end what it carries, and take nothing new.",
            help="Let a process end what it carries, and take nothing new.",
            examples="""
                dth workers drain db1-4711-3f2a9c
            """,
            on_hub=True,
            params=options.chain(
                [name_argument("Id of the process, as listed.", "worker")],
                hub_options("what was asked"),
            ),
        ),
    ],
    short_help="List the processes of a hub, and take them out of service.",
    help="List the processes of a hub, and take them out of service.",
)
