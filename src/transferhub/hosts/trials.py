"""One trial of a place, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from transferhub.control.places import Outcome, Step, Trial
from transferhub.errors import TransferHubError

WAIT = timedelta(seconds=10)
"""Longest wait for each trial."""


async def tried(trial: Trial, work: Awaitable[str], *, permission: str) -> Step:
    """How the work went, which returns what was found; it is ended after WAIT."""
    outcome, code = Outcome.FAILED, ""
    try:
        async with asyncio.timeout(WAIT.total_seconds()):
            message = await work
            outcome = Outcome.OK
    except TimeoutError:
        code = "timeout"
        message = f"No answer came within {WAIT.seconds} seconds; check the endpoint."
    except TransferHubError as error:
        code, message = error.code, error.message
    return Step(trial=trial, outcome=outcome, permission=permission, code=code, message=message)


def skipped(trial: Trial, why: str, *, permission: str = "") -> Step:
    return Step(trial=trial, outcome=Outcome.SKIPPED, permission=permission, message=why)
