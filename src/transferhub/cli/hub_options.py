"""The parameters that more than one command of a hub has."""

from __future__ import annotations

from collections.abc import Sequence

import click

from transferhub.cli.grouped import Choice, Count, Option
from transferhub.cli.job import Params
from transferhub.cli.options import output_options

ROLES = ("viewer", "operator", "admin")
SCOPES = ("tasks", "credentials", "people")


def hub_options(json: str) -> list[Option]:
    """Args:
    json: what the JSON document would hold.
    """
    return output_options(progress=False, json=json)


def task_argument() -> click.Argument:
    return click.Argument(["task"], metavar="TASK", help="Id or name of a task.")


def tasks_argument() -> click.Argument:
    return click.Argument(
        ["tasks"], metavar="[TASK]...", nargs=-1, help="Ids or names of tasks; all without one."
    )


def name_argument(text: str, name: str = "name") -> click.Argument:
    return click.Argument([name], metavar=name.upper(), help=text)


def count_option(default: int, what: str) -> Option:
    return Option(
        ["--limit"],
        type=Count(),
        default=default,
        metavar="COUNT",
        help=f"How many {what}. [default: {default}]",
    )


def role_option(default: str | None, text: str) -> Option:
    return Option(
        ["--role"],
        type=Choice(ROLES),
        default=default,
        required=default is None,
        metavar="ROLE",
        help=f"{text}: {', '.join(ROLES)}." + (f" [default: {default}]" if default else ""),
    )


def limit_options(section: str) -> Sequence[Option]:
    """Limits of a task."""
    texts = (
        ("bandwidth", "RATE", "Most bytes per second, of all machines together, such as 50MB/s."),
        ("requests", "RATE", "Most requests per second, of all machines together."),
        ("concurrency", "COUNT", "Transfers under way at once on each machine."),
    )
    return [
        Option(
            [f"--{name}", f"limit_{name}"],
            section=section,
            metavar=metavar,
            help=f"{text} [default: no limit]",
        )
        for name, metavar, text in texts
    ]


def given_limits(params: Params) -> dict[str, str]:
    """As they were typed."""
    names = ("bandwidth", "requests", "concurrency")
    found = {name: params.get(f"limit_{name}") for name in names}
    return {name: value for name, value in found.items() if value is not None}
