"""`dth task events`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.desk import Desk, at_desk, server_of
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_options import hub_options, task_argument
from transferhub.cli.text import counted, visible
from transferhub.errors import InputError
from transferhub.model.event import EventStatus, SourceKind
from transferhub.model.run import Task

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.plugins.objects.notifications import Piece

_HUB = "http://127.0.0.1:8420"
_OF_QUEUE = ("region", "endpoint", "credential")
_SOURCES = ("queue", "webhook", "none")


@click.pass_context
def events(context: click.Context, /, **params: Any) -> ExitCode:
    _check(params)
    with at_desk(context, params) as desk:
        task = desk.find(params["task"]).task
        if params["remove"]:
            desk.hub.events.take_down(task.ident)
        token = _listen(desk, task, params)
        if params["apply"]:
            desk.hub.events.set_up(task.ident)
        status = desk.hub.events.status(task.ident)
        url = (params["hub_url"] or server_of(context) or _HUB).rstrip("/")
        pieces = desk.hub.events.pieces(task.ident, url) if status.source else []
        document = _document(task, status, pieces, token)
        desk.tell(document, [*_lines(task, status, token, params), *_setup(pieces)])
    return ExitCode.OK


def _check(params: Mapping[str, Any]) -> None:
    """Raises InputError where options do not go together."""
    given = [f"--{name}" for name in _SOURCES if params[name]]
    if len(given) > 1:
        raise InputError(given[1], f"a task hears of changes in one way; leave out {given[0]}")
    if params["apply"] and params["remove"]:
        raise InputError("--remove", "is the contrary of --apply")
    lonely = next((name for name in _OF_QUEUE if params[name] and not params["queue"]), None)
    if lonely:
        raise InputError(f"--{lonely}", "belongs to --queue")


def _listen(desk: Desk, task: Task, params: Mapping[str, Any]) -> str:
    """Says where the task is to hear of changes, if that was typed; returns a new token or ""."""
    if params["webhook"]:
        return desk.hub.events.new_token(task.ident)
    if params["none"]:
        desk.hub.events.listen(task.ident, {})
    if params["queue"]:
        values = {"kind": SourceKind.SQS.value, "queue_url": params["queue"]}
        values |= {name: params[name] for name in _OF_QUEUE if params[name]}
        desk.hub.events.listen(task.ident, values)
    return ""


def _document(task: Task, status: EventStatus, pieces: list[Piece], token: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "task": task.ident,
        "events": status.source.to_json() if status.source else None,
        "waiting": status.waiting,
        "since": status.since.isoformat() if status.since else None,
        "setup": [{"title": piece.title, "text": piece.text} for piece in pieces],
    }
    return {**document, "token": token} if token else document


def _lines(task: Task, status: EventStatus, token: str, params: Mapping[str, Any]) -> Iterator[str]:
    name = visible(task.name)
    if status.source is None:
        yield f"{name} hears of no changes; --queue URL or --webhook says where it is to."
        return
    match status.source.kind:
        case SourceKind.SQS:
            yield f"{name} hears of changes from the queue {status.source.queue_url}."
        case SourceKind.WEBHOOK:
            yield f"{name} hears of changes over HTTP."
    if token:
        yield f"The sender's token, shown this once: {token}"
    if params["apply"]:
        yield "The bucket's notification and the queue's policy are set up."
    if params["remove"]:
        yield "The bucket's notification and the queue's policy are taken away."
    if status.since is not None:
        since = f"{status.since:%Y-%m-%d %H:%M:%S} UTC"
        yield f"{counted(status.waiting, 'object')} with changes wait, the oldest since {since}."


def _setup(pieces: list[Piece]) -> Iterator[str]:
    for piece in pieces:
        yield ""
        yield f"# {piece.title}"
        yield from piece.text.splitlines()


COMMANDS = [
    Command(
        "events",
        callback=events,
        short_help="Follow changes at a task's source as they come.",
        help="""Follow changes at a task's source as they come.

        Without an option, says where the task hears of changes, and prints what has to be set up
        there: notification, policies, and what the senders of a webhook need.
        """,
        examples="""
            dth task events Photos --queue https://sqs.eu-west-1.amazonaws.com/111122223333/photos
            dth task events Photos --apply
            dth task events Photos --webhook --hub-url https://hub.example.com
            dth task events Photos --remove --none
        """,
        on_hub=True,
        params=options.chain(
            [
                task_argument(),
                Option(
                    ["--queue"],
                    metavar="URL",
                    help="Hear from this SQS queue, which gets the bucket's notifications.",
                ),
                Option(
                    ["--region"],
                    metavar="REGION",
                    help="The queue's region. [default: the one in its URL]",
                ),
                Option(
                    ["--endpoint"],
                    metavar="URL",
                    help="Reach the queue here. [default: the host of its URL]",
                ),
                Option(
                    ["--credential"],
                    metavar="NAME",
                    help="Stored keys for the queue. [default: those of the task's source]",
                ),
                Option(
                    ["--webhook"],
                    is_flag=True,
                    help="Hear over HTTP, from whoever has the token, which is shown once. A former"
                    " token does not hold any more.",
                ),
                Option(["--none"], is_flag=True, help="Hear of no changes any more."),
                Option(
                    ["--apply"],
                    is_flag=True,
                    help="Set up the bucket's notification and the queue's policy; those of others"
                    " stay as they are.",
                ),
                Option(
                    ["--remove"],
                    is_flag=True,
                    help="Take away what --apply set up, and nothing else.",
                ),
                Option(
                    ["--hub-url"],
                    metavar="URL",
                    help=f"Where senders reach the hub. [default: --server, or {_HUB}]",
                ),
            ],
            hub_options("where it hears of changes, and what to set up"),
        ),
    ),
]
