"""`dth logs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.desk import Desk, at_desk
from transferhub.cli.documents import Document
from transferhub.cli.exits import ExitCode
from transferhub.cli.faults import shown
from transferhub.cli.grouped import Choice, Command, Option
from transferhub.cli.hub_options import count_option, hub_options
from transferhub.cli.text import counted, iso_time, local_time
from transferhub.errors import InputError
from transferhub.model.run import UNDER_WAY_STATES
from transferhub.model.transfer import RunId

if TYPE_CHECKING:  # takes longer to load than `dth logs --help` may
    from transferhub.model.history import LogLine, LogPage

_LEVELS = ("debug", "info", "warning", "error")
_LOOK_SECONDS = 1.0
_MOST = 1_000


@click.pass_context
def logs(context: click.Context, /, **params: Any) -> ExitCode:
    if params["limit"] > _MOST:
        raise InputError("limit", f"is more than {_MOST:,}; choose lines with --search")
    with at_desk(context, params) as desk:
        run = desk.hub.run(RunId(params["run"])).run
        asked = {"level": params["level"], "words": params["search"] or ""}
        page = desk.hub.logs(run.ident, **asked, limit=params["limit"])
        if params["follow"]:
            for each in _followed(desk, run.ident, page, asked):
                _tell_lines(desk, each)
        else:
            desk.tell([_document(line) for line in page.lines], _lines(page))
    return ExitCode.OK


def _followed(desk: Desk, run: RunId, page: LogPage, asked: dict[str, Any]) -> Iterator[LogPage]:
    """The page, and what follows it until the run has ended and all of it was told."""
    under_way = True
    while True:
        yield page
        if not page.more:
            if not under_way:
                return
            under_way = desk.hub.run(run).run.state in UNDER_WAY_STATES
            if under_way:
                time.sleep(_LOOK_SECONDS)
        page = desk.hub.logs(run, **asked, after=page.last, limit=_MOST)


def _tell_lines(desk: Desk, page: LogPage) -> None:
    """A JSON document a line, for a log has no end to be waited for."""
    import json

    if desk.json:
        desk.app.out.lines([json.dumps(_document(line)) for line in page.lines])
    else:
        desk.app.out.lines([_line(line) for line in page.lines])


def _lines(page: LogPage) -> list[str]:
    if not page.lines:
        return ["Nothing like that was said."]
    dropped = [f"({counted(page.dropped, 'older line')} had to go.)"] if page.dropped else []
    return [*dropped, *(_line(line) for line in page.lines)]


def _line(line: LogLine) -> str:
    return f"{local_time(line.at)} {line.level.upper():7} {shown(line.message)}"


def _document(line: LogLine) -> Document:
    return {
        "number": line.number,
        "at": iso_time(line.at),
        "level": line.level.value,
        "action": line.action,
        "message": line.message,
        "task": line.task,
        "run": line.run,
        "worker": line.worker,
    }


command = Command(
    "logs",
    callback=logs,
    short_help="Show what a run of a hub said.",
    help="Show what a run of a hub said: its last lines, and, with --follow, those to come.",
    examples="""
        dth logs last
        dth logs last --follow --level info
        dth logs 20261124-093012-4f1a2b --search "denied photos" --json
    """,
    on_hub=True,
    params=options.chain(
        [
            options.run_argument(),
            Option(["--follow"], is_flag=True, help="Go on until the run has ended."),
            Option(
                ["--level"],
                type=Choice(_LEVELS),
                default="info",
                metavar="LEVEL",
                help=f"From this level on: {', '.join(_LEVELS)}. [default: info]",
            ),
            Option(["--search"], metavar="WORDS", help="Only lines with all of these words."),
            count_option(100, "lines"),
        ],
        hub_options("the lines; an object a line with --follow,"),
    ),
)
