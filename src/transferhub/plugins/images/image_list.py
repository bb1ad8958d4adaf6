"""Lists of images, as people write them.

Commas and lines part the entries; blanks round them, empty ones and a byte order mark count for
nothing, and `#` makes the rest of its line a comment. An entry with neither tag nor digest means
`latest`; the tag `ALL_TAGS` means every tag of its repository.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import groupby, islice
from pathlib import Path
from typing import Final, Self, TextIO

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.plugins.images.reference import LATEST, Reference, parse_reference

ALL_TAGS: Final = "ALL_TAGS"
MAX_FAULTS: Final = 100
"""Most faults of a list that are told; the others are counted."""

_BATCH = 1_000
_CACHE_KIB = 32 << 10
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRepository:
    """What a list names of one repository.

    Attributes:
        repository: with neither tag nor digest.
        all_tags: every tag that the repository has; those of `images` all have a digest then.
        images: by tag, then by digest, each once.
    """

    repository: Reference
    all_tags: bool
    images: tuple[Reference, ...]


class ImageList:
    """The images of a list, each once, by repository. Its memory does not grow with the list; it
    lies in a temporary file, which goes with `close`."""

    def __init__(self) -> None:
        # An empty name is SQLite's temporary database: in memory up to its cache, then on disk.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute(
            "CREATE TABLE images (host TEXT, repository TEXT, tag TEXT, digest TEXT, line INTEGER,"
            " PRIMARY KEY (host, repository, tag, digest)) WITHOUT ROWID"
        )

    @classmethod
    def read(
        cls, lines: Iterable[str], *, field: str, host: str = "", prefix: str = ""
    ) -> ImageList:
        """Reads a list to its end.

        Args:
            host, prefix: the source's, as `parse_reference` takes them.

        Raises:
            InputError: the list names nothing, or what is wrong in it: InputErrors with up to
                MAX_FAULTS entries that cannot be read, each with its line, and the count of others.
        """
        found = cls()
        faults = _Faults(field)
        try:
            found._fill(_references(lines, faults, host, prefix))
            found._contradictions(faults)
            faults.tell()
            if not found:
                raise InputError(
                    field, "names no image; write one such as nginx:1.27, or ask for all"
                )
        except BaseException:
            found.close()
            raise
        return found

    def repositories(self) -> Iterator[ListedRepository]:
        """In order of host and repository."""
        rows = self._rows.execute(
            "SELECT host, repository, tag, digest FROM images"
            " ORDER BY host, repository, tag, digest"
        )
        for (host, repository), named in groupby(rows, key=lambda row: row[:2]):
            images = [Reference(*row) for row in named]
            all_tags = any(not image.manifest for image in images)
            yield ListedRepository(
                repository=Reference(host, repository),
                all_tags=all_tags,
                images=tuple(i for i in images if (i.digest if all_tags else i.manifest)),
            )

    def __len__(self) -> int:
        """Entries, without what others say already."""
        return int(self._rows.execute("SELECT count(*) FROM images").fetchone()[0])

    def __bool__(self) -> bool:
        return self._rows.execute("SELECT 1 FROM images LIMIT 1").fetchone() is not None

    def close(self) -> None:
        self._rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, numbered: Iterator[tuple[int, Reference]]) -> None:
        self._rows.execute("BEGIN")
        while chunk := list(islice(numbered, _BATCH)):
            self._rows.executemany(
                "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)",
                [(i.host, i.repository, i.tag, i.digest, line) for line, i in chunk],
            )
        self._rows.execute("COMMIT")

    def _contradictions(self, faults: _Faults) -> None:
        """A destination's tag can be one image only."""
        rows = self._rows.execute(
            "SELECT b.host, b.repository, b.tag, b.digest, min(a.line), b.line"
            " FROM images a JOIN images b USING (host, repository, tag)"
            " WHERE tag != '' AND a.digest != b.digest AND a.line <= b.line"
            " GROUP BY b.host, b.repository, b.tag, b.digest ORDER BY b.line"
        )
        for host, repository, tag, digest, first, line in rows:
            image = str(Reference(host, repository, tag, digest))
            faults.add(
                line, f"{image!r} is another image than line {first} says for this tag; keep one"
            )


@contextmanager
def open_list(path: str, *, field: str) -> Iterator[TextIO]:
    """The lines of a file for `ImageList.read`, which tells what is not UTF-8 by its line.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as lines:
            yield lines
    except OSError as error:
        raise InputError(
            field, f"{path!r} cannot be read: {error.strerror or error}; name a text file of images"
        ) from None


def lines_of(text: str) -> TextIO:
    """The lines of a list that is there as text."""
    return StringIO(text, newline=None)


class _Faults:
    def __init__(self, field: str) -> None:
        self.field = field
        self._told: list[InputError] = []
        self._count = 0

    def add(self, line: int, sentence: str) -> None:
        self._count += 1
        if len(self._told) < MAX_FAULTS:
            self._told.append(InputError(self.field, f"line {line}: {sentence}"))

    def tell(self) -> None:
        """Raises what was added."""
        others = self._count - len(self._told)
        if others:
            entries = "entry" if others == 1 else "entries"
            self._told.append(InputError(self.field, f"and {others:,} more {entries} like these"))
        raise_faults(self._told)


def _references(
    lines: Iterable[str], faults: _Faults, host: str, prefix: str
) -> Iterator[tuple[int, Reference]]:
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        for entry in text.partition("#")[0].split(","):
            written = entry.strip()
            if not written:
                continue
            try:
                yield number, _reference(written, faults.field, host, prefix)
            except InputError as fault:
                faults.add(number, fault.message.removeprefix(f"{faults.field}: "))


def _reference(written: str, field: str, host: str, prefix: str) -> Reference:
    if not written.isascii():
        _refuse_bytes(written, field)
    image = parse_reference(written, field=field, host=host, prefix=prefix)
    if image.tag == ALL_TAGS:
        if image.digest:
            raise InputError(field, f"{written!r}: ALL_TAGS has no digest; leave one of them out")
        return image.within
    return image if image.manifest else image.tagged(LATEST)


def _refuse_bytes(written: str, field: str) -> None:
    try:
        written.encode()
    except UnicodeEncodeError:
        raise InputError(field, "is not UTF-8; write plain letters") from None
