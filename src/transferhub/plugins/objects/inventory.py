"""An S3 Inventory as the listing of its bucket.

Source: Amazon S3 User Guide, "Locating your inventory list" and "Amazon S3 Inventory list".
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from urllib.parse import unquote_plus

from transferhub.errors import CorruptError, InputError, NotFoundError
from transferhub.model.objects import ObjectEntry
from transferhub.stores.base import ObjectStore

PAGE_ENTRIES = 1_000

_FIELD = "inventory"
_PIECE = 1 << 20
"""Most bytes that are unpacked at once."""
_GZIP = 31  # zlib's window bits for a gzip stream


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryFile:
    """One data file. `md5` is of the packed bytes, in hexadecimal; "" where it is not told."""

    key: str
    size: int
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a manifest.json says.

    Attributes:
        columns: names of the data files' columns, lower case.
        files: their keys are whole, in the inventory's own bucket.
        created_at: None where it is not told.
    """

    bucket: str
    columns: tuple[str, ...]
    files: tuple[InventoryFile, ...]
    created_at: datetime | None = None


async def read_inventory(store: ObjectStore, key: str, *, bucket: str) -> Inventory:
    """Reads a manifest.json.

    Args:
        bucket: whose inventory it must be.

    Raises:
        InputError: it is none, or none that can be read.
    """
    try:
        async with store.get(key) as reader:
            body = await reader.read()
    except NotFoundError as error:
        raise InputError(_FIELD, error.message) from error
    inventory = parse_inventory(body)
    if inventory.bucket != bucket:
        raise InputError(
            _FIELD, f"it is of the bucket {inventory.bucket!r}, the source is {bucket!r}"
        )
    return inventory


def parse_inventory(body: bytes) -> Inventory:
    try:
        manifest = json.loads(body)
        kind = str(manifest["fileFormat"])
        columns = tuple(name.strip().lower() for name in manifest["fileSchema"].split(","))
        inventory = Inventory(
            bucket=str(manifest["sourceBucket"]),
            columns=columns,
            files=tuple(_file(values) for values in manifest["files"]),
            created_at=_created_at(manifest),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(_FIELD, "it is not the manifest.json of an S3 Inventory") from None
    if kind.upper() != "CSV":
        raise InputError(
            _FIELD,
            f"its files are {kind}; choose CSV as the output format in the bucket's inventory"
            " configuration, or let the bucket be listed",
        )
    missing = {"key", "size"}.difference(columns)
    if missing:
        raise InputError(
            _FIELD, f"it lacks {', '.join(sorted(missing))}; add it to the inventory configuration"
        )
    return inventory


def _file(values: Mapping[str, Any]) -> InventoryFile:
    return InventoryFile(
        key=str(values["key"]),
        size=int(values.get("size", 0)),
        md5=str(values.get("MD5checksum", "")).lower(),
    )


def _created_at(manifest: Mapping[str, Any]) -> datetime | None:
    stamp = manifest.get("creationTimestamp")
    if stamp is None:
        return None
    return datetime.fromtimestamp(int(stamp) / 1_000, UTC)


async def inventory_entries(
    store: ObjectStore, inventory: Inventory, *, base: str = ""
) -> AsyncIterator[list[ObjectEntry]]:
    """The bucket's objects whose keys start with `base`, in no order, in lists of about
    PAGE_ENTRIES.

    Delete markers and versions that are not the latest are left out. Files are read one after
    another and never held whole.

    Raises:
        CorruptError: a file is not what the manifest says; raised at the file's end, after its
        entries.
    """
    rows = _Rows(inventory, base)
    for file in inventory.files:
        page: list[ObjectEntry] = []
        async for lines in _lines(store, await _locate(store, file.key), file.md5):
            page.extend(rows.entries(lines, file.key))
            if len(page) >= PAGE_ENTRIES:
                yield page
                page = []
        if page:
            yield page


async def _locate(store: ObjectStore, key: str) -> str:
    """The data file's key in `store`; beside the manifest where someone has downloaded both."""
    name = key.rpartition("/")[2]
    for candidate in (key, f"data/{name}", name):
        try:
            await store.head(candidate)
        except NotFoundError:
            continue
        return candidate
    raise InputError(_FIELD, f"its data file {key!r} is not at {store.location}")


async def _lines(store: ObjectStore, key: str, expected: str) -> AsyncIterator[list[str]]:
    """The lines of a gzip file, in lists of those that a piece of it completed."""
    digest = md5(usedforsecurity=False)
    unpack = _Gunzip(f"{key!r} at {store.location}")
    rest = b""
    async with store.get(key) as reader:
        async for chunk in reader.chunks():
            digest.update(chunk)
            for piece in unpack.pieces(chunk):
                *lines, rest = (rest + piece).split(b"\n")
                if lines:
                    yield _decode(lines, key)
    unpack.finish()
    if expected and digest.hexdigest() != expected:
        raise CorruptError(f"{key!r} at {store.location} does not have the MD5 of the manifest")
    if rest:
        yield _decode([rest], key)


def _decode(lines: list[bytes], key: str) -> list[str]:
    try:
        return b"\n".join(lines).decode().split("\n")
    except UnicodeDecodeError:
        raise CorruptError(f"the inventory's data file {key!r} is not UTF-8") from None


class _Gunzip:
    """Unpacks a gzip stream, which may have several members, in pieces of bounded size."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = zlib.decompressobj(_GZIP)
        self._started = False

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            self._started = True
            try:
                yield self._stream.decompress(packed, _PIECE)
            except zlib.error as error:
                raise CorruptError(f"{self._name} is not gzip: {error}") from None
            packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        if self._started and not self._stream.eof:
            raise CorruptError(f"{self._name} ends in the middle of its gzip stream")


class _Rows:
    """Turns lines of CSV into entries."""

    def __init__(self, inventory: Inventory, base: str) -> None:
        places = {name: index for index, name in enumerate(inventory.columns)}
        self._bucket = inventory.bucket
        self._base = base
        self._width = len(inventory.columns)
        self._key = places["key"]
        self._size = places["size"]
        self._bucket_at = places.get("bucket")
        self._latest = places.get("islatest")
        self._deleted = places.get("isdeletemarker")
        self._modified = places.get("lastmodifieddate")
        self._etag = places.get("etag")
        self._class = places.get("storageclass")

    def entries(self, lines: list[str], name: str) -> Iterator[ObjectEntry]:
        try:
            for row in csv.reader(lines, strict=True):
                if not row:
                    continue
                entry = self._entry(row)
                if entry is not None:
                    yield entry
        except (csv.Error, ValueError) as error:
            raise CorruptError(
                f"the inventory's data file {name!r} is not what its manifest says: {error}"
            ) from None

    def _entry(self, row: list[str]) -> ObjectEntry | None:
        if len(row) < self._width:
            raise ValueError(f"a row has {len(row)} columns instead of {self._width}")
        if self._bucket_at is not None and row[self._bucket_at] != self._bucket:
            raise ValueError(f"a row is of the bucket {row[self._bucket_at]!r}")
        if _cell(row, self._latest) == "false" or _cell(row, self._deleted) == "true":
            return None
        # S3 encodes as forms do: a space is "+", and a plus "%2B".
        key = unquote_plus(row[self._key], errors="strict")
        if not key.startswith(self._base):
            return None
        modified = _cell(row, self._modified)
        return ObjectEntry(
            key,
            int(row[self._size]),
            _cell(row, self._etag).strip('"'),
            datetime.fromisoformat(modified) if modified else None,
            _cell(row, self._class),
        )


def _cell(row: list[str], index: int | None) -> str:
    return "" if index is None else row[index]
