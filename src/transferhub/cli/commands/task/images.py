"""`dth task create-images`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import images_options, options
from transferhub.cli.commands.task.making import (
    create_from,
    schedule_options,
    stored_option,
    task_options,
)
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.hub_options import hub_options
from transferhub.cli.job import Faults, Params

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from collections.abc import Mapping

_SIDES = ("source", "destination")


@click.pass_context
def create_images(context: click.Context, /, **params: Any) -> ExitCode:
    return create_from(context, params, "images", _spec_values)


def _spec_values(params: Params, faults: Faults) -> Mapping[str, Any]:
    """The fields of an ImagesSpec that the user gave."""
    from transferhub.cli.images_job import read_images_spec

    spec = read_images_spec(params, faults)
    values = dict(spec.to_json()) if spec else {}
    for side in _SIDES:
        stored = params.get(f"{side}_credential")
        if stored and side in values:
            values[side] = {**values[side], "credential": stored}
    return values


def _speed_options() -> list[Option]:
    """Those that are parameters of the task; the others are its limits."""
    return [
        option
        for option in images_options.image_speed_options()
        if option.name in ("concurrency", "attempts")
    ]


def _no_schedule_option() -> Option:
    return Option(
        ["--no-schedule"],
        section="Schedule",
        is_flag=True,
        help="Only when a person or an event starts it.",
    )


COMMANDS = [
    Command(
        "create-images",
        callback=create_images,
        short_help="Create a task that replicates container images.",
        help="""Create a task with the options of `dth images`.

        It runs every 24 hours, counted from now, unless another schedule or --no-schedule is given.
        Files that it names are those of the machines that carry its runs. What skopeo carries keeps
        to --concurrency, and neither to --bandwidth nor to --requests.
        """,
        examples="""
            dth task create-images ghcr.io/team ecr://eu-west-1 --all --name Team
            dth task create-images public ecr://cn-north-1/mirror --images images.txt --name Base \\
              --destination-credential china --cron "30 2 * * *"
        """,
        on_hub=True,
        params=options.chain(
            images_options.registry_arguments(),
            task_options(limits=("bandwidth", "requests")),
            schedule_options(),
            [_no_schedule_option()],
            [stored_option("source"), *images_options.registry_options("source")],
            [stored_option("destination"), *images_options.registry_options("destination")],
            images_options.image_options(),
            images_options.repository_options(),
            images_options.pruning_options(),
            _speed_options(),
            hub_options("the task"),
        ),
    ),
]
