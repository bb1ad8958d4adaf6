"""What the operating system says of a folder of our own, as errors of this package."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from transferhub.errors import StateError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def writing(what: str, place: Path) -> Iterator[None]:
    """Maps every OSError that leaves the block to a StateError.

    Args:
        what: is written, for the sentence: "cannot write the report ...".
    """
    try:
        yield
    except OSError as error:
        raise _state_error(what, place, error) from error


def emptied(folder: Path) -> Path:
    """Makes the folder, without what a killed process left in it.

    Raises:
        StateError: it cannot be made.
    """
    rmtree(folder, ignore_errors=True)
    with writing("the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _state_error(what: str, place: Path, error: OSError) -> StateError:
    if error.errno in _FULL:
        code, advice = "state_full", "free some space there"
    elif error.errno in _DENIED:
        code, advice = "state_readonly", "give the user that runs this the right to write there"
    else:
        code, advice = "state_io", "check the disk"
    return StateError(
        f"Cannot write {what} {place} ({error.strerror or error}): {advice}, or choose another"
        " place with --state.",
        code=code,
    )
