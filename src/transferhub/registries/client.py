"""A Registry on the OCI distribution protocol, HTTP API version 2.

Source: OCI distribution-spec 1.1; what Docker's registry 2.8 and Amazon ECR do differently.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from transferhub.aws.patience import Patience
from transferhub.errors import StoreError, ThrottledError, TransientError, UnsupportedError
from transferhub.registries.auth import CATALOG, Scopes, deletes, pulls, pushes
from transferhub.registries.base import GivenLogin, Login, LoginSource
from transferhub.registries.errors import Asked, Operation, corrupt, garbled
from transferhub.registries.lines import Answer, chunks
from transferhub.registries.manifest import (
    ACCEPTED,
    MOST_MANIFEST_BYTES,
    Descriptor,
    Digest,
    Manifest,
    digest_of,
    is_digest,
    manifest_of,
)
from transferhub.registries.paging import next_target
from transferhub.registries.referrers import Referrers
from transferhub.registries.requests import Ask, RegistryConfig, Requests

_ACCEPT = {"accept": ", ".join(ACCEPTED)}
_BYTES = {"content-type": "application/octet-stream"}
_PAGE = 1000
"""The most that Amazon ECR and Docker's registry give at once."""

_SMALL_PAGE = 100
_MOST_PAGE_BYTES = 64 << 20
"""Docker's registry knows no pages of tags, and there may be a hundred thousand."""

