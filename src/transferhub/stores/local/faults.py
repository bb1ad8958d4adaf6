"""What the operating system says, as errors of this package; the one place that maps them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    TransientError,
    UnsupportedError,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR})
_BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP})


def store_error(error: OSError, action: str, path: str) -> StoreError:
    """The error to raise for `error`, which struck while doing `action` to `path`.

    >>> store_error(OSError(errno.ENOSPC, "No space left on device"), "put", "/data/a").code
    'disk_full'
    """
    reason = error.strerror or str(error)
    sentence = f"{action} {path!r}: {reason}"
    if error.errno in _FULL:
        return TransientError(
            f"{sentence}; the disk is full. Free some space and run again.", code="disk_full"
        )
    if error.errno == errno.EFBIG:
        return UnsupportedError(f"{sentence}; the disk cannot hold an object of this size.")
    if error.errno in _DENIED:
        return DeniedError(
            f"{sentence}; give the user that runs this the right to it, or choose another folder."
        )
    if error.errno in MISSING:
        return NotFoundError(f"{sentence}.")
    if error.errno in _BAD_NAME:
        return UnsupportedError(f"{sentence}; the disk cannot hold this name.", code="bad_key")
    return TransientError(f"{sentence}.")


@contextmanager
def mapped(action: str, path: str) -> Iterator[None]:
    """Maps every OSError that leaves the block."""
    try:
        yield
    except OSError as error:
        raise store_error(error, action, path) from error
