"""The port of an object store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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

PAGE_KEYS = 1_000
"""Most keys of one list page (Amazon S3's own limit)."""

MAX_PARTS = 10_000
MIN_PART_BYTES = 5 << 20
MAX_PART_BYTES = 5 << 30
"""Amazon S3's multipart limits: every part but the last has at least MIN_PART_BYTES."""

ALL_ATTRIBUTES = frozenset(Attributes.__dataclass_fields__)

DELETE_BATCH = 1_000
"""Most keys of one `delete` call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a store can do, as data; nobody asks a store for its type.

    Attributes:
        multipart: the upload verbs work.
        server_copy: `copy` and `copy_part` work within `endpoint`.
        md5_etags: an etag of 32 hexadecimal digits is the MD5 of the bytes (unless encrypted by
            key), and `<md5>-<parts>` the MD5 of the parts' MD5s.
        attributes: names of `Attributes` fields that the store keeps.
        tags: object tags work.
        max_key_bytes: longest key in UTF-8 bytes.
        max_put_bytes: largest object of one `put`.
        endpoint: names the place; two stores with equal, non-empty `endpoint` and `principal` can
            copy between each other on the server's side.
        principal: names whose rights the store acts with, without being a secret.
    """

    multipart: bool = True
    server_copy: bool = False
    md5_etags: bool = False
    attributes: frozenset[str] = ALL_ATTRIBUTES
    tags: bool = False
    max_key_bytes: int = 1_024
    max_put_bytes: int = 5 << 30
    endpoint: str = ""
    principal: str = ""


class ObjectReader(Protocol):
    """The open body of an object. It is valid inside the `get` scope only."""

    @property
    def info(self) -> ObjectInfo:
        """The identity of the version being read, from the same response as its bytes."""

    @property
    def length(self) -> int:
        """Bytes that `read` will give: those of the range, or of the whole object."""

    async def read(self) -> bytes:
        """All bytes.

        Raises:
            TransientError: the connection ended before `length` bytes came; never a short result.
        """

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, piece by piece, with the same guarantee at the end. Instead of `read`."""


class ObjectStore(Protocol):
    """A flat map of keys to objects: one bucket, or one folder of a disk.

    Keys are exact: what `list` returns can be given to `get`, and what `put` took is what `list`
    returns; a key that the store cannot hold exactly is refused with UnsupportedError (code
    "bad_key"), never changed. Every verb may raise any StoreError; the message names the store, the
    bucket, the key and the operation. Adapters do not retry: wrappers do. Every verb may be called
    concurrently, from one event loop.
    """

    @property
    def location(self) -> str:
        """For people: "s3://bucket at http://127.0.0.1:8333" or "file:///data". No secrets."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def check(self) -> None:
        """Returns where the bucket can be reached and listed; else raises what is wrong with it,
        the credentials, the region or the endpoint."""

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        """One page of the objects whose keys start with `prefix`.

        Args:
            start_after: keys at or before it are not wanted. A store may ignore this or return some
                of them all the same; the caller filters.
            token: `next_token` of the page before, with the same `prefix` and `start_after`.
            limit: most entries, 1 to PAGE_KEYS.
        """

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        """Raises NotFoundError where there is no such object."""

    async def first_part_size(self, key: str) -> int:
        """Bytes of the first of the parts that an object was uploaded in; 0 where it is the only
        one, and where the store does not tell."""

    def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        if_match: str = "",
    ) -> AbstractAsyncContextManager[ObjectReader]:
        """Opens an object, or `length` bytes from `offset` of it.

        Raises (on entering):
            ChangedError: its etag is not `if_match` any more.
            ArchivedError: it must be restored first.
        """

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        attributes: Attributes,
        options: WriteOptions,
        md5: bytes,
    ) -> Written:
        """Writes an object whole or not at all; an object that is there is replaced.

        Args:
            md5: the 16 bytes of the body's MD5; the store refuses a body that does not match it
                with CorruptError.
        """

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        """Deletes up to DELETE_BATCH keys; a missing key counts as deleted.

        Returns:
            The keys that could not be deleted, with the reason.
        """

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
        """Copies on the server's side from a store of equal `endpoint` and `principal`; objects up
        to `max_put_bytes`. Raises ChangedError where the source is not `if_match`."""

    async def create_upload(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        """Starts a multipart upload. What its object will not keep is told here alone: another
        process may complete it."""

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        """Uploads part `number` (1 to MAX_PARTS), replacing what it held.

        Args:
            md5: as of `put`; None where the caller holds the part's etag against another truth.

        Raises:
            NotFoundError: code "no_upload", the upload is not open.
        """

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
    ) -> UploadedPart: ...

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        """Makes the object of its parts, given in order of their numbers.

        Raises:
            NotFoundError: code "no_upload". The upload may have been completed by an earlier call
                whose answer was lost: HEAD the object to know.
        """

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Gives up an upload and frees its parts; one that is not there counts as given up."""

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]: ...

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        """The open uploads of exactly this key (never of keys that merely start with it)."""

    async def get_tags(self, key: str) -> Mapping[str, str]: ...

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None: ...

    async def aclose(self) -> None:
        """Frees connections. The store's user calls it once; no verb may follow."""


class Clocked(Protocol):
    """A store that knows its server's clock (from the Date header of its answers)."""

    @property
    def server_time(self) -> datetime | None: ...
