"""`dth failures`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import failure_document, group_document, print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Count, Option
from transferhub.cli.host import Host
from transferhub.cli.job import Params
from transferhub.cli.summary import group_lines
from transferhub.cli.text import counted, local_time, table, visible
from transferhub.model.transfer import RunId, TransferRecord

_PAGE = 1_000

EXAMPLES = """
    dth failures last
    dth failures last --code denied --key "photos/2024/*"
    dth failures last --json | jq -r '.failures[].key'
"""


@click.pass_obj
def failures(app: App, /, **params: Any) -> ExitCode:
    with app.session(params) as session:
        run = session.host.show(RunId(params["run"]))[0].ident
        groups = session.host.failure_groups(run)
        records = list(islice(every_failure(session.host, run, params), params["limit"]))
        if session.json:
            document = {
                "run": run,
                "groups": [group_document(group) for group in groups],
                "failures": [failure_document(record) for record in records],
            }
            print_json(document, app.out)
        elif groups:
            app.out.lines([f"Run {run}", *group_lines(groups), *_listed(records, params, run)])
        else:
            app.out.line(f"Nothing failed in run {run}.")
    return ExitCode.OK


def every_failure(host: Host, run: RunId, params: Params) -> Iterator[TransferRecord]:
    """In key order, read in pages."""
    after = ""
    while page := host.failures(
        run, code=params["code"] or "", key=params["key"], after=after, limit=_PAGE
    ):
        yield from page
        after = page[-1].transfer.key
        if len(page) < _PAGE:
            return


def _listed(records: list[TransferRecord], params: Params, run: RunId) -> list[str]:
    if not records:
        return ["", "None of them matches --code and --key."]
    lines = [""]
    for record in records:
        lines += failure_lines(record)
    if len(records) == params["limit"]:
        lines += ["", f"These are the first {len(records):,}; more with --limit."]
    steps = [(f"dth redrive {run}", "tries them again; --code and --key choose")]
    return [*lines, "", "Next:", *(f"  {line}" for line in table(steps))]


def failure_lines(record: TransferRecord) -> list[str]:
    """A key, why it failed, and its attempts before that."""
    earlier = record.history[:-1] if record.history else ()
    return [
        f"{record.transfer.action.value} {visible(record.transfer.key)}",
        f"  {record.code} after {counted(record.attempts, 'attempt')}: {visible(record.message)}",
        *(
            f"  {local_time(attempt.at)}  {attempt.code}: {visible(attempt.message)}"
            for attempt in earlier
        ),
    ]


command = Command(
    "failures",
    callback=failures,
    short_help="Show what failed in a run, and why.",
    help="Show what failed in a run: first counted by error code, then each key with its attempts.",
    examples=EXAMPLES,
    params=options.chain(
        [options.run_argument()],
        options.filter_options(),
        [
            Option(
                ["--limit"],
                type=Count(),
                default=1_000,
                metavar="COUNT",
                help="How many keys. [default: 1000]",
            )
        ],
        options.output_options(progress=False, json="groups and keys"),
    ),
)
