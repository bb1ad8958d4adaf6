"""`dth doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import finding_document, print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command
from transferhub.cli.host import Finding
from transferhub.cli.job import read_all, read_locations
from transferhub.cli.text import table, visible
from transferhub.hosts.masking import masked

EXAMPLES = """
    dth doctor
    dth doctor s3://photos oss://photos-cn
    dth doctor ghcr.io/team ecr://eu-west-1
"""


@click.pass_obj
def doctor(app: App, /, **params: Any) -> ExitCode:
    locations = read_all(lambda faults: read_locations(params["locations"], faults))
    with app.session(params) as session:
        findings = session.host.doctor(locations)
        if session.json:
            document = {"findings": [finding_document(finding) for finding in findings]}
            print_json(document, app.out)
        else:
            app.out.lines([masked(line) for line in finding_lines(findings)])
    bad = any(finding.level == "error" for finding in findings)
    return ExitCode.FAILURES if bad else ExitCode.OK


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    rows = [(f.level, f.name, visible(f.value), f.origin) for f in findings]
    lines: list[str] = []
    for line, finding in zip(table(rows), findings, strict=True):
        lines.append(line)
        if finding.advice:
            lines.append(f"         {finding.advice}")
    return lines


command = Command(
    "doctor",
    callback=doctor,
    short_help="Check settings, versions, stores and clock.",
    help="""Check settings and where they came from, versions and, for each LOCATION, who asks
    there, whether it can be reached and, of object stores, how far its clock is from this
    machine's.

    Exits with 1 where anything is an error. Variables of the source (DTH_SOURCE_*) apply to the
    first LOCATION, those of the destination to the others.
    """,
    examples=EXAMPLES,
    params=options.chain(
        [
            click.Argument(
                ["locations"],
                metavar="[LOCATION]...",
                nargs=-1,
                help="s3://BUCKET/PREFIX, file:///FOLDER, or a registry such as ghcr.io/TEAM or"
                " ecr://REGION",
            )
        ],
        options.output_options(progress=False, json="the findings"),
    ),
)