_GREETING = timedelta(seconds=5)
"""For so long `check` waits for a registry: a person may have written another host."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9_][\w.-]*)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_MOVED = frozenset({200, 201, 202, 204})


class RegistryClient:
    """One registry host. Nothing is asked before the first verb; then once what it wants to be
    shown (`GET /v2/`), and from then on each verb takes the requests that it needs."""

    def __init__(
        self,
        config: RegistryConfig,
        logins: LoginSource | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        logins: anonymous where there is none.
        seconds: tells when tokens are to be renewed.

        Raises:
            InputError: the host is none.
        """
        self._config = config
        self._logins: LoginSource = logins or GivenLogin()
        self._requests = Requests(config, self._logins, seconds=seconds)
        self._referrers = Referrers(self)

    @property
    def host(self) -> str:
        return self._config.host

    @property
    def location(self) -> str:
        return self._config.origin if self._config.plain_http else self._config.host

    @property
    def pulls_left(self) -> int | None:
        return self._requests.pulls_left

    async def check(self) -> None:
        # Only a second request shows who asks; the first one tells that it is wanted.
        await self._requests.greet(_GREETING)
        await self._ask(Operation.GREET, "GET", "/v2/", ())

    async def login(self) -> Login | None:
        return await self._logins.current()

    def repositories(self) -> AsyncIterator[str]:
        return self._names(self._asked(Operation.CATALOG), "_catalog", "repositories", CATALOG)

    def tags(self, repository: str) -> AsyncIterator[str]:
        asked = self._asked(Operation.TAGS, repository)
        return self._names(asked, f"{repository}/tags/list", "tags", pulls(repository))

    async def head(self, repository: str, reference: str) -> Descriptor:
        asked = self._asked(Operation.HEAD, repository, reference)
        answer = await self._manifest(asked, "HEAD", passes=frozenset({200, 405}))
        digest = answer.fields["docker-content-digest"]
        media_type = _media_type(answer)
        if answer.status != HTTPStatus.OK or not is_digest(digest) or not media_type:
            return (await self.manifest(repository, reference)).descriptor
        if is_digest(reference) and _comparable(digest, reference) and digest != reference:
            raise corrupt(asked, digest, reference)
        length = answer.fields["content-length"]
        size = int(length) if length.isdecimal() else 0
        return Descriptor(media_type=media_type, digest=Digest(digest), size=size)

    async def manifest(self, repository: str, reference: str) -> Manifest:
        asked = self._asked(Operation.GET, repository, reference)
        answer = await self._manifest(asked, "GET")
        told = answer.fields["docker-content-digest"]
        for wanted in (reference, told):
            if is_digest(wanted):
                _check(asked, answer.body, wanted)
        found = manifest_of(answer.body, _media_type(answer))
        digest = next((one for one in (reference, told) if is_digest(one)), found.digest)
        return Manifest(media_type=found.media_type, digest=Digest(digest), content=found.content)

    async def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        asked = self._asked(Operation.PUT, repository, reference)
        if len(manifest.content) > MOST_MANIFEST_BYTES:
            raise UnsupportedError(
                f"{asked} failed: a manifest may have {MOST_MANIFEST_BYTES} bytes, and it has"
                f" {len(manifest.content)}.",
                code="bad_manifest",
            )
        answer = await self._requests.send(
            Ask(
                asked=asked,
                method="PUT",
                target=f"/v2/{repository}/manifests/{reference}",
                scopes=pushes(repository),
                headers={"content-type": manifest.media_type},
                body=manifest.content,
                passes=_MOVED,
            )
        )
        told = answer.fields["docker-content-digest"]
        if is_digest(told) and _comparable(told, manifest.digest) and told != manifest.digest:
            raise corrupt(asked, told, manifest.digest)
        if not answer.fields["oci-subject"]:
            await self._referrers.add(repository, manifest)

    async def delete_manifest(self, repository: str, digest: Digest) -> None:
        path = f"/v2/{repository}/manifests/{digest}"
        asked = self._asked(Operation.DELETE, repository, digest)
        await self._requests.send(
            Ask(
                asked=asked,
                method="DELETE",
                target=path,
                scopes=deletes(repository),
                passes=_MOVED,
            )
        )

    async def referrers(self, repository: str, digest: Digest) -> Sequence[Descriptor]:
        return await self._referrers.of(repository, digest)

    async def referrers_page(
        self, repository: str, digest: Digest, target: str, *, passes: frozenset[int]
    ) -> Answer:
        """One page of the referrers API."""
        return await self._requests.send(
            Ask(
                asked=self._asked(Operation.REFERRERS, repository, digest),
                method="GET",
                target=target,
                scopes=pulls(repository),
                headers=_ACCEPT,
                passes=passes,
                most_bytes=MOST_MANIFEST_BYTES,
            )
        )

    async def blob_size(self, repository: str, digest: Digest) -> int | None:
        asked = self._asked(Operation.HEAD_BLOB, repository, digest)
        answer = await self._requests.send(
            Ask(
                asked=asked,
                method="HEAD",
                target=f"/v2/{repository}/blobs/{digest}",
                scopes=pulls(repository),
                passes=frozenset({200, 404}),
            )
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        length = answer.fields["content-length"]
        return int(length) if length.isdecimal() else 0

    @asynccontextmanager
    async def blob(self, repository: str, digest: Digest) -> AsyncIterator[AsyncIterator[bytes]]:
        asked = self._asked(Operation.GET_BLOB, repository, digest)
        async with aclosing(self._pieces(asked)) as pieces:
            yield pieces

    async def mount(self, repository: str, digest: Digest, *, source: str) -> bool:
        asked = self._asked(Operation.MOUNT, repository, digest)
        self._asked(Operation.MOUNT, source)
        query = urlencode({"mount": digest, "from": source}, safe=":/")
        scopes = pushes(repository, source=source)
        target = f"/v2/{repository}/blobs/uploads/?{query}"
        answer = await self._start(asked, target, scopes)
        if answer.status == HTTPStatus.CREATED:
            return True
        if location := answer.fields["location"]:
            # The upload that was begun instead is of no use; some registries keep it for ever.
            with suppress(StoreError):
                url = self._requests.resolve(location, target)
                await self._requests.send(
                    Ask(asked=asked, method="DELETE", url=url, scopes=scopes, passes=_MOVED)
                )
        return False

    async def put_blob(self, repository: str, content: bytes) -> Digest:
        digest = digest_of(content)
        asked = self._asked(Operation.PUT_BLOB, repository, digest)
        patience = Patience(self._config.patience)
        while True:
            try:
                await self._upload(asked, content)
            except (ThrottledError, TransientError):
                # An upload whose end was lost cannot be ended again, and starts over.
                if not await patience.pause():
                    raise
            else:
                return digest

    async def _upload(self, asked: Asked, content: bytes) -> None:
        target = f"/v2/{asked.repository}/blobs/uploads/"
        scopes = pushes(asked.repository)
        location = (await self._start(asked, target, scopes)).fields["location"]
        if not location:
            raise garbled(asked, "it says not where to upload to")
        url = self._requests.resolve(location, target)
        mark = "&" if "?" in url else "?"
        await self._requests.send(
            Ask(
                asked=asked,
                method="PUT",
                url=f"{url}{mark}{urlencode({'digest': asked.reference})}",
                scopes=scopes,
                headers=_BYTES,
                body=content,
                passes=_MOVED,
                once=True,
            )
        )

    async def _start(self, asked: Asked, target: str, scopes: Scopes) -> Answer:
        return await self._requests.send(
            Ask(asked=asked, method="POST", target=target, scopes=scopes, body=b"", passes=_MOVED)
        )

    async def aclose(self) -> None:
        await self._requests.aclose()

    def _asked(self, operation: Operation, repository: str = "", reference: str = "") -> Asked:
        """Raises:
        UnsupportedError: no registry can have such names.
        """
        asked = Asked(
            operation=operation, host=self.host, repository=repository, reference=reference
        )
        named = not repository or _NAME.fullmatch(repository)
        if not named or not (not reference or _TAG.fullmatch(reference) or is_digest(reference)):
            raise UnsupportedError(
                f"{asked} is refused: no registry can have such a name; check it.",
                code="bad_reference",
            )
        return asked

    async def _ask(self, operation: Operation, method: str, target: str, scopes: Scopes) -> Answer:
        asked = self._asked(operation)
        return await self._requests.send(
            Ask(asked=asked, method=method, target=target, scopes=scopes)
        )

    async def _manifest(
        self, asked: Asked, method: str, *, passes: frozenset[int] = frozenset({200})
    ) -> Answer:
        return await self._requests.send(
            Ask(
                asked=asked,
                method=method,
                target=f"/v2/{asked.repository}/manifests/{asked.reference}",
                scopes=pulls(asked.repository),
                headers=_ACCEPT,
                passes=passes,
                most_bytes=MOST_MANIFEST_BYTES,
            )
        )

    async def _pieces(self, asked: Asked) -> AsyncGenerator[bytes, None]:
        """Goes on where it was after the connection broke."""
        algorithm = asked.reference.partition(":")[0]
        hashed, got = hashlib.new(algorithm), 0
        patience, broken_at = Patience(self._config.patience), 0
        while True:
            try:
                async with aclosing(self._from(asked, got)) as pieces:
                    async for piece in pieces:
                        got += len(piece)
                        hashed.update(piece)
                        if self._config.bandwidth is not None:
                            await self._config.bandwidth.take(len(piece))
                        yield piece
                break
            except TransientError:
                if got > broken_at:
                    patience, broken_at = Patience(self._config.patience), got
                if not await patience.pause():
                    raise
        if (found := f"{algorithm}:{hashed.hexdigest()}") != asked.reference:
            raise corrupt(asked, found, asked.reference)

    async def _from(self, asked: Asked, offset: int) -> AsyncGenerator[bytes, None]:
        ask = Ask(
            asked=asked,
            method="GET",
            target=f"/v2/{asked.repository}/blobs/{asked.reference}",
            scopes=pulls(asked.repository),
            headers={"range": f"bytes={offset}-"} if offset else {},
            passes=frozenset({200, 206}) if offset else frozenset({200}),
        )
        async with self._requests.open(ask) as response:
            # A registry may give all of it again.
            skip = 0 if response.status == HTTPStatus.PARTIAL_CONTENT else offset
            async with aclosing(chunks(asked, response)) as pieces:
                async for piece in pieces:
                    skipped = min(skip, len(piece))
                    skip -= skipped
                    if skipped < len(piece):
                        yield piece[skipped:]

    async def _names(
        self, asked: Asked, path: str, field: str, scopes: Scopes
    ) -> AsyncIterator[str]:
        """The names on all pages, each once."""
        target = f"/v2/{path}?n={_PAGE}"
        seen: set[str] = set()
        visited: set[str] = set()
        while target:
            visited.add(target)
            try:
                answer = await self._requests.send(
                    Ask(
                        asked=asked,
                        method="GET",
                        target=target,
                        scopes=scopes,
                        most_bytes=_MOST_PAGE_BYTES,
                    )
                )
            except UnsupportedError as error:
                smaller = f"/v2/{path}?n={_SMALL_PAGE}"
                if error.vendor_code != "PAGINATION_NUMBER_INVALID" or smaller in visited:
                    raise
                target = smaller
                continue
            for name in _read_names(asked, answer, field):
                if name not in seen:
                    seen.add(name)
                    yield name
            target = next_target(answer.fields["link"], target)
            if target in visited:
                raise StoreError(
                    f"{asked} failed: the registry gives the same page again and again; name what"
                    " is wanted instead.",
                    code="listing_loops",
                )


def _read_names(asked: Asked, answer: Answer, field: str) -> list[str]:
    try:
        names = json.loads(answer.body)[field] or []
    except (ValueError, KeyError, TypeError) as error:
        raise garbled(asked, f"it has no {field}") from error
    if not isinstance(names, list):
        raise garbled(asked, f"its {field} are no list")
    return [str(name) for name in names]


def _media_type(answer: Answer) -> str:
    """What kind of manifest it is; "" where it does not say."""
    told = answer.fields["content-type"].partition(";")[0].strip().lower()
    return told if told.startswith("application/vnd.") else ""


def _comparable(one: str, other: str) -> bool:
    return one.partition(":")[0] == other.partition(":")[0]


def _check(asked: Asked, content: bytes, wanted: str) -> None:
    found = digest_of(content, wanted.partition(":")[0])
    if found != wanted:
        raise corrupt(asked, found, wanted)
