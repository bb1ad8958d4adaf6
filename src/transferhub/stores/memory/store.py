"""`MemoryStore`: one bucket of a MemoryServer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import md5 as new_md5
from itertools import islice

from transferhub.errors import (
    ArchivedError,
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
    ObjectInfo,
    PendingUpload,
    StartedUpload,
    UploadedPart,
    WriteOptions,
    Written,
)
from transferhub.stores.base import (
    MAX_PARTS,
    PAGE_KEYS,
    Capabilities,
    ObjectReader,
    ObjectStore,
)
from transferhub.stores.memory.server import (
    MemoryServer,
    Order,
    StoredObject,
    StoredPart,
    Upload,
)
from transferhub.stores.wrapper import unwrapped

CHUNK_BYTES = 1 << 20


def _md5_hex(data: bytes) -> str:
    return new_md5(data, usedforsecurity=False).hexdigest()


class MemoryStore:
    """A complete ObjectStore that keeps everything in memory.

    Its switches make it list as badly as real servers do; its writes are those of Amazon S3, except
    that parts of any size are taken unless `min_part_bytes` says otherwise.
    """

    def __init__(
        self,
        bucket: str = "bucket",
        *,
        server: MemoryServer | None = None,
        principal: str = "tester",
        order: Order = Order.BYTES,
        clock: Clock = utc_now,
        ignores_start_after: bool = False,
        start_after_inclusive: bool = False,
        page_keys: int = PAGE_KEYS,
        min_part_bytes: int = 0,
    ) -> None:
        """Args:
        server: where the bucket lives; without one the store has its own, with `order` and `clock`.
        ignores_start_after: lists from the first key whatever was asked for; tokens still work.
        start_after_inclusive: lists from `start_after` itself on.
        page_keys: most entries of a page, whatever `limit` is.
        min_part_bytes: smallest part that may be followed by another.
        """
        self.server = server or MemoryServer(order=order, clock=clock)
        self._name = bucket
        self._bucket = self.server.bucket(bucket)
        self._ignores_start_after = ignores_start_after
        self._start_after_inclusive = start_after_inclusive
        self._page_keys = page_keys
        self._min_part_bytes = min_part_bytes
        self.capabilities = Capabilities(
            server_copy=True,
            md5_etags=True,
            tags=True,
            endpoint=self.server.endpoint,
            principal=principal,
        )

    @property
    def location(self) -> str:
        return f"memory://{self._name} at {self.server.endpoint}"

    async def check(self) -> None:
        return

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        after = token or ("" if self._ignores_start_after else start_after)
        inclusive = self._start_after_inclusive and not token
        most = min(limit, self._page_keys)
        found = [*islice(self._bucket.walk(prefix, after, inclusive=inclusive), most + 1)]
        entries = [stored.entry() for stored in found[:most]]
        return ListPage(entries=entries, next_token=entries[-1].key if len(found) > most else "")

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        return self._find(key, "head").info(checksums=checksums)

    async def first_part_size(self, key: str) -> int:
        sizes = self._find(key, "head").part_sizes
        return sizes[0] if len(sizes) > 1 else 0

    @asynccontextmanager
    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AsyncIterator[ObjectReader]:
        stored = self.readable(key, if_match, "get")
        end = None if length is None else offset + length
        yield MemoryReader(stored.info(), stored.body[offset:end])

    async def put(
        self, key: str, body: bytes, *, attributes: Attributes, options: WriteOptions, md5: bytes
    ) -> Written:
        self._refuse_bad_key(key)
        self._refuse_corrupt(key, body, md5)
        if len(body) > self.capabilities.max_put_bytes:
            raise UnsupportedError(self._sentence("put", key, "the object is too large"))
        return self._write(key, body, _md5_hex(body), attributes, options)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        for key in keys:
            self._bucket.remove(key)
        return {}

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
        self._refuse_bad_key(key)
        stored = self._neighbour(source).readable(source_key, if_match, "copy")
        return self._write(key, stored.body, _md5_hex(stored.body), attributes, options)

    async def create_upload(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        self._refuse_bad_key(key)
        upload = Upload(
            key=key,
            upload_id=self.server.next_upload_id(),
            initiated_at=self.server.clock(),
            attributes=attributes,
            options=options,
        )
        self._bucket.uploads[upload.upload_id] = upload
        return StartedUpload(upload_id=upload.upload_id)

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        upload = self._upload(key, upload_id, "upload_part")
        if md5 is not None:
            self._refuse_corrupt(key, body, md5)
        return self._write_part(upload, number, body)

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
        upload = self._upload(key, upload_id, "copy_part")
        stored = self._neighbour(source).readable(source_key, if_match, "copy_part")
        return self._write_part(upload, number, stored.body[offset : offset + length])

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        upload = self._upload(key, upload_id, "complete_upload")
        bodies = [self._part(upload, part).body for part in parts]
        if any(len(body) < self._min_part_bytes for body in bodies[:-1]):
            raise UnsupportedError(self._sentence("complete_upload", key, "a part is too small"))
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        del self._bucket.uploads[upload_id]
        return self._write(
            key,
            b"".join(bodies),
            f"{_md5_hex(digests)}-{len(parts)}",
            upload.attributes,
            upload.options,
            part_sizes=tuple(map(len, bodies)),
        )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        upload = self._bucket.uploads.get(upload_id)
        if upload is not None and upload.key == key:
            del self._bucket.uploads[upload_id]

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        upload = self._upload(key, upload_id, "list_parts")
        return [
            UploadedPart(number=number, etag=part.etag, size=len(part.body))
            for number, part in sorted(upload.parts.items())
        ]

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        return [
            PendingUpload(key=key, upload_id=upload.upload_id, initiated_at=upload.initiated_at)
            for upload in self._bucket.uploads.values()
            if upload.key == key
        ]

    async def get_tags(self, key: str) -> Mapping[str, str]:
        return dict(self._find(key, "get_tags").options.tags)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        stored = self._find(key, "put_tags")
        options = replace(stored.options, tags=dict(tags))
        self._bucket.store(replace(stored, options=options))

    async def aclose(self) -> None:
        return

    def readable(self, key: str, if_match: str, verb: str) -> StoredObject:
        """The object to read, or what forbids to read it."""
        stored = self._find(key, verb)
        if if_match and stored.etag != if_match:
            raise ChangedError(self._sentence(verb, key, "the object has changed"))
        if stored.archived:
            raise ArchivedError(
                self._sentence(verb, key, "the object is archived; restore it first")
            )
        return stored

    def _write(
        self,
        key: str,
        body: bytes,
        etag: str,
        attributes: Attributes,
        options: WriteOptions,
        *,
        part_sizes: tuple[int, ...] = (),
    ) -> Written:
        by_key = options.sse == "aws:kms"
        if by_key:
            # Amazon S3's etag is no MD5 of the bytes then, though it looks like one.
            etag = _md5_hex(b"kms" + etag.encode()) + etag[32:]
        stored = StoredObject(
            key=key,
            body=bytes(body),
            etag=etag,
            modified_at=self.server.clock(),
            attributes=replace(attributes, metadata=dict(attributes.metadata)),
            options=replace(options, tags=dict(options.tags)),
            part_sizes=part_sizes,
        )
        self._bucket.store(stored)
        return Written(etag=etag, encrypted_by_key=by_key)

    def _write_part(self, upload: Upload, number: int, body: bytes) -> UploadedPart:
        if not 1 <= number <= MAX_PARTS:
            raise UnsupportedError(
                self._sentence("upload_part", upload.key, f"there is no part number {number}")
            )
        part = StoredPart(body=bytes(body), etag=_md5_hex(body))
        upload.parts[number] = part
        return UploadedPart(number=number, etag=part.etag, size=len(body))

    def _find(self, key: str, verb: str) -> StoredObject:
        stored = self._bucket.find(key)
        if stored is None:
            raise NotFoundError(self._sentence(verb, key, "there is no such object"))
        return stored

    def _upload(self, key: str, upload_id: str, verb: str) -> Upload:
        upload = self._bucket.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NotFoundError(
                self._sentence(verb, key, "the upload is not open"), code="no_upload"
            )
        return upload

    def _part(self, upload: Upload, part: UploadedPart) -> StoredPart:
        stored = upload.parts.get(part.number)
        if stored is None or stored.etag != part.etag:
            raise CorruptError(
                self._sentence(
                    "complete_upload", upload.key, f"part {part.number} is not as it was uploaded"
                )
            )
        return stored

    def _neighbour(self, source: ObjectStore) -> MemoryStore:
        found = unwrapped(source)
        if not isinstance(found, MemoryStore) or found.server is not self.server:
            raise UnsupportedError(f"{self.location} cannot copy from {source.location}")
        return found

    def _refuse_bad_key(self, key: str) -> None:
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            size = 0
        if not 1 <= size <= self.capabilities.max_key_bytes:
            raise UnsupportedError(
                self._sentence("put", key, "the store cannot hold this key"), code="bad_key"
            )

    def _refuse_corrupt(self, key: str, body: bytes, md5: bytes) -> None:
        if new_md5(body, usedforsecurity=False).digest() != md5:
            raise CorruptError(self._sentence("put", key, "the body does not match its MD5"))

    def _sentence(self, verb: str, key: str, fault: str) -> str:
        return f"{verb} {key!r} in {self.location}: {fault}."


class MemoryReader:
    """Reads from bytes."""

    def __init__(self, info: ObjectInfo, body: bytes) -> None:
        self._body = body
        self.info = info

    @property
    def length(self) -> int:
        return len(self._body)

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), CHUNK_BYTES):
            yield self._body[start : start + CHUNK_BYTES]
