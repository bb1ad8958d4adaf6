"""An ObjectStore on one bucket of Amazon S3 or a compatible service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cache
from hashlib import md5 as new_md5

from transferhub.errors import NotFoundError, StoreError, UnsupportedError
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
    ALL_ATTRIBUTES,
    PAGE_KEYS,
    Capabilities,
    ObjectReader,
    ObjectStore,
)
from transferhub.stores.s3 import xml
from transferhub.stores.s3.choice import choose_transports
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.errors import Operation, Refusal, classed, garbled
from transferhub.stores.s3.headers import content_md5, read_info, read_written, write_headers
from transferhub.stores.s3.keys import MAX_KEY_BYTES
from transferhub.stores.s3.listing import parse_page
from transferhub.stores.s3.notifications import BucketNotifications
from transferhub.stores.s3.providers import Provider
from transferhub.stores.s3.reader import S3Reader
from transferhub.stores.s3.requests import Requests, S3Config
from transferhub.stores.s3.transport import Transport
from transferhub.stores.s3.uploads import Uploads

_DELETES_AT_ONCE = 16


class S3Store:
    """One bucket. It may be made before a process forks: nothing runs before the first verb."""

    def __init__(
        self,
        config: S3Config,
        credentials: CredentialSource,
        *,
        transport: Transport | None = None,
        raw_transport: Transport | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        transport: carries requests; made from `config` where none is given.
        raw_transport: carries what `transport` cannot; see `Requests`.

        Raises:
            InputError: the CA bundle or the proxy cannot be used.
        """
        origin = config.endpoint.origin_of(config.bucket)
        usual, raw = choose_transports(origin, config.transport)
        self._config = config
        self._requests = Requests(
            config,
            credentials,
            transport=transport or usual,
            raw=raw_transport or raw,
            clock=clock,
        )
        self._uploads = Uploads(self._requests)
        self._principal = credentials.principal

    @property
    def location(self) -> str:
        return f"s3://{self._config.bucket} at {self._config.endpoint.url}"

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(self._requests.provider, self._config.endpoint.url, self._principal)

    @property
    def notifications(self) -> BucketNotifications:
        """Where the bucket tells of its changes."""
        return BucketNotifications(self._requests)

    @property
    def server_time(self) -> datetime | None:
        return self._requests.server_time

    async def check(self) -> None:
        await self.list(limit=1)

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        first_version = self._requests.provider.list_version == 1
        query = {"max-keys": str(limit)}
        if self._requests.provider.url_encoding:
            query["encoding-type"] = "url"
        if prefix:
            query["prefix"] = prefix
        if first_version:
            if token or start_after:
                query["marker"] = token or start_after
        else:
            query["list-type"] = "2"
            if start_after:
                query["start-after"] = start_after
            if token:
                query["continuation-token"] = token
        response = await self._requests.send(Operation.LIST, "GET", "", query=query)
        body = await self._requests.body_of(Operation.LIST, "", response)
        with self._requests.xml_expected(Operation.LIST, ""):
            page = parse_page(body)
        next_token = page.next_token
        if page.truncated and first_version and page.entries:
            next_token = page.entries[-1].key
        if page.truncated and not next_token:
            raise garbled(self._requests.asked(Operation.LIST, ""), "it says not how to go on")
        return ListPage(entries=page.entries, next_token=next_token)

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        await self._requests.check_key(Operation.HEAD, key)
        wanted = {"x-amz-checksum-mode": "ENABLED"} if checksums else {}
        headers = await self._requests.send_for_headers(Operation.HEAD, "HEAD", key, wanted)
        with self._requests.xml_expected(Operation.HEAD, key):
            size = int(headers.get("content-length", ""))
        return read_info(key, headers, size, checksums=checksums)

    async def first_part_size(self, key: str) -> int:
        operation = Operation.HEAD
        await self._requests.check_key(operation, key)
        headers = await self._requests.send_for_headers(
            operation, "HEAD", key, {}, query={"partNumber": "1"}
        )
        with self._requests.xml_expected(operation, key):
            # A server that knows nothing of parts tells the whole object, and no number of them.
            many = int(headers.get("x-amz-mp-parts-count", "0")) > 1
            return int(headers.get("content-length", "")) if many else 0

    def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AbstractAsyncContextManager[ObjectReader]:
        return S3Reader(self._requests, key, offset=offset, length=length, if_match=if_match)

    async def put(
        self, key: str, body: bytes, *, attributes: Attributes, options: WriteOptions, md5: bytes
    ) -> Written:
        await self._requests.check_key(Operation.PUT, key, has_body=bool(body))
        provider = self._requests.provider
        headers, not_kept = write_headers(attributes, options, provider, of_put=True)
        headers |= content_md5(md5)
        response = await self._requests.send(Operation.PUT, "PUT", key, headers=headers, body=body)
        return read_written(response, response.header("etag"), not_kept)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        failed: dict[str, StoreError] = {}
        batch: list[str] = []
        single: list[str] = []
        for key in dict.fromkeys(keys):
            try:
                await self._requests.check_key(Operation.DELETE, key)
                self._requests.encoded(Operation.DELETE, key)
            except UnsupportedError as error:
                failed[key] = error
            else:
                fits = self._requests.provider.batch_delete and xml.can_hold(key)
                (batch if fits else single).append(key)
        if len(batch) > 1:
            failed.update(await self._delete_batch(batch))
        else:
            single += batch
        return {**failed, **await self._delete_each(single)}

    async def _delete_batch(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        operation, body = Operation.DELETE, xml.delete_body(keys)
        digest = new_md5(body, usedforsecurity=False).digest()
        response = await self._requests.send(
            operation,
            "POST",
            "",
            query={"delete": ""},
            headers=content_md5(digest) | {"content-type": "application/xml"},
            body=body,
        )
        answer = await self._requests.body_of(operation, "", response)
        with self._requests.xml_expected(operation, ""):
            failures = xml.parse_failures(answer)
        failed = {row.get("Key", ""): self._delete_failure(row) for row in failures}
        for key in failed.keys() - set(keys):
            # It was changed on its way, so nobody knows which of the keys still stand.
            raise failed[key]
        return {key: error for key, error in failed.items() if not isinstance(error, NotFoundError)}

    def _delete_failure(self, row: Mapping[str, str]) -> StoreError:
        said = Refusal(status=200, code=row.get("Code", ""), message=row.get("Message", ""))
        return classed(self._requests.asked(Operation.DELETE, row.get("Key", "")), said)

    async def _delete_each(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        failed: dict[str, StoreError] = {}
        places = asyncio.Semaphore(_DELETES_AT_ONCE)

        async def delete(key: str) -> None:
            async with places:
                try:
                    await self._requests.send(Operation.DELETE, "DELETE", key)
                except NotFoundError as error:
                    if error.code == "no_bucket":
                        failed[key] = error
                except StoreError as error:
                    failed[key] = error

        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(delete(key))
        return failed

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
        self._require(Operation.COPY, key, able=self._requests.provider.server_copy)
        await self._requests.check_key(Operation.COPY, key, has_body=True)
        headers, not_kept = write_headers(attributes, options, self._requests.provider)
        headers |= self._copy_source(source, source_key, if_match)
        headers["x-amz-metadata-directive"] = "REPLACE"
        if self._requests.provider.tags:
            headers["x-amz-tagging-directive"] = "REPLACE"
        response = await self._requests.send(Operation.COPY, "PUT", key, headers=headers, body=b"")
        body = await self._requests.body_of(Operation.COPY, key, response)
        with self._requests.xml_expected(Operation.COPY, key):
            etag = xml.child_text(xml.parse(body, "CopyObjectResult"), "ETag")
        return read_written(response, etag, not_kept)

    def _copy_source(self, source: ObjectStore, key: str, if_match: str) -> dict[str, str]:
        if not isinstance(source, S3Store):
            raise UnsupportedError(f"{source.location} is no source for a copy within S3.")
        encoded = source._requests.encoded(Operation.COPY, key)  # noqa: SLF001 - of this class
        headers = {"x-amz-copy-source": f"/{source._config.bucket}/{encoded}"}  # noqa: SLF001
        if if_match:
            headers["x-amz-copy-source-if-match"] = f'"{if_match}"'
        return headers

    async def create_upload(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        await self._requests.check_key(Operation.CREATE_UPLOAD, key, has_body=True)
        return await self._uploads.create(key, attributes=attributes, options=options)

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        return await self._uploads.upload_part(key, upload_id, number, body, md5=md5)

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
        self._require(Operation.COPY_PART, key, able=self._requests.provider.part_copy)
        headers = self._copy_source(source, source_key, if_match)
        headers["x-amz-copy-source-range"] = f"bytes={offset}-{offset + length - 1}"
        return await self._uploads.copy_part(key, upload_id, number, source=headers, size=length)

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        return await self._uploads.complete(key, upload_id, parts)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._uploads.abort(key, upload_id)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        return await self._uploads.list_parts(key, upload_id)

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        return await self._uploads.list_uploads(key)

    async def get_tags(self, key: str) -> Mapping[str, str]:
        operation = Operation.GET_TAGS
        self._require(operation, key, able=self._requests.provider.tags)
        await self._requests.check_key(operation, key)
        response = await self._requests.send(operation, "GET", key, query={"tagging": ""})
        body = await self._requests.body_of(operation, key, response)
        with self._requests.xml_expected(operation, key):
            return xml.parse_tags(body)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        self._require(Operation.PUT_TAGS, key, able=self._requests.provider.tags)
        await self._requests.check_key(Operation.PUT_TAGS, key)
        if not tags:
            # Not every server takes an empty set.
            await self._requests.send(Operation.PUT_TAGS, "DELETE", key, query={"tagging": ""})
            return
        body = xml.tags_body(tags)
        digest = new_md5(body, usedforsecurity=False).digest()
        await self._requests.send(
            Operation.PUT_TAGS,
            "PUT",
            key,
            query={"tagging": ""},
            headers=content_md5(digest),
            body=body,
        )

    def _require(self, operation: Operation, key: str, *, able: bool) -> None:
        if not able:
            raise UnsupportedError(f"{self._requests.asked(operation, key)} is not possible there.")

    async def aclose(self) -> None:
        await self._requests.aclose()


@cache
def _capabilities(provider: Provider, url: str, principal: str) -> Capabilities:
    return Capabilities(
        server_copy=provider.server_copy and provider.part_copy,
        md5_etags=provider.md5_etags and provider.md5_multipart_etags,
        attributes=ALL_ATTRIBUTES - provider.loses,
        tags=provider.tags,
        max_key_bytes=MAX_KEY_BYTES,
        endpoint=url,
        principal=principal,
    )
