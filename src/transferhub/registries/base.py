"""The port to an image registry, and who asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from transferhub.registries.manifest import Descriptor, Digest, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """User and password, or an identity token in their place. Its `repr` shows no secret.

    Attributes:
        identity_token: an OAuth 2 refresh token, as some registries give instead of a password.
        expires_at: when the registry stops accepting it; None: not known.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    expires_at: datetime | None = None


class LoginSource(Protocol):
    """Gives a login that is valid now."""

    async def current(self, *, renewed: bool = False) -> Login | None:
        """The login to ask with; None: anonymous.

        Args:
            renewed: the last one was refused, so one that can be renewed is.

        Raises:
            StoreError: there should be one, and it could not be had.
        """

    def describe(self) -> str:
        """Who it is, for people. No secrets."""


class GivenLogin:
    """A login that was given and never changes; None: anonymous."""

    def __init__(self, login: Login | None = None) -> None:
        self._login = login

    async def current(self, *, renewed: bool = False) -> Login | None:
        return self._login

    def describe(self) -> str:
        if self._login is None:
            return "anonymous"
        if self._login.identity_token:
            return "an identity token, as given"
        return f"user {self._login.user}, as given"


class Registry(Protocol):
    """One registry: images in repositories, each a manifest that names blobs.

    A `reference` is a tag or a digest. Whatever may work later (an unreachable host, 408, 429, 5xx,
    an answer that ends early) is tried again within the registry's patience; then, and for all
    else, every verb raises a StoreError:

        NotFoundError     "not_found" (an image or blob), "no_repository", "no_blob" (of a manifest)
        DeniedError       "denied", "no_credentials", "bad_credentials", "expired_credentials",
                          "immutable_tag", "quota", "tls", "blocked_address"
        UnsupportedError  "unsupported", "no_registry", "no_catalog", "bad_reference",
                          "bad_manifest"
        CorruptError      bytes that are not those of their digest
        ThrottledError, TransientError

    All of it may be asked at once from many tasks of one event loop.
    """

    @property
    def host(self) -> str:
        """Name and port, as image references have them."""

    @property
    def location(self) -> str:
        """The host, for people."""

    @property
    def pulls_left(self) -> int | None:
        """Manifests that may still be read in this period, as the registry last said; None: it
        does not say. Docker Hub does, and looking (`head`) is free there."""

    async def check(self) -> None:
        """Returns if this is a registry that lets the login in."""

    async def login(self) -> Login | None:
        """The login that is in use, for a tool that carries blobs; None: anonymous."""

    def repositories(self) -> AsyncIterator[str]:
        """All that the login may see, each once, in the registry's order."""

    def tags(self, repository: str) -> AsyncIterator[str]:
        """Each once, in the registry's order. None of a repository without tags."""

    async def head(self, repository: str, reference: str) -> Descriptor:
        """What the manifest is, without its bytes where the registry tells its digest."""

    async def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest, whose bytes have its digest, which is `reference` if that is one."""

    async def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Idempotent. A manifest with a subject is among its `referrers` afterwards."""

    async def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Takes all its tags along. One that is not there raises NotFoundError."""

    async def referrers(self, repository: str, digest: Digest) -> Sequence[Descriptor]:
        """Manifests whose subject this is: signatures, attestations, lists of contents."""

    async def blob_size(self, repository: str, digest: Digest) -> int | None:
        """Bytes of a blob; None: it is not there."""

    def blob(
        self, repository: str, digest: Digest
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The blob piece by piece, inside the scope. Its end raises CorruptError where the bytes
        are not those of the digest."""

    async def mount(self, repository: str, digest: Digest, *, source: str) -> bool:
        """Lets a blob of the repository `source` be in this one too; False: it must be uploaded."""

    async def put_blob(self, repository: str, content: bytes) -> Digest:
        """Uploads a small blob at once. Idempotent."""

    async def aclose(self) -> None: ...
