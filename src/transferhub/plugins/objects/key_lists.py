"""Text files that name prefixes or keys.

Prefixes and keys stand in them whole, as the store knows them; each must lie in the source
location. A file that names nothing is an error: it never means everything.
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar
from urllib.parse import unquote_plus

from transferhub.engine.ranges import merge_prefixes
from transferhub.engine.seen_keys import SeenKeys
from transferhub.errors import InputError
from transferhub.plugins.objects.location import SCHEMES, Location
from transferhub.plugins.objects.parameters import Parameters

PAGE_KEYS = 1_000

Spec = TypeVar("Spec", bound=Parameters)

_URL = re.compile(f"(?:{'|'.join(SCHEMES)})://")

NumberedKey = tuple[int, str]
"""A line number, from 1, and the key that stands there."""


def with_digests(spec: Spec) -> Spec:
    """The spec with the SHA-256 of the lists that it names, so that their content is part of its
    fingerprint. Raises InputError where one cannot be read."""
    update = {
        f"{field}_sha256": _sha256(getattr(spec, field), field)
        for field in ("prefix_list", "manifest")
        if getattr(spec, field)
    }
    return spec.model_copy(update=update)


def refuse_bad_lists(spec: Parameters) -> None:
    """Reads the lists of a spec to their ends, so that a run finds nothing wrong with them later.

    Raises:
        InputError: one cannot be read, names nothing, or is not what it was when the spec was made.
    """
    if spec.prefix_list:
        read_prefixes(spec.prefix_list, source=spec.source)
    if spec.manifest:
        _read_whole_manifest(spec.manifest, spec.source)
    now = with_digests(spec)
    for field in ("prefix_list", "manifest"):
        before = getattr(spec, f"{field}_sha256")
        if before and before != getattr(now, f"{field}_sha256"):
            raise InputError(
                field,
                f"{getattr(spec, field)!r} has changed since the run began; start the transfer"
                " again instead of going on with that run",
            )


def _read_whole_manifest(path: str, source: Location) -> None:
    with _manifest_keys(path, source, "manifest") as keys:
        if not sum(1 for _ in keys):
            raise _no_key(path, "manifest")


def read_prefixes(path: str | Path, *, source: Location, field: str = "prefix_list") -> list[str]:
    """The prefixes of a file, a line each, relative to `source`, ascending; none starts with
    another.

    Blank lines count for nothing, and blanks, tabs and carriage returns round a prefix do not
    belong to it.

    Raises:
        InputError: there is none, or a line is not UTF-8 or lies outside of `source`.
    """
    base = source.prefix
    found = set()
    path = str(path)
    with _text(path, field) as lines:
        for number, line in enumerate(lines, start=1):
            prefix = line.strip(" \t\r\n")
            if not prefix:
                continue
            if base or ":" in prefix:
                prefix = _relative_prefix(prefix, base, number, field)
            found.add(prefix)
    if not found:
        raise InputError(field, f"{path!r} holds no prefix; to take everything leave it out")
    return merge_prefixes(found)


def _relative_prefix(prefix: str, base: str, number: int, field: str) -> str:
    if prefix.startswith(base) and not _URL.match(prefix):
        return prefix[len(base) :]
    if base.startswith(prefix):
        return ""  # it covers the whole location
    where = f"start with the source's prefix {base!r}" if base else "name scheme and bucket"
    raise InputError(field, f"line {number}: {prefix!r} {'must' if base else 'must not'} {where}")


def read_manifest(
    path: str | Path, *, source: Location, field: str = "manifest", page: int = PAGE_KEYS
) -> Generator[list[str], None, None]:
    """The keys of a file relative to `source`, each once, in its order, in lists of up to `page`.

    A file whose name ends in `.csv` has columns. With a header, the column `key` holds the keys as
    they are and `bucket`, if there is one, is checked. Without a header, one column holds keys as
    they are, and `bucket,key[,version]` is a manifest of S3 Batch Operations, whose keys are
    URL-encoded; versions are passed over: the present one is copied. Any other file has an exact
    key on each line; nothing but the line's end is taken from it. Memory does not grow with the
    file.

    Raises:
        InputError: there is no key, or a line is not UTF-8, names another bucket or a key outside
            of `source`; raised when that line is reached.
    """
    path = str(path)
    with _manifest_keys(path, source, field) as keys:
        empty = True
        with SeenKeys() as seen:
            while chunk := list(islice(keys, page)):
                empty = False
                fresh = seen.add(chunk)
                if fresh:
                    yield fresh
    if empty:
        raise _no_key(path, field)


@contextmanager
def _manifest_keys(path: str, source: Location, field: str) -> Iterator[Iterator[str]]:
    with _text(path, field) as lines:
        numbered = _csv_keys(lines, source, field) if _is_csv(path) else _plain_keys(lines)
        yield _relative_keys(numbered, source.prefix, field)


def _no_key(path: str, field: str) -> InputError:
    return InputError(field, f"{path!r} holds no key; to take everything leave it out")


async def manifest_pages(
    path: str | Path, *, source: Location, field: str = "manifest"
) -> AsyncIterator[list[str]]:
    """The same as `read_manifest`, without holding up the event loop."""
    pages = read_manifest(path, source=source, field=field)
    try:
        while page := await asyncio.to_thread(next, pages, None):
            yield page
    finally:
        pages.close()


def _is_csv(path: str) -> bool:
    return path.lower().endswith(".csv")


def _plain_keys(lines: TextIO) -> Iterator[NumberedKey]:
    for number, line in enumerate(lines, start=1):
        key = line.removesuffix("\n").removesuffix("\r")
        if key:
            yield number, key


def _csv_keys(lines: TextIO, source: Location, field: str) -> Iterator[NumberedKey]:
    reader = csv.reader(lines, strict=True)
    columns: _Columns | None = None
    try:
        for row in reader:
            if not any(row):
                continue
            if columns is None:
                columns = _Columns.of(row, source, field, reader.line_num)
                if columns.is_header:
                    continue
            yield reader.line_num, columns.key(row, reader.line_num)
    except csv.Error as error:
        raise InputError(field, f"line {reader.line_num}: it is not CSV: {error}") from None


class _Columns:
    """Where a row has what."""

    def __init__(self, source: Location, field: str) -> None:
        self.is_header = False
        self._key = 0
        self._bucket: int | None = None
        self._decode: Callable[[str], str] = str
        self._source = source
        self._field = field

    @classmethod
    def of(cls, first: list[str], source: Location, field: str, number: int) -> _Columns:
        columns = cls(source, field)
        names = [name.strip().lower() for name in first]
        is_data = len(first) > 1 and first[0] == source.bucket != "bucket"
        if "key" in names and not is_data:
            columns.is_header = True
            columns._key = names.index("key")
            columns._bucket = names.index("bucket") if "bucket" in names else None
        elif len(first) > 1:
            if source.scheme == "file":
                raise InputError(
                    field,
                    f"line {number}: a list for a folder has one column, or a header with key",
                )
            columns._key, columns._bucket = 1, 0
            columns._decode = unquote_plus  # as AWS encodes: a space is `+` or `%20`
        return columns

    def key(self, row: list[str], number: int) -> str:
        try:
            bucket = self._source.bucket if self._bucket is None else row[self._bucket]
            key = self._decode(row[self._key])
        except IndexError:
            raise InputError(self._field, f"line {number}: it has too few columns") from None
        if bucket != self._source.bucket:
            raise InputError(
                self._field,
                f"line {number}: it names the bucket {bucket!r}, the source is"
                f" {self._source.bucket!r}",
            )
        if not key:
            raise InputError(self._field, f"line {number}: its key is empty")
        return key


def _relative_keys(numbered: Iterable[NumberedKey], base: str, field: str) -> Iterator[str]:
    for number, key in numbered:
        if not key.startswith(base):
            raise InputError(
                field, f"line {number}: {key!r} must start with the source's prefix {base!r}"
            )
        relative = key[len(base) :]
        if relative:
            yield relative


@contextmanager
def _text(path: str, field: str) -> Iterator[TextIO]:
    """The file as text, a byte order mark left out; only a line feed ends a line."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="\n") as lines:
            yield lines
    except UnicodeDecodeError:
        number = _first_bad_line(path)
        raise InputError(field, f"line {number} of {path!r} is not UTF-8") from None
    except OSError as error:
        raise _unreadable(path, field, error) from None


def _first_bad_line(path: str) -> int:
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0  # it was mended meanwhile


def _sha256(path: str, field: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, field, error) from None


def _unreadable(path: str, field: str, error: OSError) -> InputError:
    return InputError(field, f"{path!r} cannot be read: {error.strerror or error}")
