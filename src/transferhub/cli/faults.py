"""Errors as sentences. The one place that says what `dth` prints when something is wrong."""

from __future__ import annotations

import re
import traceback

import click

from transferhub.cli.exits import ExitCode, exit_of_error
from transferhub.cli.streams import Stream
from transferhub.cli.text import visible
from transferhub.errors import InputError, TransferHubError
from transferhub.hosts.masking import masked

_FIELD = re.compile(
    r"(?<![\w-])[a-z]+(?:_[a-z0-9]+)+(?![\w-])"
    r"|(?<=\bneeds )[a-z]+\b|\b[a-z]+(?= is given too\b)"
)
_SIDE = re.compile(r"(?:source|destination)_")


_BEFORE = ("--server", "--token", "--token-file", "--ca-bundle")
_NEEDED = (
    "ariadne",
    "argon2",
    "cryptography",
    "graphql",
    "joserfc",
    "starlette",
    "uvicorn",
    "yaml",
)
"""What the extra `hub` installs."""


def report_error(error: TransferHubError, command: click.Command | None, err: Stream) -> ExitCode:
    """Prints the error, each of its faults on a line of its own."""
    faults = getattr(error, "faults", None) or [error]
    for fault in faults:
        err.line(f"dth: {shown(sentence_of(fault, command))}")
    return exit_of_error(error)


def report_usage(error: click.ClickException, err: Stream) -> ExitCode:
    context = error.ctx if isinstance(error, click.UsageError) else None
    err.line(f"dth: {_usage_sentence(error)}")
    if context is not None:
        err.line(f"Try `{context.command_path} --help`.")
    return ExitCode.USAGE


def report_unexpected(error: Exception, err: Stream, *, debug: bool) -> ExitCode:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _NEEDED:
        err.line('dth: This needs the parts of a hub: pip install "data-transfer-hub[hub]"')
        return ExitCode.FAILED
    if debug:
        err.write(masked("".join(traceback.format_exception(error))))
    told = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    advice = "" if debug else "; run it again with --debug to see where"
    err.line(
        f"dth: Something unexpected happened, which is a fault of dth ({masked(told)}){advice}."
    )
    return ExitCode.FAILED


def sentence_of(error: TransferHubError, command: click.Command | None) -> str:
    """The error's sentence, with the names that the user typed in place of field names."""
    if not isinstance(error, InputError) or command is None:
        return error.message
    sentence = error.message.removeprefix(f"{error.field}: ")
    side = _SIDE.match(error.field)
    within = side[0] if side else ""
    sentence = _FIELD.sub(lambda found: _typed_name(found[0], command, within), sentence)
    return f"{_typed_name(error.field, command)}: {sentence}"


def shown(sentence: str) -> str:
    """One line without secrets and without what would move the cursor."""
    return visible(masked(sentence))


def _typed_name(field: str, command: click.Command, within: str = "") -> str:
    """`max_size` as `--max-size`, `run` as `RUN`; what the command has not stays as it is.

    Args:
        within: `source_` or `destination_` where the side's own field may be meant.
    """
    for name in (f"{within}{field}", field):
        for param in command.params:
            if name == param.name or name in getattr(param, "also", ()):
                typed = isinstance(param, click.Option)
                return max(param.opts, key=len) if typed else name.upper()
    return field


def _usage_sentence(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.option_name in _BEFORE:
        return f"{error.option_name} stands before the command: dth {error.option_name} …"
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument):
        return f"{error.param.make_metavar(_context(error))} is missing."
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Option):
        return f"{max(error.param.opts, key=len)} is missing."
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        return f"{max(error.param.opts, key=len)}: {error.message}"
    return message


def _context(error: click.UsageError) -> click.Context:
    return error.ctx or click.Context(click.Command("dth"))
