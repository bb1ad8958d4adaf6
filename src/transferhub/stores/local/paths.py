"""Keys as paths under a root."""

# os.path, because pathlib tidies paths up and a key is exact:
# ruff: noqa: PTH106, PTH118, PTH120

from __future__ import annotations

import os
import stat

from transferhub.errors import NotFoundError, UnsupportedError

RESERVED = ".dth-tmp"
"""The folder under the root that holds what is being written; no object of the store."""

MAX_SEGMENT_BYTES = 255
"""NAME_MAX of every common file system."""

MAX_PATH_BYTES = 4_095
"""PATH_MAX of Linux, less the closing zero byte."""


def etag_of(status: os.stat_result) -> str:
    """Names the version of a file without reading it: size, time of change and inode.

    A change within one tick of the file system's clock (4 ms at most on Linux) that keeps the size
    is not seen.
    """
    return f"local-{status.st_size:x}_{status.st_mtime_ns:x}_{status.st_ino:x}"


class KeyPaths:
    """Finds the path of a key, and refuses a key that a path cannot express exactly."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.max_key_bytes = MAX_PATH_BYTES - len(os.fsencode(root)) - 1

    def path(self, key: str) -> str:
        """The path of `key`.

        Raises:
            UnsupportedError: code "bad_key".
        """
        fault = self._fault(key)
        if fault:
            raise bad_key(self.root, key, fault)
        return os.path.join(self.root, key)

    def _fault(self, key: str) -> str:
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            return "it is not valid Unicode"
        if size > self.max_key_bytes:
            return f"it is longer than {self.max_key_bytes} bytes"
        if "\0" in key:
            return "it holds a zero byte"
        segments = key.split("/")
        if segments[0] == RESERVED:
            return f"{RESERVED} is reserved"
        if not {"", ".", ".."}.isdisjoint(segments):
            return 'it has a segment that is empty, "." or ".."'
        if size > MAX_SEGMENT_BYTES and any(
            len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments
        ):
            return f"it has a segment longer than {MAX_SEGMENT_BYTES} bytes"
        return ""

    def file_status(self, key: str) -> os.stat_result | None:
        """The status of the object `key`: a plain file, in folders that are no links."""
        status = self._reach(key)
        return status if status is not None and stat.S_ISREG(status.st_mode) else None

    def refuse_unwritable(self, key: str) -> None:
        """Raises UnsupportedError "bad_key" where something stands at `key`, or in place of one of
        its folders, that is not ours to replace."""
        folder = self.root
        *folders, name = key.split("/")
        for segment in folders:
            folder = os.path.join(folder, segment)
            status = _lstat(folder)
            if status is None:
                return
            if not stat.S_ISDIR(status.st_mode):
                raise bad_key(self.root, key, f"{folder!r} is not a folder")
        path = os.path.join(folder, name)
        status = _lstat(path)
        if status is None or stat.S_ISREG(status.st_mode):
            return
        if stat.S_ISDIR(status.st_mode) and _remove_empty(path):
            return
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a link or a special file"
        raise bad_key(self.root, key, f"{kind} stands there")

    def _reach(self, key: str) -> os.stat_result | None:
        path = self.root
        status: os.stat_result | None = None
        for segment in key.split("/"):
            if status is not None and not stat.S_ISDIR(status.st_mode):
                return None
            path = os.path.join(path, segment)
            status = _lstat(path)
            if status is None:
                return None
        return status

    def prune(self, key: str) -> None:
        """Removes the folders of `key` that are empty, so that their names are free again."""
        folder = os.path.dirname(os.path.join(self.root, key))
        while len(folder) > len(self.root):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)


def bad_key(root: str, key: str, fault: str) -> UnsupportedError:
    return UnsupportedError(f"file://{root} cannot hold {key!r}: {fault}.", code="bad_key")


def missing_root(root: str) -> NotFoundError:
    return NotFoundError(
        f"the folder {root!r} is not there; make it, or mount its disk.", code="no_bucket"
    )


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove_empty(path: str) -> bool:
    """Removes a tree of empty folders, which holds no object; says whether it did."""
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True
