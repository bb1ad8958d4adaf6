"""What the exit code of `dth` says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import assert_never

from transferhub.errors import InputError, TransferHubError
from transferhub.model.run import RunState


class ExitCode(IntEnum):
    OK = 0
    FAILURES = 1
    USAGE = 2
    FAILED = 3
    INTERRUPTED = 130


MEANING: Mapping[ExitCode, str] = {
    ExitCode.OK: "All well.",
    ExitCode.FAILURES: "Completed, but something failed, or `dth verify` found differences.",
    ExitCode.USAGE: "Bad usage or input; nothing was changed.",
    ExitCode.FAILED: "The run failed: credentials, a missing bucket, a delete guard, a full disk.",
    ExitCode.INTERRUPTED: "Interrupted; the same command goes on where it stopped.",
}


def exit_of_status(status: RunState) -> ExitCode:
    match status:
        case RunState.SUCCEEDED:
            return ExitCode.OK
        case RunState.COMPLETED_WITH_FAILURES:
            return ExitCode.FAILURES
        case RunState.FAILED | RunState.QUEUED | RunState.RUNNING:
            return ExitCode.FAILED
        case RunState.CANCELLED:
            return ExitCode.INTERRUPTED
        case _:
            assert_never(status)


def exit_of_error(error: TransferHubError) -> ExitCode:
    return ExitCode.USAGE if isinstance(error, InputError) else ExitCode.FAILED
