"""The command line, `dth`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from transferhub.cli.host import OpenHost, open_local

__all__ = ["main"]


def main(
    args: Sequence[str] | None = None,
    *,
    open_host: OpenHost = open_local,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Runs one command and returns its exit code, as `dth --help` lists them."""
    import click

    from transferhub.cli.app import App
    from transferhub.cli.exits import ExitCode
    from transferhub.cli.faults import report_error, report_unexpected, report_usage
    from transferhub.cli.root import root
    from transferhub.cli.streams import tolerant
    from transferhub.errors import TransferHubError

    if "_DTH_COMPLETE" in os.environ:
        root.main(prog_name="dth")  # completes for the shell, and exits
    app = App(open_host=open_host, out=tolerant(out or sys.stdout), err=tolerant(err or sys.stderr))
    try:
        words = sys.argv[1:] if args is None else list(args)
        with root.make_context("dth", words, obj=app) as context:
            return int(root.invoke(context))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        app.err.line(error.format_message())
        return ExitCode.USAGE
    except click.ClickException as error:
        return report_usage(error, app.err)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except TransferHubError as error:
        return report_error(error, app.command, app.err)
    except Exception as error:  # noqa: BLE001 - the outer edge: a person gets a sentence
        if isinstance(error, BrokenPipeError) and app.command is None:
            app.out.abandon()  # nobody read the help to its end
            return ExitCode.OK
        return report_unexpected(error, app.err, debug=app.debug)
