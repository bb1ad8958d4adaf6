"""What a server in memory holds: buckets, objects in their listing order, open uploads."""

from __future__ import annotations

import base64
import bisect
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import md5, sha256
from itertools import count, takewhile

from transferhub.model.clock import Clock, utc_now
from transferhub.model.objects import Attributes, ObjectEntry, ObjectInfo, WriteOptions

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Amazon S3's classes whose objects must be restored before they can be read."""


class Order(StrEnum):
    """In which order a bucket is listed."""

    BYTES = "bytes"  # as Amazon S3
    # As SeaweedFS: folder by folder, so "a/b" comes before "a-b", and nothing of a folder comes
    # after its name.
    FOLDERS = "folders"
    SHUFFLED = "shuffled"  # any order that is the same each time, as S3 directory buckets


SortKey = tuple[str, ...]


def _shuffled(key: str) -> SortKey:
    return (md5(key.encode(), usedforsecurity=False).hexdigest(), key)


_SORT_KEYS: Mapping[Order, Callable[[str], SortKey]] = {
    Order.BYTES: lambda key: (key,),
    Order.FOLDERS: lambda key: tuple(key.split("/")),
    Order.SHUFFLED: _shuffled,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object. `tags` alone can change, so it is replaced as a whole."""

    key: str
    body: bytes
    etag: str
    modified_at: datetime
    attributes: Attributes
    options: WriteOptions
    part_sizes: tuple[int, ...] = ()

    @property
    def archived(self) -> bool:
        return self.options.storage_class in ARCHIVE_CLASSES

    def entry(self) -> ObjectEntry:
        return ObjectEntry(
            self.key,
            len(self.body),
            self.etag,
            self.modified_at,
            self.options.storage_class or "STANDARD",
        )

    def info(self, *, checksums: bool = False) -> ObjectInfo:
        return ObjectInfo(
            key=self.key,
            size=len(self.body),
            etag=self.etag,
            modified_at=self.modified_at,
            attributes=self.attributes,
            storage_class=self.options.storage_class or "STANDARD",
            tag_count=len(self.options.tags),
            checksums=_checksums(self.body) if checksums else {},
            parts=len(self.part_sizes),
            encrypted_by_key=self.options.sse == "aws:kms",
        )


def _checksums(body: bytes) -> dict[str, str]:
    digests = {
        "crc32": zlib.crc32(body).to_bytes(4, "big"),
        "md5": md5(body, usedforsecurity=False).digest(),
        "sha256": sha256(body).digest(),
    }
    return {name: base64.b64encode(digest).decode() for name, digest in digests.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    body: bytes
    etag: str


@dataclass(slots=True, kw_only=True)
class Upload:
    """A multipart upload that is open."""

    key: str
    upload_id: str
    initiated_at: datetime
    attributes: Attributes
    options: WriteOptions
    parts: dict[int, StoredPart] = field(default_factory=dict)


class Bucket:
    """Objects by key, kept in the order of its listing."""

    def __init__(self, order: Order) -> None:
        self._sort_key = _SORT_KEYS[order]
        self._prefixes_adjoin = order is Order.BYTES
        self._folders_are_one = order is Order.FOLDERS
        self._objects: dict[str, StoredObject] = {}
        self._ranks: list[SortKey] = []
        self._keys: list[str] = []  # by rank
        self.uploads: dict[str, Upload] = {}

    def find(self, key: str) -> StoredObject | None:
        return self._objects.get(key)

    def store(self, stored: StoredObject) -> None:
        key = stored.key
        if key not in self._objects:
            rank = self._sort_key(key)
            index = bisect.bisect_left(self._ranks, rank)
            self._ranks.insert(index, rank)
            self._keys.insert(index, key)
        self._objects[key] = stored

    def remove(self, key: str) -> None:
        if self._objects.pop(key, None) is not None:
            index = bisect.bisect_left(self._ranks, self._sort_key(key))
            del self._ranks[index], self._keys[index]

    def walk(self, prefix: str, after: str, *, inclusive: bool = False) -> Iterator[StoredObject]:
        """The objects under `prefix`, in the bucket's order, after (or from) where `after` is."""
        bisect_start = bisect.bisect_left if inclusive else bisect.bisect_right
        start = bisect_start(self._ranks, self._sort_key(after)) if after else 0
        if after and self._folders_are_one and after not in self._objects:
            inside = (key.startswith(f"{after}/") for key in self._keys[start:])
            start += sum(takewhile(bool, inside))
        if self._prefixes_adjoin:
            start = max(start, bisect.bisect_left(self._ranks, (prefix,)))
        for index in range(start, len(self._keys)):
            key = self._keys[index]
            if key.startswith(prefix):
                yield self._objects[key]
            elif self._prefixes_adjoin:
                return


class MemoryServer:
    """A server: stores of the same server can copy between their buckets."""

    _numbers = count(1)

    def __init__(
        self, *, order: Order = Order.BYTES, clock: Clock = utc_now, endpoint: str = ""
    ) -> None:
        self.clock = clock
        self.order = order
        self.endpoint = endpoint or f"memory:{next(self._numbers)}"
        self._buckets: dict[str, Bucket] = {}
        self._uploads = count(1)

    def bucket(self, name: str) -> Bucket:
        """The bucket of that name; the first to ask makes it."""
        return self._buckets.setdefault(name, Bucket(self.order))

    def next_upload_id(self) -> str:
        return f"upload-{next(self._uploads)}"
