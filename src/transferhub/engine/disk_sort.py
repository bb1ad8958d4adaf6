"""Listings that do not come in byte order, sorted on disk."""

from __future__ import annotations

import asyncio
import marshal
import struct
import tempfile
from bisect import bisect_right
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Self

from transferhub.engine.folders import writing
from transferhub.engine.listing import Window
from transferhub.model.objects import ObjectEntry, entries_of

_RUN_ENTRIES = 25_000
"""Entries sorted in memory at once (about 10 MB)."""

_BLOCK = 1_000

_FAN_IN = 32
"""Runs of one size that are merged into one of the next: a sort of a billion entries has less than
a hundred files open at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH = struct.Struct("<Q")

Entries = list[ObjectEntry]
_by_key = attrgetter("key")


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
        self._entries: Entries = []
        self._levels: list[list[Path]] = []
        self._names = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    async def fill(self, pages: AsyncIterable[Entries]) -> None:
        """Takes all entries.

        Raises:
            StateError: the folder cannot be written.
        """
        async for page in pages:
            self._entries += page
            if len(self._entries) >= _RUN_ENTRIES:
                await asyncio.to_thread(self._spill)
        await asyncio.to_thread(self._spill)

    def pages(self) -> Iterator[Entries]:
        """All entries in key order, each key once."""
        return _merged([run for level in reversed(self._levels) for run in level])

    def _spill(self) -> None:
        if not self._entries:
            return
        entries, self._entries = self._entries, []
        entries = _sorted(entries)
        blocks = (entries[at : at + _BLOCK] for at in range(0, len(entries), _BLOCK))
        self._add(0, self._write(blocks))

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

    def _write(self, blocks: Iterable[Entries]) -> Path:
        path = Path(self._folder.name) / str(next(self._names))
        with writing("the sorted listings in", path.parent), path.open("wb") as file:
            for block in blocks:
                data = _to_bytes(block)
                file.write(_LENGTH.pack(len(data)))
                file.write(data)
        return path


class SortedListing(Window):
    """A sorted set of entries as a listing of a key range; keys are relative to `base`."""

    def __init__(self, pages: Iterator[Entries], base: str, after: str, until: str | None) -> None:
        super().__init__(after, until)
        self._pages = pages
        self._base = base

    async def fill(self) -> None:
        start = len(self._base)
        while not self.keys and not self.ended:
            page = await asyncio.to_thread(next, self._pages, None)
            if page is None:
                self.finish()
            else:
                self.extend([entry.key[start:] for entry in page], page)


def _sorted(entries: Entries) -> Entries:
    """In key order; of one key, the last."""
    return sorted({entry.key: entry for entry in entries}.values(), key=_by_key)


def _merged(runs: Sequence[Path]) -> Iterator[Entries]:
    """The entries of sorted runs in order, in pages; of one key, that of the last run that has it.

    What lies at or before the nearest end of a block is taken from all runs at once and sorted,
    which costs little where stretches are in order.
    """
    left = [_Run(run) for run in runs]
    while left := [run for run in left if run.window]:
        horizon = min(run.window[-1].key for run in left)
        yield _sorted([entry for run in left for entry in run.take(horizon)])


class _Run:
    """A sorted run that is read again. `window` is what was read and not taken, [] at the end."""

    def __init__(self, path: Path) -> None:
        self._blocks = _read(path)
        self.window: Entries = next(self._blocks, [])

    def take(self, horizon: str) -> Entries:
        """Removes and returns what lies at or before `horizon`, which is no key beyond the
        window's last one."""
        cut = bisect_right(self.window, horizon, key=_by_key)
        taken, self.window = self.window[:cut], self.window[cut:]
        self.window = self.window or next(self._blocks, [])
        return taken


def _read(path: Path) -> Iterator[Entries]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH.size):
            yield _from_bytes(file.read(*_LENGTH.unpack(length)))


def _to_bytes(block: Entries) -> bytes:
    """Field by field; times are microseconds since 1970, which `marshal` can hold."""
    keys, sizes, etags, times, classes = zip(*block, strict=True)
    micros = {at: at and (at - _EPOCH) // timedelta(microseconds=1) for at in set(times)}
    return marshal.dumps((keys, sizes, etags, [micros[at] for at in times], classes))


def _from_bytes(data: bytes) -> Entries:
    keys, sizes, etags, micros, classes = marshal.loads(data)  # noqa: S302 - our own file
    times = {at: None if at is None else _EPOCH + timedelta(microseconds=at) for at in set(micros)}
    return entries_of(keys, sizes, etags, [times[at] for at in micros], classes)
