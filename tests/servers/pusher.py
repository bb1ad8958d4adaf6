"""A plain client of a registry, to fill and inspect one independently of our code."""

import base64
import http.client
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

from tests.servers.oci_images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Blob,
    Manifest,
)

ACCEPTED = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"


class RegistryAnswerError(Exception):
    """The registry refused something; the message carries its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A manifest as a registry gives it."""

    content: bytes
    media_type: str
    digest: str


class Pusher:
    """One connection that is kept; usable as a context manager. Not for use by two threads."""

    def __init__(
        self, url: str, *, user: str = "", secret: str = "", ca: Path | None = None
    ) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        self._connection = (
            http.client.HTTPSConnection(
                host,
                port,
                timeout=30,
                context=ssl.create_default_context(cafile=None if ca is None else str(ca)),
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=30)
        )
        self._headers = {}
        if user:
            pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        # Which repositories are known to hold a blob, the one that was pushed to first.
        self._known: dict[str, list[str]] = {}

    def push(self, manifest: Manifest, repository: str, *tags: str) -> None:
        """Uploads all that is missing, and puts the manifest at its digest or at each tag.

        A blob that this client put elsewhere is mounted from there.
        """
        for blob in manifest.all_blobs.values():
            self.push_blob(blob, repository)
        for child in manifest.tree:
            if child is not manifest:
                self._put_manifest(child, repository, child.digest)
        self.tag(manifest, repository, *(tags or (manifest.digest,)))

    def push_blob(self, blob: Blob, repository: str) -> None:
        known = self._known.setdefault(blob.digest, [])
        if repository in known:
            return
        path = f"/v2/{repository}/blobs/uploads/"
        query = {"mount": blob.digest, "from": known[0]} if known else {}
        status, headers, body = self.ask("POST", f"{path}?{urlencode(query)}")
        if status == http.HTTPStatus.ACCEPTED:
            where = urlsplit(headers["location"])
            given = f"{where.query}&" if where.query else ""
            target = f"{where.path}?{given}{urlencode({'digest': blob.digest})}"
            kind = {"Content-Type": "application/octet-stream"}
            status, headers, body = self.ask("PUT", target, blob.content, kind)
        _expect(status, body, http.HTTPStatus.CREATED)
        known.append(repository)

    def tag(self, manifest: Manifest, repository: str, *references: str) -> None:
        """Puts a manifest whose parts are there at each tag or digest: one request each."""
        for reference in references:
            self._put_manifest(manifest, repository, reference)

    def _put_manifest(self, manifest: Manifest, repository: str, reference: str) -> None:
        status, _, body = self.ask(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            manifest.content,
            {"Content-Type": manifest.media_type},
        )
        _expect(status, body, http.HTTPStatus.CREATED)

    def manifest(self, repository: str, reference: str) -> Held | None:
        """What is at a tag or digest, or None."""
        path = f"/v2/{repository}/manifests/{reference}"
        status, headers, body = self.ask("GET", path, headers={"Accept": ACCEPTED})
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        _expect(status, body, http.HTTPStatus.OK)
        return Held(
            content=body,
            media_type=headers["content-type"],
            digest=headers["docker-content-digest"],
        )

    def digest(self, repository: str, reference: str) -> str | None:
        held = self.manifest(repository, reference)
        return None if held is None else held.digest

    def has_blob(self, repository: str, digest: str) -> bool:
        status, _, _ = self.ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        return status == http.HTTPStatus.OK

    def tags(self, repository: str) -> list[str]:
        status, _, body = self.ask("GET", f"/v2/{repository}/tags/list")
        if status == http.HTTPStatus.NOT_FOUND:
            return []
        _expect(status, body, http.HTTPStatus.OK)
        listed: Sequence[str] | None = json.loads(body)["tags"]
        return sorted(listed or ())

    def delete_manifest(self, repository: str, digest: str) -> None:
        status, _, body = self.ask("DELETE", f"/v2/{repository}/manifests/{digest}")
        _expect(status, body, http.HTTPStatus.ACCEPTED)

    def delete_blob(self, repository: str, digest: str) -> None:
        """Takes the blob from this repository; others may hold it all the same."""
        status, _, body = self.ask("DELETE", f"/v2/{repository}/blobs/{digest}")
        _expect(status, body, http.HTTPStatus.ACCEPTED)
        self._known.pop(digest, None)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Any request: status, headers with names in lower case, body."""
        self._connection.request(method, target, body, {**self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, answer.read()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _expect(status: int, body: bytes, wanted: int) -> None:
    if status != wanted:
        raise RegistryAnswerError(f"{status}: {body[:500].decode(errors='replace')}")
