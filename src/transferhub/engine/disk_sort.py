"""Listings that do not come in byte order, sorted on disk."""

from __future__ import annotations

import asyncio
import heapq
import marshal
import tempfile
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self

from transferhub.engine.folders import writing
from transferhub.engine.listing import Window
from transferhub.model.objects import ObjectEntry

_RUN_ENTRIES = 50_000
"""Entries sorted in memory at once (about 20 MB)."""

_BLOCK = 500

_FAN_IN = 32
"""Runs of one size that are merged into one of the next: a sort of a billion entries has less than
a hundred files open at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = tuple[str, int, str, int | None, str]
"""An entry as it is written: times are microseconds since 1970, which `marshal` can hold."""


class DiskSort:
    """Sorts any number of entries by key in a temporary folder, with bounded memory.

    Entries are kept whole, so nothing needs to be asked again. Of entries with one key, the last
    wins.
    """

    def __init__(self, spool: Path) -> None:
        with writing("the sorted listings in", spool):
            self._folder = tempfile.TemporaryDirectory(
                dir=spool, prefix="sort-", ignore_cleanup_errors=True
            )
        self._rows: list[Row] = []
        self._levels: list[list[Path]] = []
        self._names = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    async def fill(self, pages: AsyncIterable[list[ObjectEntry]]) -> None:
        """Takes all entries.

        Raises:
            StateError: the folder cannot be written.
        """
        async for page in pages:
            self._rows.extend(_row(entry) for entry in page)
            if len(self._rows) >= _RUN_ENTRIES:
                await asyncio.to_thread(self._spill)
        await asyncio.to_thread(self._spill)

    def entries(self) -> Iterator[ObjectEntry]:
        """All entries in key order, each key once."""
        oldest_first = [run for level in reversed(self._levels) for run in level]
        return map(_entry, _merged(oldest_first))

    def _spill(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        rows.sort(key=itemgetter(0))
        self._add(0, self._write(rows))

    def _add(self, level: int, run: Path) -> None:
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        runs.append(run)
        if len(runs) == _FAN_IN:
            self._levels[level] = []
            self._add(level + 1, self._write(_merged(runs)))
            for merged in runs:
                merged.unlink()

    def _write(self, rows: Iterable[Row]) -> Path:
        path = Path(self._folder.name) / str(next(self._names))
        left = iter(rows)
        with writing("the sorted listings in", path.parent), path.open("wb") as file:
            while block := list(islice(left, _BLOCK)):
                marshal.dump(block, file)
        return path


class SortedListing(Window):
    """A sorted set of entries as a listing of a key range; keys are relative to `base`."""

    def __init__(
        self, entries: Iterator[ObjectEntry], base: str, after: str, until: str | None
    ) -> None:
        super().__init__(after, until)
        self._entries = entries
        self._base = base

    async def fill(self) -> None:
        while not self.keys and not self.ended:
            page = await asyncio.to_thread(lambda: list(islice(self._entries, 1_000)))
            start = len(self._base)
            self.extend([entry.key[start:] for entry in page], page)
            if not page:
                self.finish()

    async def aclose(self) -> None:
        """Nothing to free: the sort owns the disk."""


def _merged(runs: Sequence[Path]) -> Iterator[Row]:
    """The rows of sorted runs in order; of one key, that of the last run that has it."""
    previous: Row | None = None
    for row in heapq.merge(*map(_read, runs), key=itemgetter(0)):
        if previous is not None and previous[0] != row[0]:
            yield previous
        previous = row
    if previous is not None:
        yield previous


def _read(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        while block := _block(file):
            yield from block


def _block(file: BinaryIO) -> list[Row]:
    try:
        rows: list[Row] = marshal.load(file)  # noqa: S302 - our own temporary file
    except EOFError:
        return []
    return rows


def _row(entry: ObjectEntry) -> Row:
    at = entry.modified_at
    micros = None if at is None else (at - _EPOCH) // timedelta(microseconds=1)
    return entry.key, entry.size, entry.etag, micros, entry.storage_class


def _entry(row: Row) -> ObjectEntry:
    at = None if row[3] is None else _EPOCH + timedelta(microseconds=row[3])
    return ObjectEntry(row[0], row[1], row[2], at, row[4])
