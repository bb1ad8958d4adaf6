"""`dth credential` and its commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from transferhub.cli import options
from transferhub.cli.desk import at_desk
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Choice, Command, Family, Option
from transferhub.cli.hub_lines import credential_document, credential_lines
from transferhub.cli.hub_options import hub_options, name_argument
from transferhub.cli.secret_input import read_secret_fields
from transferhub.cli.text import counted
from transferhub.model.people import CredentialKind

KINDS = ("keys", "login", "token")
_SHOWN = ("access_key_id", "user", "role_arn", "external_id")
"""Fields that may be seen while they are typed."""


@click.pass_context
def list_credentials(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        found = desk.hub.credentials()
        none = ["There are no credentials yet. Store some with dth credential put NAME."]
        desk.tell(
            [credential_document(at) for at in found],
            credential_lines(found) if found else none,
        )
    return ExitCode.OK


@click.pass_context
def put(context: click.Context, /, **params: Any) -> ExitCode:
    kind = CredentialKind(params["kind"])
    with at_desk(context, params) as desk:
        stored = desk.hub.put_credential(
            params["name"], kind, _fields(kind, params["file"] or ("" if _typed() else "-"))
        )
        what = "Replaced" if stored.version > 1 else "Stored"
        desk.tell(credential_document(stored), [f"{what} the credential {stored.name}."])
    return ExitCode.OK


def _typed() -> bool:
    return sys.stdin.isatty()


def _fields(kind: CredentialKind, file: str) -> Mapping[str, str]:
    """Of a file, or asked for one after the other where none is named."""
    if file:
        return read_secret_fields(file, "file")
    from transferhub.control.vault import SHAPES

    shape = SHAPES[kind]
    answers = {
        name: click.prompt(
            f"{name} (empty for none)" if name in shape.optional else name,
            default="" if name in shape.optional else None,
            show_default=False,
            hide_input=name not in _SHOWN,
            err=True,
        )
        for name in (*shape.needed, *shape.optional)
    }
    return {name: answer for name, answer in answers.items() if answer}


@click.pass_context
def delete(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        desk.hub.delete_credential(params["name"])
        sentence = f"Deleted the credential {params['name']}."
        desk.tell({"name": params["name"], "deleted": True}, [sentence])
    return ExitCode.OK


@click.pass_context
def rotate(context: click.Context, /, **params: Any) -> ExitCode:
    with at_desk(context, params) as desk:
        count = desk.hub.rotate_credentials()
        sentence = f"{counted(count, 'credential')} sealed with a new key; keep a copy of it apart."
        desk.tell({"rotated": count}, [sentence if count else "There is nothing to seal anew."])
    return ExitCode.OK


COMMANDS = [
    Command(
        "list",
        callback=list_credentials,
        short_help="List credentials, without their secrets.",
        help="List credentials, without their secrets.",
        examples="""
            dth credential list
        """,
        on_hub=True,
        params=hub_options("the credentials"),
    ),
    Command(
        "put",
        callback=put,
        short_help="Store a credential, or replace the one of this name.",
        help="""Store a credential, or replace the one of this name. Nobody can read it back.

        Its fields are asked for on a terminal; else they are a JSON object on standard input or in
        --file: access_key_id and secret_access_key, with session_token, role_arn or external_id
        where needed (keys), user and password (login), or token (token).
        """,
        examples="""
            dth credential put backup
            dth credential put backup --file keys.json
        """,
        on_hub=True,
        params=options.chain(
            [
                name_argument("What tasks name it by."),
                Option(
                    ["--kind"],
                    type=Choice(KINDS),
                    default="keys",
                    metavar="KIND",
                    help=f"What it is made of: {', '.join(KINDS)}. [default: keys]",
                ),
                Option(["--file"], metavar="FILE", help="JSON with its fields; - for stdin."),
            ],
            hub_options("the credential"),
        ),
    ),
    Command(
        "delete",
        callback=delete,
        short_help="Delete a credential.",
        help="Delete a credential. Tasks that name it fail from their next run on.",
        examples="""
            dth credential delete backup
        """,
        on_hub=True,
        params=options.chain([name_argument("Which credential.")], hub_options("what was deleted")),
    ),
    Command(
        "rotate",
        callback=rotate,
        short_help="Seal all credentials with a new key.",
        help="Make a new key, and seal all credentials with it.",
        examples="""
            dth credential rotate
        """,
        on_hub=True,
        params=hub_options("how many were sealed"),
    ),
]

command = Family(
    "credential",
    COMMANDS,
    short_help="List, store and delete the credentials that tasks name.",
    help="List, store and delete the credentials that tasks name. They are kept encrypted.",
)
