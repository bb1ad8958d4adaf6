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
def writing(what: str, place: Path, *, comfort: str = "") -> Iterator[None]:
    """Maps every OSError that leaves the block to a StateError.

    Args:
        what: is written, for the sentence: "Cannot write the report ...".
        comfort: a last sentence, of what is not lost.
    """
    try:
        yield
    except OSError as error:
        raise _state_error(what, place, error, comfort) from error


@contextmanager
def replacing(what: str, path: Path, *, comfort: str = "") -> Iterator[Path]:
    """Gives a file to write, which takes the place of `path` when the block ends, and is gone where
    it raises."""
    partial = path.with_name(f"{path.name}.part")
    with writing(what, path, comfort=comfort):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def emptied(folder: Path) -> Path:
    """Makes the folder, without what a killed process left in it.

    Raises:
        StateError: it cannot be made.
    """
    rmtree(folder, ignore_errors=True)
    with writing("the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _state_error(what: str, place: Path, error: OSError, comfort: str) -> StateError:
    if error.errno in _FULL:
        code, advice = "state_full", "free some space there"
    elif error.errno in _DENIED:
        code, advice = "state_readonly", "give the user that runs this the right to write there"
    else:
        code, advice = "state_io", "check the disk"
    return StateError(
        f"Cannot write {what} {place} ({error.strerror or error}): {advice}, or choose another"
        f" place with --state. {comfort}".rstrip(),
        code=code,
    )
