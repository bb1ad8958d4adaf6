"""`dth`: the commands, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from transferhub import __version__
from transferhub.cli.exits import MEANING
from transferhub.cli.grouped import SETTINGS, write_verbatim

COMMANDS: Mapping[str, str] = {
    "transfer": "Copy what is new or changed from one location to another.",
    "verify": "Compare two locations and change nothing.",
    "runs": "List the latest runs.",
    "show": "Show one run: its state, its counts, what to do next.",
    "failures": "Show what failed in a run, and why.",
    "redrive": "Try the failed objects of a run again.",
    "resume": "Go on with a run that was interrupted.",
    "report": "Print where the report of a run is.",
    "up": "Start the hub: tasks, schedules, API, and their runs on this machine.",
    "worker": "Carry runs of a hub on this machine, too.",
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
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

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


root = Root(
    name="dth",
    help="Moves objects between object stores and folders, and proves that nothing was lost."
    " Each command explains itself: dth COMMAND --help.",
    context_settings=dict(SETTINGS),
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)
