"""The files under a folder, in the byte order of their keys."""

# os.path, because pathlib tidies paths up and a key is exact:
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import os
import stat
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from transferhub.errors import NotFoundError
from transferhub.model.objects import ObjectEntry
from transferhub.stores.local.faults import mapped
from transferhub.stores.local.paths import RESERVED, etag_of, missing_root

SKIPPED_KEPT = 1_000

_EPOCH = datetime.fromtimestamp(0, UTC)


class Skipped:
    r"""What listings left out, by path: the first SKIPPED_KEPT of each kind, each once.

    Attributes:
        links: symbolic links. They are never followed: one may lead out of the root or in a circle.
        specials: sockets, pipes and devices.
        unreadable: names that are not UTF-8, which no key can express; with `\xNN` for odd bytes.
    """

    def __init__(self) -> None:
        self.links: set[str] = set()
        self.specials: set[str] = set()
        self.unreadable: set[str] = set()

    def note(self, kind: set[str], path: str) -> None:
        if len(kind) < SKIPPED_KEPT:
            kind.add(os.fsencode(path).decode(errors="backslashreplace"))


class Walk:
    """One pass over the objects whose keys start with `prefix` and come after `after`.

    It holds the names of one folder for each level that it stands in, and nothing else of the tree.
    A folder sorts as its name with "/", which is how the keys in it sort among its neighbours.
    """

    def __init__(self, root: str, prefix: str, after: str, skipped: Skipped) -> None:
        self._root = root
        self._prefix = prefix
        self._after = after
        self._skipped = skipped

    def __iter__(self) -> Iterator[ObjectEntry]:
        root = self._identity()
        top, _, rest = self._prefix.rpartition("/")
        if self._is_folder(top):
            for key in self._keys(f"{top}/" if top else "", rest):
                entry = self._entry(key)
                if entry is not None:
                    yield entry
        if self._identity() != root:
            # Unmounted meanwhile: what seemed to vanish is still there, and nobody must delete its
            # copies.
            raise missing_root(self._root)

    def _identity(self) -> tuple[int, int]:
        try:
            with mapped("list", self._root):
                status = os.stat(self._root)
        except NotFoundError:
            raise missing_root(self._root) from None
        return status.st_dev, status.st_ino

    def _keys(self, top: str, rest: str) -> Iterator[str]:
        levels = [self._below(top, rest)]
        while levels:
            key = next(levels[-1], None)
            if key is None:
                levels.pop()
            elif key.endswith("/"):
                levels.append(self._below(key, ""))
            else:
                yield key

    def _is_folder(self, key: str) -> bool:
        """True where `key` is "" or a folder that is reached without following links."""
        path = self._root
        segments = key.split("/") if key else []
        if segments[:1] == [RESERVED]:
            return False
        for segment in segments:
            if segment in ("", ".", "..") or "\0" in segment:
                return False
            path = os.path.join(path, segment)
            try:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    return False
            except OSError:
                return False
        return True

    def _below(self, folder: str, rest: str) -> Iterator[str]:
        """The keys right under `folder` that start with `rest`; those of folders end in "/"."""
        names = self._names(folder)
        start = bisect_left(names, rest)
        if self._after.startswith(folder):
            start = max(start, _seek(names, self._after[len(folder) :]))
        elif self._after > folder:
            return
        for index in range(start, len(names)):
            if not names[index].startswith(rest):
                return
            yield folder + names[index]

    def _names(self, folder: str) -> list[str]:
        path = os.path.join(self._root, folder)
        try:
            with mapped("list", path), os.scandir(path) as found:
                names = [name for one in found if (name := self._name(one))]
        except NotFoundError:
            if not folder:
                raise missing_root(self._root) from None
            return []  # it went away since its parent was read
        if not folder and f"{RESERVED}/" in names:
            names.remove(f"{RESERVED}/")
        names.sort()
        return names

    def _name(self, one: os.DirEntry[str]) -> str:
        """The name of an entry, with "/" for a folder; "" where it is none of ours."""
        if not one.name.isascii() and not _is_utf8(one.name):
            self._skipped.note(self._skipped.unreadable, one.path)
            return ""
        if one.is_dir(follow_symlinks=False):
            return f"{one.name}/"
        if one.is_file(follow_symlinks=False):
            return one.name
        kind = self._skipped.links if one.is_symlink() else self._skipped.specials
        self._skipped.note(kind, one.path)
        return ""

    def _entry(self, key: str) -> ObjectEntry | None:
        path = os.path.join(self._root, key)
        try:
            with mapped("list", path):
                status = os.lstat(path)
        except NotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return ObjectEntry(key, status.st_size, etag_of(status), modified_at(status))


def modified_at(status: os.stat_result) -> datetime:
    # Not from the float, which rounds up into the future.
    return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1_000)


def _seek(names: list[str], after: str) -> int:
    """Index of the first name that is after `after`, or is a folder in which `after` lies."""
    index = bisect_right(names, after)
    if index and names[index - 1].endswith("/") and after.startswith(names[index - 1]):
        index -= 1
    return index


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
