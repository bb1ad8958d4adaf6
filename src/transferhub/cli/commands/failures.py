"""`dth failures`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.desk import server_of
from transferhub.cli.documents import failure_document, group_document, print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.far_runs import list_failures
from transferhub.cli.grouped import Command, Count, Option
from transferhub.cli.host import Host
from transferhub.cli.job import Params
from transferhub.cli.run_lines import failures_lines
from transferhub.cli.text import noun_of
from transferhub.model.transfer import RunId, TransferRecord

_PAGE = 1_000

EXAMPLES = """
    dth failures last
    dth failures last --code denied --key "photos/2024/*"
    dth failures last --json | jq -r '.failures[].key'
"""


@click.pass_context
def failures(context: click.Context, /, **params: Any) -> ExitCode:
    if server_of(context):
        return list_failures(context, params)
    app: App = context.obj
    with app.session(params) as session:
        found, task, _ = session.host.show(RunId(params["run"]))
        run = found.ident
        groups = session.host.failure_groups(run)
        records = list(islice(every_failure(session.host, run, params), params["limit"]))
        if session.json:
            document = {
                "run": run,
                "groups": [group_document(group) for group in groups],
                "failures": [failure_document(record) for record in records],
            }
            print_json(document, app.out)
        else:
            again = f"dth redrive {run}"
            app.out.lines(
                failures_lines(
                    run,
                    groups,
                    records,
                    limit=params["limit"],
                    again=again,
                    noun=noun_of(task.kind),
                )
            )
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


command = Command(
    "failures",
    callback=failures,
    short_help="Show what failed in a run, and why.",
    help="Show what failed in a run: first counted by error code, then each key with its attempts.",
    examples=EXAMPLES,
    on_hub=True,
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
