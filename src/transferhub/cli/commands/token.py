"""`dth token` and its commands."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Choice, Command, Family, Option
from transferhub.cli.hub_lines import now, token_document, token_lines
from transferhub.cli.hub_options import SCOPES, hub_options, name_argument, role_option
from transferhub.cli.text import local_time
from transferhub.model.people import Role, Scope


@click.pass_context
def list_tokens(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        tokens = desk.hub.tokens()
        none = ["There are no tokens yet. Make one with dth token create LABEL."]
        desk.tell(
            [token_document(token) for token in tokens],
            token_lines(tokens, now()) if tokens else none,
        )
    return ExitCode.OK


@click.pass_context
def create(context: click.Context, /, **params: Any) -> ExitCode:
    from transferhub.model.units import parse_duration

    duration = parse_duration(params["duration"], field="duration")
    scopes = [Scope(name) for name in params["scope"] or ("tasks",)]
    with at_desk(context, params) as desk:
        made = desk.hub.create_token(
            params["label"], role=Role(params["role"]), duration=duration, scopes=scopes
        )
        desk.app.err.line(
            f"dth: token {made.token.ident} works until {local_time(made.token.ends_at)}, and is"
            " shown this once"
        )
        if desk.json:
            desk.tell({**token_document(made.token), "secret": made.secret}, [])
        else:
            desk.app.out.line(made.secret)
    return ExitCode.OK


@click.pass_context
def revoke(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        desk.hub.revoke_token(params["token_id"])
        sentence = f"Token {params['token_id']} works no more."
        desk.tell({"id": params["token_id"], "revoked": True}, [sentence])
    return ExitCode.OK


COMMANDS = [
    Command(
        "list",
        callback=list_tokens,
        short_help="List API tokens.",
        help="List your API tokens, those that ended too; those of all for an administrator.",
        examples="""
            dth token list
        """,
        on_hub=True,
        params=hub_options("the tokens"),
    ),
    Command(
        "create",
        callback=create,
        short_help="Make an API token.",
        help="""Make an API token, and print it this once on stdout.

        Make the first one on the hub's own machine, and keep it in a file that only you can read.
        """,
        examples="""
            (umask 077; dth token create laptop --role operator > ~/.dth-token)
            dth token create ci --role admin --scope tasks --scope people --duration 90d
        """,
        on_hub=True,
        params=options.chain(
            [
                name_argument("What it is for.", "label"),
                role_option("operator", "The most that it may do"),
                Option(
                    ["--scope"],
                    type=Choice(SCOPES),
                    multiple=True,
                    metavar="SCOPE",
                    help=f"What it may touch: {', '.join(SCOPES)}; may be given more than once."
                    " [default: tasks]",
                ),
                Option(
                    ["--duration"],
                    default="30d",
                    metavar="DURATION",
                    help="How long it works, up to 366d. [default: 30d]",
                ),
            ],
            hub_options("the token"),
        ),
    ),
    Command(
        "revoke",
        callback=revoke,
        short_help="End an API token at once.",
        help="End an API token at once.",
        examples="""
            dth token revoke 3f2a9c01d4e5b6a7
        """,
        on_hub=True,
        params=options.chain(
            [click.Argument(["token_id"], metavar="ID", help="Id of the token, as listed.")],
            hub_options("what was revoked"),
        ),
    ),
]

command = Family(
    "token",
    COMMANDS,
    short_help="List, make and revoke API tokens of a hub.",
    help="List, make and revoke API tokens, with which programs and `dth --server` use a hub.",
)
