"""One process at a time for a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transferhub.engine.folders import writing
from transferhub.errors import RunError

HUB_LOCK = "hub.lock"
"""In the state folder, held by the hub whose SQLite file is there."""


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file now."""
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file; the kernel frees it when the process ends, however it ends.

    Raises:
        RunError: code "already_running", another process holds it.
        StateError: the file cannot be made.
    """
    with writing("the lock file", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunError(
                f"{what} is being worked on by process {file.read().strip() or 'unknown'}; wait for"
                " it, or stop it with Ctrl-C or kill and start again",
                code="already_running",
            ) from None
        with suppress(OSError):  # on a full disk the lock holds all the same
            file.truncate(0)
            os.write(file.fileno(), str(os.getpid()).encode("ascii"))
        yield
