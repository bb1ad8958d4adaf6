"""Reading a file as one version."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import AsyncIterator
from functools import partial
from hashlib import md5

from transferhub.errors import ChangedError, NotFoundError
from transferhub.model.objects import Attributes, ObjectInfo
from transferhub.stores.local.faults import mapped
from transferhub.stores.local.listing import modified_at
from transferhub.stores.local.paths import KeyPaths, etag_of
from transferhub.stores.local.threads import in_thread

STEP_BYTES = 1 << 20

# A pipe that takes the place of a file must not block us, nor a link lead us away.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def info_of(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=etag_of(status),
        modified_at=modified_at(status),
        attributes=Attributes(),
    )


class OpenFile:
    """An object's file, open from `open` to `close`."""

    def __init__(self, paths: KeyPaths, key: str) -> None:
        self._paths = paths
        self._key = key
        self._path = paths.path(key)
        self._descriptor = -1
        self._etag = ""

    def open(self) -> ObjectInfo:
        with mapped("open", self._path):
            if self._paths.file_status(self._key) is None:
                raise self._missing()
            self._descriptor = os.open(self._path, _FLAGS)
            status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise self._missing()
        self._etag = etag_of(status)
        return info_of(self._key, status)

    def read(self, offset: int, size: int, *, last: bool) -> bytes:
        """Exactly `size` bytes.

        Raises:
            ChangedError: the file ended before; or, at the `last` read, it is not what was opened.
        """
        pieces = []
        with mapped("read", self._path):
            while size:
                piece = os.pread(self._descriptor, size, offset)
                if not piece:
                    raise self._changed()
                pieces.append(piece)
                offset, size = offset + len(piece), size - len(piece)
            if last and etag_of(os.fstat(self._descriptor)) != self._etag:
                raise self._changed()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _missing(self) -> NotFoundError:
        return NotFoundError(f"open {self._path!r}: there is no such object.")

    def _changed(self) -> ChangedError:
        return ChangedError(f"read {self._path!r}: the file was changed while it was read.")


class LocalReader:
    """Reads a range of an open file."""

    def __init__(self, file: OpenFile, info: ObjectInfo, offset: int, length: int) -> None:
        self._file = file
        self._offset = offset
        self.info = info
        self.length = length

    async def read(self) -> bytes:
        if self.length <= STEP_BYTES:
            return await in_thread(lambda: self._file.read(self._offset, self.length, last=True))
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        end = self._offset + self.length
        for start in range(self._offset, end, STEP_BYTES):
            yield await in_thread(partial(self._step, start, end))

    def _step(self, start: int, end: int) -> bytes:
        stop = min(start + STEP_BYTES, end)
        return self._file.read(start, stop - start, last=stop == end)


async def md5_of(file: OpenFile, info: ObjectInfo) -> str:
    """The MD5 of all bytes, in base64."""
    digest = md5(usedforsecurity=False)
    async for chunk in LocalReader(file, info, 0, info.size).chunks():
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()
