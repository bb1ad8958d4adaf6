"""The processes of a running command, as Linux tells of them."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.command import Running

_WITHIN_S = 30.0


def workers_of(running: Running) -> list[int]:
    """Pids of the command's worker processes; none once it has ended."""
    pid = running.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in children.split()]


def is_at_work(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], what: str, *, within_s: float = _WITHIN_S) -> None:
    """Returns when the condition holds.

    Raises:
        AssertionError: it does not in time; says `what` was waited for.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)
