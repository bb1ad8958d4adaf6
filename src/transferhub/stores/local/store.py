"""`LocalStore`: objects as the files of a folder."""

# os.path, because pathlib tidies paths up and a key is exact:
# ruff: noqa: PTH103, PTH108, PTH112

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from hashlib import md5 as new_md5
from itertools import islice

from transferhub.errors import (
    ChangedError,
    CorruptError,
    NotFoundError,
    StoreError,
    UnsupportedError,
)
from transferhub.model.clock import Clock, utc_now
from transferhub.model.objects import (
    Attributes,
    ListPage,
    ObjectEntry,
    ObjectInfo,
    PendingUpload,
    StartedUpload,
    UploadedPart,
    WriteOptions,
    Written,
)
from transferhub.stores.base import PAGE_KEYS, Capabilities, ObjectReader, ObjectStore
from transferhub.stores.local.faults import mapped
from transferhub.stores.local.listing import Skipped, Walk
from transferhub.stores.local.paths import KeyPaths, missing_root
from transferhub.stores.local.reading import LocalReader, OpenFile, info_of, md5_of
from transferhub.stores.local.threads import in_thread
from transferhub.stores.local.uploads import UploadRecord, Uploads
from transferhub.stores.local.writing import NewFile, Scratch

MAX_CURSORS = 64
"""Listings whose place is kept between two pages; more of them cost a new seek each."""


