"""`dth transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.job import read_job
from transferhub.cli.preview import preview_document, preview_lines
from transferhub.errors import InputError

EXAMPLES = """
    See what would happen, and what it would cost:
      dth transfer s3://photos s3://backup/photos --dry-run

    From one server to another, with a profile for each:
      dth transfer s3://photos oss://photos-cn \\
        --source-profile paris --destination-region cn-hangzhou --destination-profile oss

    Into a bucket of your own S3 server, then compare both sides again:
      dth transfer file:///srv/data s3://data --destination-endpoint https://s3.example.com --verify

    Only last week's logs, at night's pace:
      dth transfer s3://logs s3://archive --include "app/**" --newer-than 7d --bandwidth 20MB/s

    Make the destination an exact mirror, but never delete more than 500 objects:
      dth transfer s3://site s3://site-copy --mirror --max-delete 500

    With what is done and what waits on AWS, where other machines find it, too:
      dth transfer s3://photos s3://backup/photos --ledger aws://moves?region=eu-west-1

    The same command again goes on where it stopped, and copies only what has changed since.
"""


@click.pass_obj
def transfer(app: App, /, **params: Any) -> ExitCode:
    if params["prices"] and not params["dry_run"]:
        raise InputError("prices", "is for --dry-run only")
    spec, settings = read_job(params)
    with app.session(params, settings) as session:
        if params["dry_run"]:
            preview = session.host.preview(spec, Path(settings.prices) if settings.prices else None)
            session.display.close()
            if session.json:
                print_json(preview_document(preview), app.out)
            else:
                app.out.lines(preview_lines(preview))
            return ExitCode.OK
        return session.carry(
            lambda: session.host.transfer(
                spec, settings.tuning(), resume=not params["no_resume"], verify=params["verify"]
            )
        )


command = Command(
    "transfer",
    callback=transfer,
    short_help="Copy what is new or changed from one location to another.",
    help="""Copy what is new or changed from SOURCE to DESTINATION.

    Both sides are listed and compared while objects are copied. At the end every object is
    accounted for, and a report names each one that was not the same. A run that was interrupted is
    picked up by the same command.
    """,
    examples=EXAMPLES,
    params=options.chain(
        options.location_arguments(),
        options.side_options("source"),
        options.side_options("destination"),
        options.scope_options(),
        options.compare_options(),
        [
            Option(
                ["--verify"],
                section="Compare",
                is_flag=True,
                help="List both sides again at the end and compare them.",
            )
        ],
        options.writing_options(),
        options.deleting_options(),
        options.speed_options(),
        [
            Option(
                ["--dry-run"],
                section="Output",
                is_flag=True,
                help="Only tell what would be copied, for what price and in what time.",
            ),
            Option(
                ["--prices"],
                section="Output",
                metavar="FILE",
                help="Price table for --dry-run, JSON. [env: DTH_PRICES; default: list prices]",
            ),
            options.no_resume_option(),
        ],
        options.output_options(progress=True, json="the end of the run"),
    ),
)
