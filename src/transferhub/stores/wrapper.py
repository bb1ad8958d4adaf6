"""The base of every wrapper round a store: each verb passes through one hook."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from transferhub.errors import StoreError
from transferhub.model.objects import (
    Attributes,
    ListPage,
    ObjectInfo,
    PendingUpload,
    StartedUpload,
    UploadedPart,
    WriteOptions,
    Written,
)
from transferhub.stores.base import PAGE_KEYS, Capabilities, ObjectReader, ObjectStore

T = TypeVar("T")


class Verb(StrEnum):
    """The verbs of ObjectStore, by name."""

    CHECK = "check"
    LIST = "list"
    HEAD = "head"
    GET = "get"
    PUT = "put"
    DELETE = "delete"
    COPY = "copy"
    CREATE_UPLOAD = "create_upload"
    UPLOAD_PART = "upload_part"
    COPY_PART = "copy_part"
    COMPLETE_UPLOAD = "complete_upload"
    ABORT_UPLOAD = "abort_upload"
    LIST_PARTS = "list_parts"
    LIST_UPLOADS = "list_uploads"
    GET_TAGS = "get_tags"
    PUT_TAGS = "put_tags"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCall:
    """One call of a verb, as the hooks see it.

    Attributes:
        key: the object; of LIST the prefix, of DELETE the first key, of CHECK "".
        size: bytes of the body that is sent; 0 where none is.
    """

    verb: Verb
    key: str = ""
    size: int = 0


def unwrapped(store: ObjectStore) -> ObjectStore:
    """The adapter under any number of wrappers. A server-side copy needs it of its source."""
    while isinstance(store, StoreWrapper):
        store = store.inner
    return store


class StoreWrapper:
    """An ObjectStore that forwards to another; alone it changes nothing.

    A wrapper overrides `call`, which every verb passes through (`get` while it is entered), and,
    where it cares for the bytes that are read, `reader`.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    async def call(
        self,
        call: StoreCall,
        operation: Callable[[], Awaitable[T]],
    ) -> T:
        """Carries out `operation`; every call of it makes one request of the wrapped store."""
        return await operation()

    def reader(
        self,
        call: StoreCall,
        reader: ObjectReader,
    ) -> ObjectReader:
        """The reader to hand out for one that was opened by `call`."""
        return reader

    @property
    def location(self) -> str:
        return self.inner.location

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    @property
    def server_time(self) -> datetime | None:
        known: datetime | None = getattr(self.inner, "server_time", None)
        return known

    async def check(self) -> None:
        await self.call(StoreCall(verb=Verb.CHECK), lambda: self.inner.check())  # noqa: PLW0108 - inner may be replaced

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        return await self.call(
            StoreCall(verb=Verb.LIST, key=prefix),
            lambda: self.inner.list(prefix, start_after=start_after, token=token, limit=limit),
        )

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        return await self.call(
            StoreCall(verb=Verb.HEAD, key=key), lambda: self.inner.head(key, checksums=checksums)
        )

    async def first_part_size(self, key: str) -> int:
        return await self.call(
            StoreCall(verb=Verb.HEAD, key=key), lambda: self.inner.first_part_size(key)
        )

    def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AbstractAsyncContextManager[ObjectReader]:
        return self._opened(key, offset=offset, length=length, if_match=if_match)

    @asynccontextmanager
    async def _opened(
        self, key: str, *, offset: int, length: int | None, if_match: str
    ) -> AsyncIterator[ObjectReader]:
        call = StoreCall(verb=Verb.GET, key=key)
        async with AsyncExitStack() as stack:
            reader = await self.call(
                call,
                lambda: stack.enter_async_context(
                    self.inner.get(key, offset=offset, length=length, if_match=if_match)
                ),
            )
            yield self.reader(call, reader)

    async def put(
        self, key: str, body: bytes, *, attributes: Attributes, options: WriteOptions, md5: bytes
    ) -> Written:
        return await self.call(
            StoreCall(verb=Verb.PUT, key=key, size=len(body)),
            lambda: self.inner.put(key, body, attributes=attributes, options=options, md5=md5),
        )

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        return await self.call(
            StoreCall(verb=Verb.DELETE, key=next(iter(keys), "")), lambda: self.inner.delete(keys)
        )

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
        return await self.call(
            StoreCall(verb=Verb.COPY, key=key),
            lambda: self.inner.copy(
                unwrapped(source),
                source_key,
                key,
                if_match=if_match,
                attributes=attributes,
                options=options,
            ),
        )

    async def create_upload(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        return await self.call(
            StoreCall(verb=Verb.CREATE_UPLOAD, key=key),
            lambda: self.inner.create_upload(key, attributes=attributes, options=options),
        )

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        return await self.call(
            StoreCall(verb=Verb.UPLOAD_PART, key=key, size=len(body)),
            lambda: self.inner.upload_part(key, upload_id, number, body, md5=md5),
        )

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
        return await self.call(
            StoreCall(verb=Verb.COPY_PART, key=key),
            lambda: self.inner.copy_part(
                unwrapped(source),
                source_key,
                key,
                upload_id,
                number,
                offset=offset,
                length=length,
                if_match=if_match,
            ),
        )

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        return await self.call(
            StoreCall(verb=Verb.COMPLETE_UPLOAD, key=key),
            lambda: self.inner.complete_upload(key, upload_id, parts),
        )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self.call(
            StoreCall(verb=Verb.ABORT_UPLOAD, key=key),
            lambda: self.inner.abort_upload(key, upload_id),
        )

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        return await self.call(
            StoreCall(verb=Verb.LIST_PARTS, key=key),
            lambda: self.inner.list_parts(key, upload_id),
        )

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        return await self.call(
            StoreCall(verb=Verb.LIST_UPLOADS, key=key), lambda: self.inner.list_uploads(key)
        )

    async def get_tags(self, key: str) -> Mapping[str, str]:
        return await self.call(
            StoreCall(verb=Verb.GET_TAGS, key=key), lambda: self.inner.get_tags(key)
        )

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        await self.call(
            StoreCall(verb=Verb.PUT_TAGS, key=key), lambda: self.inner.put_tags(key, tags)
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


class ReaderWrapper:
    """An ObjectReader that forwards to another."""

    def __init__(self, inner: ObjectReader) -> None:
        self.inner = inner

    @property
    def info(self) -> ObjectInfo:
        return self.inner.info

    @property
    def length(self) -> int:
        return self.inner.length

    async def read(self) -> bytes:
        return await self.inner.read()

    def chunks(self) -> AsyncIterator[bytes]:
        return self.inner.chunks()
