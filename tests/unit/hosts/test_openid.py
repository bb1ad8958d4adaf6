"""A real server on this machine, over HTTP and HTTPS."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.servers.certificates import make_certificates
from transferhub.control.openid import IssuerKeys, OpenId, OpenIdRules
from transferhub.errors import AccessError
from transferhub.hosts.openid import HttpJson
from transferhub.model.clock import utc_now
from transferhub.model.people import Role


class Provider:
    """Answers each path with the bytes that it was given."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.url = ""

    def put(self, path: str, value: object, status: str = "200 OK") -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.pages[path] = (status, body)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, body = self.pages.get(head.split()[1].decode(), ("404 Not Found", b""))
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nlocation: /keys\r\n"
            "connection: close\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def provider_on(tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    provider = Provider()
    server = await asyncio.start_server(provider.answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        provider.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provider_on() as provider:
        yield provider


@pytest.fixture
async def fetch() -> AsyncIterator[HttpJson]:
    fetch = HttpJson()
    yield fetch
    await fetch.aclose()


async def test_a_token_is_verified_with_keys_from_the_network(
    provider: Provider, fetch: HttpJson
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "k"})
    keys_url = f"{provider.url}/keys"
    provider.put(
        "/.well-known/openid-configuration", {"issuer": provider.url, "jwks_uri": keys_url}
    )
    provider.put("/keys", KeySet([key]).as_dict())
    rules = OpenIdRules(issuer=provider.url, audience="hub", roles={"g": Role.ADMIN})
    openid = OpenId(rules, IssuerKeys(fetch, provider.url, utc_now), utc_now)
    claims = {"iss": provider.url, "aud": "hub", "sub": "ann", "groups": ["g"]}
    claims["exp"] = int(utc_now().timestamp()) + 300  # type: ignore[assignment]
    token = jwt.encode({"alg": "RS256", "kid": "k"}, claims, key)
    caller = await openid.caller(token)
    assert (caller.name, caller.role) == ("ann", Role.ADMIN)


async def test_https_is_trusted_only_with_a_known_certificate(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    async with provider_on(tls) as provider:
        provider.put("/x", {"a": 1})
        trusting = HttpJson(ssl.create_default_context(cafile=str(made.ca)))
        assert await trusting.get(f"{provider.url}/x") == {"a": 1}
        await trusting.aclose()
        distrusting = HttpJson()
        with pytest.raises(AccessError, match="did not answer"):
            await distrusting.get(f"{provider.url}/x")
        await distrusting.aclose()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        ("500 Oops", b"{}", "status 500"),
        ("302 Found", b"{}", "status 302"),
        ("200 OK", b"<html>", "JSON"),
        ("200 OK", b"\xff", "JSON"),
        ("200 OK", b"[" * (2 << 20), "too much"),
    ],
)
async def test_a_bad_answer_is_told(
    provider: Provider, fetch: HttpJson, status: str, body: bytes, words: str
) -> None:
    provider.put("/x", body, status)
    with pytest.raises(AccessError, match=words) as caught:
        await fetch.get(f"{provider.url}/x")
    assert caught.value.code == "no_provider"


async def test_nobody_there_is_told(fetch: HttpJson, provider: Provider) -> None:
    async with provider_on() as gone:
        url = gone.url
    with pytest.raises(AccessError, match="did not answer"):
        await fetch.get(url)


@pytest.mark.parametrize(
    "url", ["http://login.example.org/", "http://127.0.0.1.example.org/", "file:///etc/passwd",
            "ftp://127.0.0.1/", "", "http://[", "http://169.254.169.254/"],
)  # fmt: skip
async def test_plain_http_is_for_this_machine_alone(fetch: HttpJson, url: str) -> None:
    with pytest.raises(AccessError, match="is not HTTPS") as caught:
        await fetch.get(url)
    assert caught.value.code == "no_provider"


@pytest.mark.parametrize(
    "url", ["https://169.254.169.254/keys", "https://metadata.google.internal/keys"]
)
async def test_a_metadata_service_is_not_asked(url: str) -> None:
    fetch = HttpJson()
    with pytest.raises(AccessError, match="metadata service") as caught:
        await fetch.get(url)
    assert caught.value.code == "no_provider"
    await fetch.aclose()
