"""Commands whose help is in sections and ends with examples."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import click

SETTINGS: Mapping[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}

OTHER = "Options"

SECTIONS = (
    "Source",
    "Destination",
    "Scope",
    "Compare",
    "Writing",
    "Deleting",
    "Speed",
    "Task",
    "Schedule",
    "Output",
    OTHER,
)
"""In the order in which help shows them."""


class Option(click.Option):
    """An option that belongs to a section of the help."""

    def __init__(
        self, *args: Any, section: str = OTHER, also: Sequence[str] = (), **attrs: Any
    ) -> None:
        """Args:
        also: other fields than its own that it may fill, and whose faults are its own.
        """
        super().__init__(*args, **attrs)
        self.section = section
        self.also = also


class Choice(click.Choice[str]):
    """A choice that suggests the nearest value for a typing error."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        allowed = [str(choice) for choice in self.choices]
        near = get_close_matches(str(value), allowed, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose {_either(allowed)}"
        return f"{value!r} is not one of its values; {hint}"


class Count(click.ParamType[int]):
    """A whole number from 1 on."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).replace("_", "").replace(",", "")
        if not text.isdecimal() or not int(text):
            self.fail(f"{value!r} is not a whole number from 1 on", param, ctx)
        return int(text)


class Command(click.Command):
    """A command with sections of options and, after them, examples."""

    def __init__(self, *args: Any, examples: str = "", on_hub: bool = False, **attrs: Any) -> None:
        """Args:
        on_hub: it also works on a hub elsewhere, which `--server` names.
        """
        attrs.setdefault("context_settings", dict(SETTINGS))
        super().__init__(*args, **attrs)
        self.examples = inspect.cleandoc(examples)
        self.on_hub = on_hub

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        ctx.obj.begin(self, ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, options in self.sections(ctx):
            rows = [record for option in options if (record := option.get_help_record(ctx))]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows, col_max=38)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_verbatim(formatter, "Examples", self.examples)

    def sections(self, ctx: click.Context) -> Iterator[tuple[str, Sequence[click.Option]]]:
        """The sections that have options, in order."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for section in SECTIONS:
            members = [option for option in options if section_of(option) == section]
            if members:
                yield section, members


class Family(click.Group):
    """A command that has commands."""

    def __init__(
        self, name: str, members: Sequence[Command], *, on_hub: bool = True, **attrs: Any
    ) -> None:
        """Args:
        on_hub: they also work on a hub elsewhere, which `--server` names.
        """
        self.on_hub = on_hub
        attrs.setdefault("context_settings", dict(SETTINGS))
        named: dict[str, click.Command] = {str(member.name): member for member in members}
        super().__init__(name, named, subcommand_metavar="COMMAND [ARGS]...", **attrs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        refuse_unknown(ctx, args[0], self.commands)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, member.short_help or "") for name, member in self.commands.items()]
            )


def refuse_unknown(ctx: click.Context, name: str, known: Collection[str]) -> None:
    """Raises NoSuchCommand, with the nearest one that there is."""
    if name not in known and not name.startswith("-"):
        raise click.NoSuchCommand(name, possibilities=known, ctx=ctx)


def section_of(option: click.Option) -> str:
    return option.section if isinstance(option, Option) else OTHER


def write_verbatim(formatter: click.HelpFormatter, heading: str, text: str) -> None:
    """Writes a section whose lines stay as they are."""
    if text:
        with formatter.section(heading):
            for line in text.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}".rstrip() + "\n")


def _either(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if len(names) > 1 else names[0]
