"""`dth`: the commands, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from transferhub import __version__
from transferhub.cli.exits import MEANING
from transferhub.cli.grouped import SETTINGS, refuse_unknown, write_verbatim

COMMANDS: Mapping[str, str] = {
    "transfer": "Copy what is new or changed from one location to another.",
    "images": "Replicate container images from one registry to another.",
    "verify": "Compare two locations and change nothing.",
    "runs": "List the latest runs.",
    "show": "Show one run: its state, its counts, what to do next.",
    "failures": "Show what failed in a run, and why.",
    "redrive": "Try the failed objects of a run again.",
    "resume": "Go on with a run that was interrupted.",
    "report": "Print where the report of a run is.",
    "task": "Create, change, start and stop the tasks of a hub.",
    "user": "List, create and change who may sign in to a hub.",
    "token": "List, make and revoke API tokens of a hub.",
    "credential": "List, store and delete the credentials that tasks name.",
    "channel": "List, make, test and delete where a hub sends notifications.",
    "logs": "Show what a run of a hub said.",
    "workers": "List the processes of a hub, and take them out of service.",
    "audit": "Show who changed what on a hub.",
    "up": "Start the hub: tasks, schedules, API, and their runs on this machine.",
    "worker": "Carry runs of a hub on this machine, too.",
    "database": "Show, upgrade, back up and restore the database.",
    "aws": "Create, show and delete a state on AWS, and print its IAM policies.",
    "doctor": "Check settings, versions, stores and clock.",
}
"""Name to what it does, as the overview says it; known without loading any command."""

EXAMPLES = """\
dth transfer s3://photos s3://backup/photos --dry-run
dth transfer s3://photos s3://backup/photos
dth failures last"""


class Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"transferhub.cli.commands.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        refuse_unknown(ctx, args[0], COMMANDS)
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.params.get("server") and not getattr(command, "on_hub", False):
            raise click.UsageError(f"dth {name} works on this machine; leave --server out.", ctx)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(str(code.value), meaning) for code, meaning in MEANING.items()]
        with formatter.section("Exit codes"):
            formatter.write_dl(rows)
        write_verbatim(formatter, "Examples", EXAMPLES)


def _print_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"dth {__version__}")
        ctx.exit()


_FAR = [
    click.Option(
        ["--server"],
        metavar="URL",
        help="Work on the hub there, and not on this machine's state. [env: DTH_SERVER]",
    ),
    click.Option(
        ["--token"],
        metavar="TOKEN",
        help="API token for --server: @FILE, - for standard input, or the token itself, which"
        " others on this machine can then see. [env: DTH_TOKEN]",
    ),
    click.Option(
        ["--token-file"],
        metavar="FILE",
        help="File that holds the API token. [env: DTH_TOKEN_FILE]",
    ),
    click.Option(
        ["--ca-bundle"],
        metavar="FILE",
        help="PEM certificates to trust for --server, besides the system's. [env: DTH_CA_BUNDLE]",
    ),
]

FAR_OPTIONS = tuple(str(option.name) for option in _FAR)
"""What names a hub elsewhere."""

root = Root(
    name="dth",
    help="Moves objects between object stores and folders, and images between registries, and"
    " proves that nothing was lost. Each command explains itself: dth COMMAND --help.",
    context_settings=dict(SETTINGS),
    params=[
        *_FAR,
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        ),
    ],
)
