"""`dth user` and its commands."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import Desk, at_desk, server_of
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Choice, Command, Family, Option
from transferhub.cli.hub_lines import user_document, user_lines
from transferhub.cli.hub_options import ROLES, hub_options, name_argument, role_option
from transferhub.cli.secret_input import asked_secret
from transferhub.model.people import Role, User

_HERE = "http://127.0.0.1:8420"


@click.pass_context
def list_users(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        users = desk.hub.users()
        nobody = ["There are no users yet. Create one with dth user create NAME."]
        desk.tell([user_document(user) for user in users], user_lines(users) if users else nobody)
    return ExitCode.OK


@click.pass_context
def create(context: click.Context, /, **params: Any) -> ExitCode:
    password = asked_secret("Password", twice=True)
    with at_desk(context, params) as desk:
        user = desk.hub.create_user(params["name"], password, Role(params["role"]))
        _tell(desk, user, f"Created user {user.name}, {user.role}.")
    return ExitCode.OK


@click.pass_context
def set_password(context: click.Context, /, **params: Any) -> ExitCode:
    password = asked_secret("Password", twice=True)
    with at_desk(context, params) as desk:
        desk.hub.set_password(params["name"], password)
        sentence = f"{params['name']} has a new password; all their sessions have ended."
        desk.tell({"name": params["name"], "changed": True}, [sentence])
    return ExitCode.OK


@click.pass_context
def set_role(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        user = desk.hub.set_user_role(params["name"], Role(params["role"]))
        _tell(desk, user, f"{user.name} is {user.role} now.")
    return ExitCode.OK


@click.pass_context
def disable(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        user = desk.hub.disable_user(params["name"])
        _tell(desk, user, f"{user.name} is disabled; their sessions and tokens work no more.")
    return ExitCode.OK


@click.pass_context
def enable(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        user = desk.hub.enable_user(params["name"])
        _tell(desk, user, f"{user.name} can sign in again.")
    return ExitCode.OK


@click.pass_context
def link(context: click.Context, /, **params: Any) -> ExitCode:
    from transferhub.model.units import parse_duration

    duration = parse_duration(params["duration"], field="duration")
    with at_desk(context, params) as desk:
        secret = desk.hub.create_link(params["name"], Role(params["role"]), duration)
        url = f"{(params['url'] or server_of(context) or _HERE).rstrip('/')}/#token={secret}"
        desk.app.err.line(f"dth: it works once, within {params['duration']}")
        if desk.json:
            desk.tell({"name": params["name"], "url": url}, [])
        else:
            desk.app.out.line(url)
    return ExitCode.OK


def _tell(desk: Desk, user: User, sentence: str) -> None:
    desk.tell(user_document(user), [sentence])


_NAME = "Name of the user."
_STDIN = " Its password is asked for, or is the first line of standard input."

COMMANDS = [
    Command(
        "list",
        callback=list_users,
        short_help="List users.",
        help="List the local users of a hub.",
        examples="""
            dth user list
        """,
        on_hub=True,
        params=hub_options("the users"),
    ),
    Command(
        "create",
        callback=create,
        short_help="Create a user.",
        help="Create a local user." + _STDIN,
        examples="""
            dth user create ada --role operator
            dth user create ada < password.txt
        """,
        on_hub=True,
        params=options.chain(
            [name_argument(_NAME), role_option("viewer", "What the user may do")],
            hub_options("the user"),
        ),
    ),
    Command(
        "password",
        callback=set_password,
        short_help="Give a user a new password.",
        help="Give a user a new password, and end all their sessions." + _STDIN,
        examples="""
            dth user password ada
        """,
        on_hub=True,
        params=options.chain([name_argument(_NAME)], hub_options("what was changed")),
    ),
    Command(
        "role",
        callback=set_role,
        short_help="Give a user another role.",
        help="Give a user another role, at once.",
        examples="""
            dth user role ada admin
        """,
        on_hub=True,
        params=options.chain(
            [
                name_argument(_NAME),
                click.Argument(
                    ["role"],
                    type=Choice(ROLES),
                    metavar="ROLE",
                    help=f"What the user may do: {', '.join(ROLES)}.",
                ),
            ],
            hub_options("the user"),
        ),
    ),
    Command(
        "disable",
        callback=disable,
        short_help="Let a user in no more.",
        help="Let a user in no more, and end their sessions.",
        examples="""
            dth user disable ada
        """,
        on_hub=True,
        params=options.chain([name_argument(_NAME)], hub_options("the user")),
    ),
    Command(
        "enable",
        callback=enable,
        short_help="Let a user in again.",
        help="Let a user in again.",
        examples="""
            dth user enable ada
        """,
        on_hub=True,
        params=options.chain([name_argument(_NAME)], hub_options("the user")),
    ),
    Command(
        "link",
        callback=link,
        short_help="Make a sign-in link that works once.",
        help="Make a sign-in link that works once, for who has no password yet.",
        examples="""
            dth user link ada --role admin
        """,
        on_hub=True,
        params=options.chain(
            [
                name_argument("Who signs in with it; need not be a user."),
                role_option("viewer", "What they may do"),
                Option(
                    ["--duration"],
                    default="15m",
                    metavar="DURATION",
                    help="How long it can be used, up to 7d. [default: 15m]",
                ),
                Option(
                    ["--url"],
                    metavar="URL",
                    help=f"Address of the hub for browsers. [default: --server, or {_HERE}]",
                ),
            ],
            hub_options("the link"),
        ),
    ),
]

command = Family(
    "user",
    COMMANDS,
    short_help="List, create and change who may sign in to a hub.",
    help="List, create and change the local users of a hub.",
)
