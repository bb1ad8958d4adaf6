"""One process at a time for a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transferhub.errors import RunError


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file; the kernel frees it when the process ends, however it ends.

    Raises:
        RunError: code "already_running", another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunError(
                f"{what} is being worked on by process {file.read().strip() or 'unknown'}; wait for"
                " it, or stop it with Ctrl-C or kill and start again",
                code="already_running",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
