"""`dth aws` and its commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli.app import App
from transferhub.cli.documents import Document, as_json, print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Choice, Command, Family, Option
from transferhub.cli.job import Params
from transferhub.cli.text import NOTHING, counted, table
from transferhub.hosts.masking import masked
from transferhub.model.units import format_bytes, format_count

ROLES = ("worker", "finder", "hub", "creator")

if TYPE_CHECKING:  # it takes longer to load than `dth aws --help` may
    from transferhub.state.aws.connection import AwsPlace
    from transferhub.state.aws.creating import Resource, StateFacts


@click.pass_obj
def create_state(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import aws_state

    place = _place(params)
    made = aws_state.create(place, backups=params["backups"], protected=params["protected"])
    sentence = f"The state {place.name} is there; use it with --ledger {aws_state.url_of(place)}."
    return _tell(app, params, _document(place, "created", made), [*_lines(made), sentence])


@click.pass_obj
def delete_state(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import aws_state

    place = _place(params)
    if not params["yes"]:
        question = f"Delete the state {place.name} with all of its tasks, runs and transfers?"
        click.confirm(question, abort=True, err=True)
    gone = aws_state.delete(place)
    sentence = f"The state {place.name} is gone." if gone else f"There is no state {place.name}."
    return _tell(app, params, _document(place, "deleted", gone), [*_lines(gone), sentence])


@click.pass_obj
def show_state(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import aws_state

    facts = aws_state.describe(_place(params))
    return _tell(app, params, facts.document(), _facts_lines(facts))


@click.pass_obj
def policy(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import aws_state

    print_json(
        aws_state.policy_of(_place(params), params["role"], params["account"] or ""), app.out
    )
    return ExitCode.OK


def _place(params: Params) -> AwsPlace:
    from transferhub.hosts import aws_state

    return aws_state.place_of(
        params["name"], region=params.get("region") or "", profile=params.get("profile") or ""
    )


def _tell(app: App, params: Params, document: Document, lines: Sequence[str]) -> ExitCode:
    if params["json"]:
        app.out.line(as_json(document, app.out))
    else:
        app.out.lines([masked(line) for line in lines])
    return ExitCode.OK


def _document(place: AwsPlace, verb: str, resources: Sequence[Resource]) -> Document:
    from transferhub.hosts.aws_state import url_of

    named = [{"kind": at.kind.value, "name": at.name} for at in resources]
    return {"name": place.name, "ledger": url_of(place), verb: named}


def _lines(resources: Sequence[Resource]) -> list[str]:
    return table([(at.kind.value, at.name) for at in resources])


def _facts_lines(facts: StateFacts) -> list[str]:
    tables = [
        (at.name, at.status.lower(), format_count(at.items), format_bytes(at.size))
        for at in facts.tables
    ]
    queues = [
        (at.name, *(format_count(count) for count in (at.waiting, at.in_flight, at.delayed)))
        for at in facts.queues
    ]
    dead = counted(facts.dead, "message") if facts.dead else NOTHING
    return [
        *table([("state", facts.name), ("region", facts.region), ("dead letters", dead)]),
        "",
        *table([("TABLE", "STATUS", "ITEMS", "SIZE"), *tables], right=(2, 3)),
        "",
        *table([("QUEUE", "WAITING", "IN FLIGHT", "DELAYED"), *queues], right=(1, 2, 3)),
    ]


_NAME = Option(
    ["--name"],
    required=True,
    metavar="NAME",
    help="Of the state: letters, digits, - and _. Its tables and queues begin with it.",
)
_REACH = [
    Option(
        ["--region"],
        metavar="NAME",
        help="Region that it is in. [default: AWS_REGION, or that of the AWS configuration]",
    ),
    Option(["--profile"], metavar="NAME", help="Profile of the AWS configuration files."),
]
_DEBUG = Option(
    ["--debug"],
    section="Output",
    is_flag=True,
    help="Show log lines, and tracebacks of unexpected errors.",
)


def _json(what: str) -> Option:
    return Option(
        ["--json"], section="Output", is_flag=True, help=f"Print {what} as JSON on stdout."
    )


command = Family(
    "aws",
    [
        Command(
            "create-state",
            callback=create_state,
            short_help="Create the tables and queues of a state.",
            help="""Create what is missing of a state on AWS: its DynamoDB tables and SQS queues.

            They cost nothing while nothing uses them. Once more changes nothing; what is there with
            another schema is told, and left as it is.
            """,
            examples="""
                dth aws create-state --name moves --region eu-west-1
                dth aws create-state --name moves --backups --protected
            """,
            params=[
                _NAME,
                *_REACH,
                Option(
                    ["--backups"],
                    is_flag=True,
                    help="Tables can be restored to any second of the last 35 days.",
                ),
                Option(
                    ["--protected"],
                    is_flag=True,
                    help="Tables cannot be deleted before somebody lifts that.",
                ),
                _json("what was created"),
                _DEBUG,
            ],
        ),
        Command(
            "show-state",
            callback=show_state,
            short_help="Show what a state holds.",
            help="Show the tables and queues of a state, and how much is in them, as AWS counts it:"
            " items about every six hours, messages roughly.",
            examples="dth aws show-state --name moves --json",
            params=[_NAME, *_REACH, _json("the facts"), _DEBUG],
        ),
        Command(
            "delete-state",
            callback=delete_state,
            short_help="Delete a state with all it holds.",
            help="Delete the tables and queues of a state, with all of its tasks, runs and"
            " transfers. Protected tables are refused, and nothing is deleted then.",
            examples="dth aws delete-state --name moves --yes",
            params=[
                _NAME,
                *_REACH,
                Option(["--yes"], is_flag=True, help="Do not ask."),
                _json("what was deleted"),
                _DEBUG,
            ],
        ),
        Command(
            "policy",
            callback=policy,
            short_help="Print the IAM policy that a role needs.",
            help="""Print the IAM policy of a process as JSON: what it needs, and no more.

            A hub is `dth up`, `dth transfer` and the commands for people; a finder carries whole
            runs, as `dth worker` does; a worker copies what a finder found; a creator creates and
            deletes states, and reads nothing of them.
            """,
            examples="dth aws policy --name moves --role finder > finder.json",
            params=[
                _NAME,
                Option(
                    ["--role"],
                    type=Choice(ROLES),
                    required=True,
                    metavar="ROLE",
                    help=f"What the process is: {', '.join(ROLES)}.",
                ),
                Option(
                    ["--account"],
                    metavar="ID",
                    help="Twelve digits. [default: whichever it is given in]",
                ),
                *_REACH,
                Option(
                    ["--json"],
                    section="Output",
                    is_flag=True,
                    help="As the other commands take it; a policy is JSON in any case.",
                ),
                _DEBUG,
            ],
        ),
    ],
    on_hub=False,
    short_help="Create, show and delete a state on AWS, and print its IAM policies.",
    help="Create, show and delete a state on AWS, and print its IAM policies.",
)
