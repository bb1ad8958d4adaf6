"""`dth channel` and its commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.documents import Document, plain
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Family, Option
from transferhub.cli.hub_options import hub_options, name_argument
from transferhub.cli.secret_input import read_secret_object
from transferhub.cli.text import iso_time, table, visible

if TYPE_CHECKING:  # takes longer to load than `dth channel --help` may
    from transferhub.control.channels import ChannelView


@click.pass_context
def list_channels(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        found = desk.hub.channels()
        none = ["There are no channels yet. Make one with dth channel put < channel.json."]
        desk.tell([_document(at) for at in found], _lines(found) if found else none)
    return ExitCode.OK


@click.pass_context
def put(context: click.Context, /, **params: Any) -> ExitCode:
    if not params["file"] and sys.stdin.isatty():
        raise click.UsageError("Name --file, or give the channel on standard input.", context)
    values = read_secret_object(params["file"] or "-", "file")
    with at_desk(context, params) as desk:
        channel = desk.hub.put_channel(values)
        what = "Replaced" if channel.version > 1 else "Created"
        sentence = f"{what} the channel {channel.name}. dth channel test {channel.name} tries it."
        desk.tell(_document(channel), [sentence])
    return ExitCode.OK


@click.pass_context
def test(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        trial = desk.hub.test_channel(params["name"])
        document = {"delivered": trial.delivered, "sentence": trial.sentence}
        result = "Delivered" if trial.delivered else "Not delivered"
        desk.tell(document, [f"{result}: {visible(trial.sentence)}"])
    return ExitCode.OK if trial.delivered else ExitCode.FAILURES


@click.pass_context
def delete(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        desk.hub.delete_channel(params["name"])
        desk.tell(
            {"name": params["name"], "deleted": True}, [f"Deleted the channel {params['name']}."]
        )
    return ExitCode.OK


def _document(channel: ChannelView) -> Document:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "described": channel.described,
        "settings": plain(channel.settings),
        "version": channel.version,
        "created_at": iso_time(channel.created_at),
        "updated_at": iso_time(channel.updated_at),
    }


def _lines(channels: Sequence[ChannelView]) -> list[str]:
    rows = [
        (
            at.name,
            at.kind,
            "on" if at.settings.get("enabled", True) else "off",
            visible(at.described),
        )
        for at in channels
    ]
    return table([("NAME", "KIND", "STATE", "TO"), *rows])


command = Family(
    "channel",
    [
        Command(
            "list",
            callback=list_channels,
            short_help="List notification channels, without their secrets.",
            help="List notification channels, without their secrets.",
            examples="""
                dth channel list
            """,
            on_hub=True,
            params=hub_options("the channels"),
        ),
        Command(
            "put",
            callback=put,
            short_help="Create a notification channel, or replace the one of its name.",
            help="""Create a notification channel, or replace the one of its name.

            Its fields are a JSON object on standard input or in --file, such as
            {"kind": "slack", "name": "ops", "url": "https://hooks.slack.com/…"}.
            """,
            examples="""
                dth channel put < ops.json
            """,
            on_hub=True,
            params=options.chain(
                [Option(["--file"], metavar="FILE", help="JSON with its fields; - for stdin.")],
                hub_options("the channel"),
            ),
        ),
        Command(
            "test",
            callback=test,
            short_help="Send a message to a channel now.",
            help="Send a message to a channel now. Exits with 1 where it was not delivered.",
            examples="""
                dth channel test ops
            """,
            on_hub=True,
            params=options.chain([name_argument("Which channel.")], hub_options("how it went")),
        ),
        Command(
            "delete",
            callback=delete,
            short_help="Delete a notification channel.",
            help="Delete a notification channel. What waits to be sent to it is given up.",
            examples="""
                dth channel delete ops
            """,
            on_hub=True,
            params=options.chain(
                [name_argument("Which channel.")], hub_options("what was deleted")
            ),
        ),
    ],
    short_help="List, make, test and delete where a hub sends notifications.",
    help="List, make, test and delete where a hub sends notifications.",
)
