"""`dth verify`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import print_json, verification_document
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.host import Verification
from transferhub.cli.job import read_job
from transferhub.cli.text import counted, visible
from transferhub.model.units import format_count, format_seconds

_SHOWN_DIFFERENCES = 20

EXAMPLES = """
    dth verify s3://photos s3://backup/photos
    dth verify s3://photos s3://backup/photos --compare etag --json | jq .differences
"""


@click.pass_obj
def verify(app: App, /, **params: Any) -> ExitCode:
    spec, settings = read_job(params)
    with app.session(params, settings) as session:
        found = session.host.verify(spec)
        session.display.close()
        if session.json:
            print_json(verification_document(found), app.out)
        else:
            app.out.lines(verification_lines(found))
    return ExitCode.OK if found.equal else ExitCode.FAILURES


def verification_lines(found: Verification) -> list[str]:
    scan = found.scan
    headline = (
        f"{_verdict(found)}: {counted(scan.scanned_source, 'object')} at the source,"
        f" {format_count(scan.scanned_destination)} at the destination,"
        f" compared in {format_seconds(found.seconds)}."
    )
    counts = (
        f"  {format_count(scan.same)} same, {format_count(scan.new)} missing at the destination,"
        f" {format_count(scan.changed)} changed, {format_count(scan.extra)} extra,"
        f" {format_count(scan.filtered)} filtered, {format_count(scan.archived)} archived"
    )
    lines = [headline, counts]
    shown = found.differences[:_SHOWN_DIFFERENCES]
    lines += [f"  {verdict.value:8} {visible(key)}" for key, verdict in shown]
    if len(found.differences) > len(shown):
        lines.append("  … more with --json")
    return lines


def _verdict(found: Verification) -> str:
    if not found.equal:
        return "The two sides differ"
    if found.scan.extra:
        return "The destination has all of the source, and more"
    return "Both sides are equal"


command = Command(
    "verify",
    callback=verify,
    short_help="Compare two locations and change nothing.",
    help="""Compare SOURCE with DESTINATION and change nothing.

    Exits with 0 where the destination has all of the source and with 1 where it has not; then the
    first differences are listed: new is missing at the destination, extra is only there.
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
                ["--mirror"],
                section="Compare",
                is_flag=True,
                help="Count what only the destination has as a difference, too.",
            )
        ],
        [options.destination_prefix_option()],
        options.output_options(progress=True, json="what was found", ledger=False),
    ),
)
