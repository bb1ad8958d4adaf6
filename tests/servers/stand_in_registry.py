"""A small registry in the test's own event loop, for what real ones do only elsewhere: tokens,
pages, redirects to blob storage, throttling, broken answers, the referrers API."""

import asyncio
import base64
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.servers.oci_images import OCI_INDEX, Blob, Manifest, digest_of

_PAGES = ("tags/list", "referrers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request; names of headers in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """An answer.

    Attributes:
        cut: so many bytes of the body are sent, then the connection is reset.
        reset: the connection is reset instead of an answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    reset: bool = False


def refusal(status: int, code: str, message: str = "", **headers: str) -> Say:
    """As registries word one; `retry_after` becomes Retry-After."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Say(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a registry that gives tokens asks for.

    Attributes:
        account: user and password that it wants; anyone gets one where there is none.
        identity: an identity token that it takes, too.
        valid_seconds: None: it does not say for how long.
        allowed: repositories; others' tokens allow nothing. None: all.
    """

    account: tuple[str, str] | None = None
    identity: str = ""
    valid_seconds: int | None = 300
    allowed: frozenset[str] | None = None


class StandInRegistry:
    """Holds what `put` and uploads put there.

    Attributes:
        seen: every request, in order.
        faults: answers that come before any other to what a test picks; see `fail`.
        tokens: None: open to everyone.
        page: most tags a page; it heeds no `n` beyond that.
        absolute: where its links begin with, such as http://inside.test.
        digests: whether it tells them.
        referrers_api: whether it has one.
        storage: URL before /blobs to which readers of blobs are sent.
    """

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.tokens = tokens
        self.seen: list[Seen] = []
        self.page = 1_000_000
        self.absolute = ""
        self.digests = True
        self.heads = True
        self.referrers_api = False
        self.storage = ""
        self.blobs: dict[str, bytes] = {}
        self.tags: list[str] = []
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.given: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.under_way = 0
        self.most_under_way = 0
        self.slowness = 0.0
        self._faults: list[tuple[Callable[[Seen], bool], deque[Say]]] = []
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def put(self, manifest: Manifest, *tags: str) -> None:
        for below in manifest.tree:
            self.manifests[below.digest] = (below.media_type, below.content)
        for tag in tags:
            self.manifests[tag] = (manifest.media_type, manifest.content)
            self.tags.append(tag)
        self.blobs |= {digest: blob.content for digest, blob in manifest.all_blobs.items()}

    def put_blob(self, blob: Blob) -> None:
        self.blobs[blob.digest] = blob.content

    def fail(self, *answers: Say, method: str = "", path: str = "/v2/") -> None:
        """Gives these answers to the next such requests, the paths of which have `path` in them."""

        def fits(seen: Seen) -> bool:
            return (not method or seen.method == method) and path in seen.path

        self._faults.append((fits, deque(answers)))

    def asked(self, method: str, path: str = "/v2/") -> list[Seen]:
        return [one for one in self.seen if one.method == method and path in one.path]

    async def count(self, least: int) -> None:
        """Returns when so many requests have come."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.seen) >= least)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.splitlines()
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(": ") for line in lines if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(method=method, target=target, headers=headers, body=body)
        async with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.slowness:
            await asyncio.sleep(self.slowness)
        self.under_way -= 1
        return await _send(writer, seen, self._answer(seen))

    def _answer(self, seen: Seen) -> Say:
        for fits, answers in self._faults:
            if answers and fits(seen):
                return answers.popleft()
        if seen.path == "/token":
            return self._give_token(seen)
        if self.tokens is not None and not self._is_allowed(seen):
            return self._challenge(seen)
        return self._route(seen)

    # Tokens

    def _give_token(self, seen: Seen) -> Say:
        assert self.tokens is not None
        form = dict(parse_qsl(seen.body.decode()))
        scopes = form["scope"].split() if form else seen.query.get("scope", [])
        if not self._knows(seen, form):
            return refusal(401, "UNAUTHORIZED", "incorrect username or password")
        token = f"token-{len(self.given) + 1}"
        self.given[token] = " ".join(scopes)
        document: dict[str, object] = {"access_token" if form else "token": token}
        if self.tokens.valid_seconds is not None:
            document["expires_in"] = self.tokens.valid_seconds
        return _json(document)

    def _knows(self, seen: Seen, form: Mapping[str, str]) -> bool:
        assert self.tokens is not None
        if form:
            return bool(self.tokens.identity) and form["refresh_token"] == self.tokens.identity
        if self.tokens.account is None:
            return True
        pair = base64.b64encode(":".join(self.tokens.account).encode()).decode()
        return seen.headers.get("authorization") == f"Basic {pair}"

    def _is_allowed(self, seen: Seen) -> bool:
        assert self.tokens is not None
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.revoked or token not in self.given:
            return False
        wanted = _scope_of(seen)
        allowed = self.tokens.allowed
        if allowed is not None and wanted and wanted.split(":")[1] not in allowed:
            return False
        *start, actions = wanted.split(":") if wanted else ("",)
        granted = [scope.split(":") for scope in self.given[token].split()]
        return not wanted or any(
            one[:-1] == start and set(actions.split(",")) <= set(one[-1].split(","))
            for one in granted
        )

    def _challenge(self, seen: Seen) -> Say:
        parts = [f'Bearer realm="{self.url}/token"', 'service="stand-in"']
        if scope := _scope_of(seen):
            parts.append(f'scope="{scope}"')
        shown = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if shown:
            good = shown in self.given and shown not in self.revoked
            parts.append(f'error="{"insufficient_scope" if good else "invalid_token"}"')
        said = refusal(401, "UNAUTHORIZED", "authentication required")
        return Say(status=401, headers={"WWW-Authenticate": ",".join(parts)}, body=said.body)

    # Content

    def _route(self, seen: Seen) -> Say:
        path = seen.path
        if path == "/v2/":
            return _json({})
        if path == "/v2/_catalog":
            return self._list(seen, "repositories", ["app/web", "app/api", "base"])
        if path.endswith("/tags/list"):
            return self._list(seen, "tags", self.tags)
        _, _, rest = path.partition("/manifests/")
        if rest:
            return self._manifest(seen, rest)
        _, _, rest = path.partition("/referrers/")
        if rest and self.referrers_api:
            return self._referrers(seen, rest)
        if "/blobs/" in path:
            return self._blob(seen, path.rpartition("/")[2])
        return Say(status=404, body=b"404 page not found\n")

    def _list(self, seen: Seen, name: str, all_of_it: Sequence[str]) -> Say:
        last = seen.query.get("last", [""])[0]
        start = all_of_it.index(last) + 1 if last else 0
        rows = all_of_it[start : start + self.page]
        headers = {}
        if start + self.page < len(all_of_it):
            where = f"{self.absolute}{seen.path}?last={rows[-1]}&n={self.page}"
            headers["Link"] = f'<{where}>; rel="next"'
        return _json({"name": "x", name: rows}, **headers)

    def _manifest(self, seen: Seen, reference: str) -> Say:
        if seen.method == "PUT":
            digest = digest_of(seen.body)
            held = (seen.headers["content-type"], seen.body)
            self.manifests[reference] = self.manifests[digest] = held
            headers = {"Docker-Content-Digest": digest}
            subject = json.loads(seen.body).get("subject")
            if subject and self.referrers_api:
                headers["OCI-Subject"] = subject["digest"]
            return Say(status=201, headers=headers)
        found = self.manifests.get(reference)
        if found is None:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if seen.method == "HEAD" and not self.heads:
            return Say(status=405)
        headers = {"Content-Type": found[0]}
        if self.digests:
            headers["Docker-Content-Digest"] = digest_of(found[1])
        return Say(headers=headers, body=found[1])

    def _referrers(self, seen: Seen, digest: str) -> Say:
        rows = []
        for key, (kind, content) in self.manifests.items():
            document = json.loads(content)
            if key.startswith("sha256:") and document.get("subject", {}).get("digest") == digest:
                rows.append(
                    {
                        "mediaType": kind,
                        "digest": key,
                        "size": len(content),
                        "artifactType": document.get("artifactType", ""),
                    }
                )
        start = int(seen.query.get("from", ["0"])[0])
        headers = {"Content-Type": OCI_INDEX}
        if start + self.page < len(rows):
            headers["Link"] = f'<?from={start + self.page}>; rel="next"'
        document = {"schemaVersion": 2, "manifests": rows[start : start + self.page]}
        return Say(headers=headers, body=json.dumps(document).encode())

    def _blob(self, seen: Seen, name: str) -> Say:
        if seen.method == "POST":
            mounted = seen.query.get("mount", [""])[0]
            if mounted in self.blobs:
                return Say(status=201)
            return Say(status=202, headers={"Location": f"{self.absolute}{seen.path}7?state=a%3Db"})
        if seen.method == "DELETE":
            return Say(status=204)
        if seen.method == "PUT":
            digest = seen.query["digest"][0]
            if digest_of(seen.body) != digest:
                return refusal(400, "DIGEST_INVALID", "provided digest did not match")
            self.blobs[digest] = seen.body
            return Say(status=201)
        if name not in self.blobs:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.storage and seen.method == "GET":
            return Say(status=307, headers={"Location": f"{self.storage}/v2/x/blobs/{name}"})
        return self._bytes(seen, self.blobs[name])

    def _bytes(self, seen: Seen, content: bytes) -> Say:
        asked = seen.headers.get("range", "")
        if asked:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            return Say(status=206, body=content[start:])
        return Say(body=content)


def _scope_of(seen: Seen) -> str:
    """What a token must allow for this."""
    if seen.path == "/v2/_catalog":
        return "registry:catalog:*"
    for mark in ("/manifests/", "/blobs/", *(f"/{page}" for page in _PAGES)):
        name, found, _ = seen.path.partition(mark)
        if found:
            actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(seen.method)
            return f"repository:{name.removeprefix('/v2/')}:{actions or 'pull,push'}"
    return ""


def _json(document: object, **headers: str) -> Say:
    fields = {"Content-Type": "application/json", **headers}
    return Say(headers=fields, body=json.dumps(document).encode())


async def _send(writer: asyncio.StreamWriter, seen: Seen, said: Say) -> bool:
    """Whether the connection is still good."""
    if said.reset:
        writer.transport.abort()
        return False
    fields = {"Content-Length": str(len(said.body)), **said.headers}
    lines = [f"HTTP/1.1 {said.status} x", *(f"{k}: {v}" for k, v in fields.items()), "", ""]
    body = b"" if seen.method == "HEAD" else said.body
    writer.write("\r\n".join(lines).encode() + (body if said.cut is None else body[: said.cut]))
    await writer.drain()
    if said.cut is not None:
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return False
    return True