class LocalStore:
    """The plain files under `root`, with "/" between the segments of a key.

    Links are never followed and special files never opened: listings leave them out and note them
    in `skipped`, with the names that are not UTF-8. Nothing is written through a link or over one.
    An etag names a version by size, time of change and inode (see `etag_of`), so that a pinned
    read notices a change; it says nothing of the bytes. A disk keeps no attributes, tags, classes
    or ACLs: `not_kept` names those that were asked for. Folders are made for the objects in them,
    and removed with the last one.

    Attributes:
        skipped: what the listings so far left out.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        create: bool = False,
        may_be_missing: bool = False,
        fsync: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        create: `check` makes the root where it is missing; nothing else ever does.
        may_be_missing: a root that is not there counts as empty, for those who only look.
        fsync: a write returns only when it would survive a loss of power.
        """
        self._paths = KeyPaths(os.path.realpath(root))
        self._create = create
        self._may_be_missing = may_be_missing
        self._clock = clock
        self._scratch = Scratch(self._paths, fsync=fsync, clock=clock)
        self._uploads = Uploads(self._scratch)
        self._cursors: OrderedDict[tuple[str, str, str], Iterator[ObjectEntry]] = OrderedDict()
        self.skipped = Skipped()
        self.capabilities = Capabilities(
            attributes=frozenset(), max_key_bytes=self._paths.max_key_bytes
        )

    @property
    def location(self) -> str:
        return f"file://{self._paths.root}"

    async def check(self) -> None:
        await in_thread(self._check)

    def _check(self) -> None:
        root = self._paths.root
        if self._is_missing():
            return
        with mapped("check", root):
            if self._create:
                os.makedirs(root, exist_ok=True)
            if not os.path.isdir(root):
                raise missing_root(root)
            with os.scandir(root) as found:
                next(found, None)

    def _is_missing(self) -> bool:
        return self._may_be_missing and not os.path.lexists(self._paths.root)

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        """As the port says; `start_after` is exact. A token is the last key of its page."""
        cursor = self._cursors.pop((prefix, start_after, token), None)
        if cursor is None and self._is_missing():
            return ListPage(entries=[])
        if cursor is None:
            after = max(start_after, token)
            cursor = iter(Walk(self._paths.root, prefix, after, self.skipped))
        entries = await in_thread(lambda: [*islice(cursor, limit)])
        if len(entries) < limit:
            return ListPage(entries=entries)
        next_token = entries[-1].key
        self._cursors[prefix, start_after, next_token] = cursor
        if len(self._cursors) > MAX_CURSORS:
            self._cursors.popitem(last=False)
        return ListPage(entries=entries, next_token=next_token)

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        if not checksums:
            return await in_thread(lambda: self._status(key))
        async with self._opened(key) as (file, info):
            return replace(info, checksums={"md5": await md5_of(file, info)})

    @asynccontextmanager
    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AsyncIterator[ObjectReader]:
        async with self._opened(key) as (file, info):
            if if_match and info.etag != if_match:
                raise ChangedError(f"get {key!r} in {self.location}: the object has changed.")
            rest = max(0, info.size - offset)
            yield LocalReader(file, info, offset, rest if length is None else min(length, rest))

    @asynccontextmanager
    async def _opened(self, key: str) -> AsyncIterator[tuple[OpenFile, ObjectInfo]]:
        file = OpenFile(self._paths, key)
        try:
            yield file, await in_thread(file.open)
        finally:
            file.close()

    async def first_part_size(self, key: str) -> int:
        return 0

    async def put(
        self, key: str, body: bytes, *, attributes: Attributes, options: WriteOptions, md5: bytes
    ) -> Written:
        etag = await in_thread(lambda: self._put(key, body, md5))
        return Written(etag=etag, not_kept=_asked_for(attributes, options))

    def _put(self, key: str, body: bytes, md5: bytes) -> str:
        self._refuse_unwritable(key)
        self._refuse_corrupt(key, body, md5)
        with NewFile(self._scratch) as file:
            file.write(body)
            return file.publish(self._paths, key)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        return await in_thread(lambda: self._delete(keys))

    def _delete(self, keys: Sequence[str]) -> dict[str, StoreError]:
        failed: dict[str, StoreError] = {}
        for key in keys:
            try:
                self._delete_one(key)
            except NotFoundError:
                continue
            except StoreError as error:
                failed[key] = error
        return failed

    def _delete_one(self, key: str) -> None:
        path = self._paths.path(key)
        with mapped("delete", path):
            if self._paths.file_status(key) is not None:
                os.unlink(path)
                self._paths.prune(key)

    async def copy(
        self,
        source: ObjectStore,
        source_key: str,
        key: str,
        *,
        if_match: str,
        attributes: Attributes,
        options: WriteOptions,
    ) -> Written:
        raise self._unsupported("copy")

    async def create_upload(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        record = UploadRecord(key=key, initiated_at=self._clock().isoformat())
        upload_id = await in_thread(lambda: self._create_upload(record))
        return StartedUpload(upload_id=upload_id, not_kept=_asked_for(attributes, options))

    def _create_upload(self, record: UploadRecord) -> str:
        self._refuse_unwritable(record.key)
        return self._uploads.create(record)

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        def write() -> UploadedPart:
            if md5 is not None:
                self._refuse_corrupt(key, body, md5)
            return self._uploads.write_part(key, upload_id, number, body)

        return await in_thread(write)

    async def copy_part(
        self,
        source: ObjectStore,
        source_key: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        offset: int,
        length: int,
        if_match: str,
    ) -> UploadedPart:
        raise self._unsupported("copy_part")

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        await in_thread(lambda: self._uploads.record(key, upload_id))
        file = NewFile(self._scratch)
        try:
            await in_thread(file.open)
            await self._uploads.join(key, upload_id, parts, file)
            etag = await in_thread(lambda: file.publish(self._paths, key))
        finally:
            await in_thread(file.close)
        await in_thread(lambda: self._uploads.drop(upload_id))
        return Written(etag=etag)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await in_thread(lambda: self._abort(key, upload_id))

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._uploads.record(key, upload_id)
        except NotFoundError:
            return
        self._uploads.drop(upload_id)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        return await in_thread(lambda: self._uploads.parts(key, upload_id))

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        return await in_thread(lambda: self._uploads.pending(key))

    async def get_tags(self, key: str) -> Mapping[str, str]:
        raise self._unsupported("get_tags")

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        raise self._unsupported("put_tags")

    async def aclose(self) -> None:
        await in_thread(self._scratch.leave)

    def _status(self, key: str) -> ObjectInfo:
        path = self._paths.path(key)
        with mapped("head", path):
            status = self._paths.file_status(key)
        if status is None:
            raise NotFoundError(f"head {path!r}: there is no such object.")
        return info_of(key, status)

    def _refuse_unwritable(self, key: str) -> None:
        path = self._paths.path(key)
        with mapped("write", path):
            self._paths.refuse_unwritable(key)

    def _refuse_corrupt(self, key: str, body: bytes, md5: bytes) -> None:
        if new_md5(body, usedforsecurity=False).digest() != md5:
            raise CorruptError(f"write {key!r} in {self.location}: the body has another MD5.")

    def _unsupported(self, verb: str) -> UnsupportedError:
        return UnsupportedError(f"{verb} in {self.location}: a disk cannot do this.")


_UNTYPED = ("application/octet-stream", "binary/octet-stream")
"""Content types that S3 gives to objects written without one: nothing is lost with them."""


def _asked_for(attributes: Attributes, options: WriteOptions) -> tuple[str, ...]:
    """The names of what was asked for; a disk keeps none of it."""
    return tuple(
        field.name
        for values in (attributes, options)
        for field in fields(values)
        if getattr(values, field.name) and getattr(values, field.name) not in _UNTYPED
    )
