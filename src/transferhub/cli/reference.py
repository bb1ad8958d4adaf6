"""docs/cli.md, written from the commands themselves: `python -m transferhub.cli.reference`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from transferhub.cli.exits import MEANING
from transferhub.cli.grouped import SETTINGS, Command, Family
from transferhub.cli.root import COMMANDS, FAR_OPTIONS, root

PATH = Path("docs/cli.md")

_START = """\
# Command line

<!-- Written by `python -m transferhub.cli.reference`; a test holds it current. -->

`dth COMMAND --help` says the same in the terminal. Sizes are written as `500MB` (powers of 1,000)
or `16MiB` (powers of 1,024), rates as `50MB/s` or `500/s`, ages as `7d` or `1h30m`. Talk and errors
go to stderr, results to stdout.
"""

_FAR = """\
Before a command of a hub (`task`, `user`, `token`, `credential`, `channel`, `logs`, `workers`,
`audit`, and `runs`, `show`, `failures`) these name a hub elsewhere. Without them, and without the
variables, the command works on this machine's state.

    dth --server https://hub.example.com --token-file ~/.dth-token task list
"""


def reference() -> str:
    context = click.Context(root, info_name="dth")
    parts = [_START, "\n## Exit codes\n\n", *_exit_codes()]
    parts += ["\n## Hubs elsewhere\n\n", *_far(context)]
    for name in COMMANDS:
        command = root.get_command(context, name)
        inside = click.Context(command or root, context, name, **SETTINGS)
        if isinstance(command, Command):
            parts += ["\n", *_chapter(command, inside)]
        elif isinstance(command, Family):
            parts += ["\n", *_family(command, inside)]
    return "".join(parts)


def _far(context: click.Context) -> Iterator[str]:
    yield f"{_FAR}\n| | |\n|---|---|\n"
    for param in root.params:
        if param.name in FAR_OPTIONS and (record := param.get_help_record(context)):
            yield f"| `{_cell(record[0])}` | {_cell(record[1])} |\n"


def _family(family: Family, context: click.Context) -> Iterator[str]:
    yield f"## dth {family.name}\n\n{inspect.cleandoc(family.help or '')}\n"
    for name, member in family.commands.items():
        assert isinstance(member, Command)
        yield "\n"
        yield from _chapter(member, click.Context(member, context, name, **SETTINGS), level="###")


def _exit_codes() -> Iterator[str]:
    yield "| code | meaning |\n|---|---|\n"
    for code, meaning in MEANING.items():
        yield f"| {code.value} | {meaning} |\n"


def _chapter(command: Command, context: click.Context, *, level: str = "##") -> Iterator[str]:
    yield f"{level} {context.command_path}\n\n"
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"    {context.command_path} {pieces}\n\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    for heading, rows in _tables(command, context):
        yield f"\n**{heading}**\n\n| | |\n|---|---|\n"
        for names, text in rows:
            yield f"| `{_cell(names)}` | {_cell(text)} |\n"
    if command.examples:
        yield f"\n**Examples**\n\n{textwrap.indent(command.examples, '    ')}\n"


def _tables(
    command: Command, context: click.Context
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    if arguments:
        yield "Arguments", [argument.get_help_record(context) for argument in arguments]
    for section, options in command.sections(context):
        records = [option.get_help_record(context) for option in options]
        yield section, [record for record in records if record]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*=", "\\*=")


if __name__ == "__main__":
    PATH.write_text(reference())
