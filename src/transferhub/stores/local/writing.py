"""Writing files whole or not at all."""

# os.path, because pathlib tidies paths up and a key is exact:
# ruff: noqa: PTH102, PTH103, PTH104, PTH106, PTH108, PTH112, PTH118, PTH120

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from transferhub.errors import NotFoundError, TransientError
from transferhub.model.clock import Clock
from transferhub.stores.local.faults import MISSING, mapped
from transferhub.stores.local.paths import RESERVED, KeyPaths, etag_of, missing_root

STALE_AFTER = timedelta(days=1)
"""A temporary file that nobody wrote to for so long was left by a process that was killed, also
where the file system has no locks to tell so at once."""

_UNLOCKED = "~"
"""Ends the name of a file whose writer has not locked it yet."""

_TRIES = 10

# What file systems and kernels answer that cannot copy within the kernel.
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


class Scratch:
    """The reserved folder under the root, on the same file system as the objects.

    Any number of processes use it at once, and each removes it when it finds it empty; so whoever
    needs a folder of it makes it, as often as it takes.
    """

    def __init__(self, paths: KeyPaths, *, fsync: bool, clock: Clock) -> None:
        self._paths = paths
        self._clock = clock
        self._swept = False
        self.fsync = fsync

    def folder(self, name: str) -> str:
        return os.path.join(self._paths.root, RESERVED, name)

    def within(self, name: str, make: Callable[[str], None]) -> str:
        """Calls `make` with a fresh path in the folder `name`, and returns that path."""
        folder = self.folder(name)
        for _ in range(_TRIES):
            path = os.path.join(folder, secrets.token_hex(16))
            try:
                self._make_folder(folder)
                make(path)
            except FileNotFoundError:
                self._refuse_missing_root()
                continue
            return path
        raise TransientError(f"{folder!r} is removed again and again by another process.")

    def _make_folder(self, folder: str) -> None:
        # Not makedirs: it would make a root that is missing because its disk is not mounted.
        for path in (os.path.dirname(folder), folder):
            try:
                os.mkdir(path)
            except FileExistsError:
                continue

    def _refuse_missing_root(self) -> None:
        if not os.path.isdir(self._paths.root):
            raise missing_root(self._paths.root)

    def sweep(self) -> None:
        """Removes, once, what killed processes left half written."""
        if self._swept:
            return
        self._swept = True
        oldest = (self._clock() - STALE_AFTER).timestamp()
        try:
            with os.scandir(self.folder("new")) as found:
                stale = [one for one in found if _is_left(one) or _written_at(one) < oldest]
        except OSError:
            return
        for one in stale:
            discard(one.path)

    def retire(self, path: str) -> bool:
        """Takes a folder away at once, then removes it; false where it was gone already."""
        try:
            with mapped("remove", path):
                doomed = self.within("new", lambda fresh: _rename_folder(path, fresh))
        except NotFoundError:
            return False
        discard(doomed)
        return True

    def leave(self) -> None:
        """Removes the folders that are empty."""
        for name in ("new", "uploads", ""):
            try:
                os.rmdir(self.folder(name))
            except OSError:
                continue


class NewFile:
    """A file that is being written; `move_to` and `publish` make it visible. `close`, or the end of
    the scope, removes what was not moved."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._descriptor = -1
        self._path = ""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        self._scratch.sweep()
        with mapped("write", self._scratch.folder("new")):
            self._path = self._scratch.within("new", self._make)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._path:
            discard(self._path)
            self._path = ""

    def _make(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        unlocked = f"{path}{_UNLOCKED}"
        self._descriptor = os.open(unlocked, flags, 0o666)
        # The kernel frees the lock when this process ends, however it ends.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unlocked, path)

    def write(self, body: bytes) -> None:
        view = memoryview(body)
        with mapped("write", self._path):
            while view:
                view = view[os.write(self._descriptor, view) :]

    def append(self, source: int, size: int) -> int:
        """Copies up to `size` more bytes of an open file, in the kernel where it can.

        Returns:
            How many it copied; 0 at the end of the file.
        """
        with mapped("write", self._path):
            try:
                return os.copy_file_range(source, self._descriptor, size)
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
            piece = os.read(source, min(size, 1 << 20))
        self.write(piece)
        return len(piece)

    def move_to(self, path: str) -> str:
        """Puts the file in its place, in a folder that is there, and returns its etag.

        Raises:
            OSError: as rename does; the file can still be moved elsewhere.
        """
        if self._scratch.fsync:
            os.fsync(self._descriptor)
        etag = etag_of(os.fstat(self._descriptor))
        os.rename(self._path, path)
        self._path = ""
        if self._scratch.fsync:
            _fsync_folder(os.path.dirname(path))
        return etag

    def publish(self, paths: KeyPaths, key: str) -> str:
        """Makes the file the object `key`, with the folders that it needs, and returns its etag."""
        path = paths.path(key)
        with mapped("write", path):
            for _ in range(_TRIES):
                paths.refuse_unwritable(key)
                try:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    return self.move_to(path)
                except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError):
                    # Another writer made or pruned a folder of this key meanwhile.
                    continue
        raise TransientError(f"write {path!r}: its folder is changed again and again meanwhile.")


def _rename_folder(path: str, target: str) -> None:
    # Scratch.within takes a FileNotFoundError for its own folder's.
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    os.rename(path, target)


def discard(path: str) -> None:
    """Removes a file or a tree of our own, as far as that can be done."""
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        os.unlink(path)
    except OSError:
        return


def _is_left(one: os.DirEntry[str]) -> bool:
    """Whether its writer is known to be gone."""
    if one.name.endswith(_UNLOCKED):
        return False
    try:
        descriptor = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _written_at(one: os.DirEntry[str]) -> float:
    try:
        return one.stat(follow_symlinks=False).st_mtime
    except OSError as error:
        if error.errno in MISSING:
            return float("inf")
        raise


def _fsync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
