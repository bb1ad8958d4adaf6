"""The body of one object, open for reading."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import TracebackType
from typing import Self

from transferhub.errors import ChangedError, StoreError
from transferhub.model.objects import ObjectInfo
from transferhub.stores.s3.errors import Asked, Operation, garbled, short_body, unreachable
from transferhub.stores.s3.headers import read_info
from transferhub.stores.s3.requests import Requests
from transferhub.stores.s3.transport import TransportError

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class S3Reader:
    """An ObjectReader, and the scope in which it is valid."""

    __slots__ = (
        "_answer",
        "_if_match",
        "_info",
        "_key",
        "_length",
        "_offset",
        "_requests",
        "_size",
        "length",
    )

    def __init__(
        self, requests: Requests, key: str, *, offset: int, length: int | None, if_match: str
    ) -> None:
        self._requests = requests
        self._key = key
        self._offset = offset
        self._length = length
        self._if_match = if_match
        self._info: ObjectInfo | None = None
        self.length = 0

    async def __aenter__(self) -> Self:
        await self._requests.check_key(Operation.GET, self._key)
        await self._open()
        try:
            self._measure()
        except BaseException:
            await self._answer.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._answer.close(kind, error, trace)

    async def _open(self) -> None:
        try:
            self._answer = await self._requests.open(self._key, self._headers())
        except ChangedError:
            # Some servers say so of an object that is not there at all.
            await self._requests.send(Operation.HEAD, "HEAD", self._key)
            raise
        except StoreError as error:
            if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            if self._offset:
                raise self._changed(f"it ends before byte {self._offset}") from error
            # The object is empty, and so has no range at all.
            self._length = None
            self._answer = await self._requests.open(self._key, self._headers())

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._offset or self._length is not None:
            end = "" if self._length is None else self._offset + self._length - 1
            headers["range"] = f"bytes={self._offset}-{end}"
        if self._if_match:
            headers["if-match"] = f'"{self._if_match}"'
        return headers

    def _measure(self) -> None:
        headers = self._answer.headers
        etag = headers.get("etag", "").strip('"')
        if self._if_match and etag != self._if_match:
            # Some servers ignore If-Match.
            raise self._changed(f"its ETag is {etag!r} and not {self._if_match!r}")
        if "content-range" in headers:
            found = _CONTENT_RANGE.fullmatch(headers["content-range"])
            if found is None or int(found[1]) != self._offset:
                raise garbled(self._asked, "another range than asked for")
            self.length = int(found[2]) - self._offset + 1
            self._size = int(found[3])
            return
        if not headers.get("content-length", "").isdigit():
            raise garbled(self._asked, "a body of no known length")
        self.length = self._size = int(headers["content-length"])
        if self._offset or (self._length is not None and self._length < self._size):
            raise garbled(self._asked, "the whole object instead of a range")

    def _changed(self, reason: str) -> ChangedError:
        return ChangedError(f"{self._asked} failed: {reason}.")

    @property
    def info(self) -> ObjectInfo:
        if self._info is None:
            self._info = read_info(self._key, self._answer.headers, self._size)
        return self._info

    async def read(self) -> bytes:
        try:
            body = await self._answer.response.read()
        except TransportError as error:
            raise unreachable(self._asked, error) from error
        if len(body) != self.length:
            raise short_body(self._asked, len(body), self.length)
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        got = 0
        try:
            async for chunk in self._answer.response.chunks():
                got += len(chunk)
                yield chunk
        except TransportError as error:
            raise unreachable(self._asked, error) from error
        if got != self.length:
            raise short_body(self._asked, got, self.length)

    @property
    def _asked(self) -> Asked:
        return self._requests.asked(Operation.GET, self._key)
