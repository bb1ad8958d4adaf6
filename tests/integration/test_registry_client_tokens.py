"""Registries that want a token: one a repository, kept, renewed, and shown to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.servers import oci_images as oci
from tests.servers.stand_in_registry import Say, StandInRegistry, Tokens, refusal
from transferhub.errors import DeniedError, StoreError
from transferhub.registries import (
    Digest,
    GivenLogin,
    Login,
    RegistryClient,
    RegistryConfig,
    manifest_of,
)

IMAGE = oci.image("a")
ACCOUNT = ("mover", "a-secret")
LOGIN = Login(user="mover", password="a-secret")


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asking(
    tokens: Tokens | None = None,
    login: Login | None = None,
    *,
    seconds: Seconds | None = None,
    patience: timedelta = timedelta(seconds=5),
) -> AsyncIterator[tuple[StandInRegistry, RegistryClient]]:
    async with StandInRegistry(tokens) as registry:
        registry.put(IMAGE, "1.0", "2.0")
        config = RegistryConfig(host=registry.host, plain_http=True, patience=patience)
        client = RegistryClient(config, GivenLogin(login), seconds=seconds or Seconds())
        yield registry, client
        await client.aclose()


async def test_anyone_may_get_a_token_of_a_public_registry() -> None:
    async with asking(Tokens()) as (registry, client):
        assert (await client.head("app/web", "1.0")).digest == IMAGE.digest
        (token,) = registry.asked("GET", "/token")
        assert token.query == {"service": ["stand-in"], "scope": ["repository:app/web:pull"]}
        assert "authorization" not in token.headers


async def test_a_token_is_got_once_for_each_repository() -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        names = [f"app/{n % 4}" for n in range(40)]
        await asyncio.gather(*(client.head(name, "1.0") for name in names))
        assert len(registry.asked("GET", "/token")) == 4
        # One greeting, and then each is asked once.
        assert len(registry.asked("HEAD")) == 40
        assert [one.path for one in registry.asked("GET")].count("/v2/") == 1
        assert registry.asked("GET", "/token")[0].query["account"] == ["mover"]


async def test_a_token_to_write_serves_reading_too() -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        await client.put_manifest("app/web", "3.0", manifest_of(IMAGE.content))
        await client.head("app/web", "3.0")
        (token,) = registry.asked("GET", "/token")
        assert token.query["scope"] == ["repository:app/web:pull,push"]


async def test_a_mount_takes_a_token_for_both_repositories() -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        assert await client.mount("new", Digest(IMAGE.blobs[0].digest), source="app/web")
        (token,) = registry.asked("GET", "/token")
        assert token.query["scope"] == ["repository:new:pull,push", "repository:app/web:pull"]


async def test_other_verbs_ask_for_what_they_need() -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        await client.check()
        assert [name async for name in client.repositories()] == ["app/web", "app/api", "base"]
        await client.delete_manifest("app/web", Digest(IMAGE.digest))
        scopes = [one.query.get("scope") for one in registry.asked("GET", "/token")]
        assert scopes == [None, ["registry:catalog:*"], ["repository:app/web:delete,pull,push"]]


async def test_a_token_is_renewed_before_it_expires() -> None:
    seconds = Seconds()
    tokens = Tokens(account=ACCOUNT, valid_seconds=300)
    async with asking(tokens, LOGIN, seconds=seconds) as (registry, client):
        for later, expected in ((0, 1), (260, 1), (15, 2), (100, 2)):
            seconds.now += later
            await client.head("app/web", "1.0")
            assert len(registry.asked("GET", "/token")) == expected
        assert len(registry.asked("HEAD")) == 4


async def test_a_token_that_does_not_say_how_long_is_valid_for_a_minute() -> None:
    seconds = Seconds()
    async with asking(Tokens(valid_seconds=None), seconds=seconds) as (registry, client):
        for later, expected in ((0, 1), (40, 1), (10, 2)):
            seconds.now += later
            await client.head("app/web", "1.0")
            assert len(registry.asked("GET", "/token")) == expected


async def test_a_token_that_is_revoked_is_replaced() -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        await client.head("app/web", "1.0")
        registry.revoked |= registry.given.keys()
        await asyncio.gather(*(client.head("app/web", "1.0") for _ in range(8)))
        assert len(registry.asked("GET", "/token")) == 2


async def test_an_identity_token_is_exchanged() -> None:
    login = Login(identity_token="long-lived")
    async with asking(Tokens(account=ACCOUNT, identity="long-lived"), login) as (registry, client):
        await client.head("app/web", "1.0")
        (token,) = registry.asked("POST", "/token")
        assert b"grant_type=refresh_token" in token.body
        assert "long-lived" not in repr(login)


async def test_a_repository_that_is_not_open_fails_alone_and_at_once() -> None:
    tokens = Tokens(account=ACCOUNT, allowed=frozenset({"app/web"}))
    async with asking(tokens, LOGIN) as (registry, client):
        with pytest.raises(DeniedError) as caught:
            await client.head("secret/web", "1.0")
        assert caught.value.code == "denied"
        assert len(registry.asked("HEAD")) == 1
        await client.head("app/web", "1.0")


@pytest.mark.parametrize(
    ("login", "code"),
    [(None, "denied"), (Login(user="mover", password="wrong-secret"), "bad_credentials")],
)
async def test_no_token_is_told(login: Login | None, code: str) -> None:
    async with asking(Tokens(account=ACCOUNT), login) as (registry, client):
        with pytest.raises(DeniedError) as caught:
            await client.head("app/web", "1.0")
        assert caught.value.code == code
        assert "127.0.0.1" in caught.value.message
        assert "wrong-secret" not in caught.value.message
        assert len(registry.asked("GET", "/token")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(503, "UNAVAILABLE"),
        refusal(429, "TOOMANYREQUESTS"),
        Say(reset=True),
        Say(body=b"<html>"),
        Say(body=b'{"token": 5}'),
    ],
)
async def test_a_token_that_does_not_come_is_asked_for_again(answer: Say) -> None:
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        registry.fail(answer, path="/token")
        await client.head("app/web", "1.0")
        assert len(registry.asked("GET", "/token")) == 2


async def test_a_place_of_tokens_without_tls_is_shown_no_password() -> None:
    header = {"WWW-Authenticate": 'Bearer realm="ftp://127.0.0.1/token"'}
    async with asking(None, LOGIN) as (registry, client):
        registry.fail(*[Say(status=401, headers=header)] * 2)
        with pytest.raises(DeniedError) as caught:
            await client.head("app/web", "1.0")
        assert caught.value.code == "tls"


async def test_a_registry_that_only_some_verbs_need_a_login_for() -> None:
    """It greets everybody, and asks who it is when something is wanted."""
    async with asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client):
        registry.fail(Say(body=b"{}"), path="/v2/")
        await client.head("app/web", "1.0")
        await client.head("app/web", "2.0")
        assert len(registry.asked("HEAD")) == 3
        assert len(registry.asked("GET", "/token")) == 1


async def test_blob_storage_elsewhere_is_not_shown_who_asks() -> None:
    async with (
        asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client),
        StandInRegistry() as far,
    ):
        far.put(IMAGE)
        registry.storage = far.url
        for blob in IMAGE.blobs:
            async with client.blob("app/web", Digest(blob.digest)) as pieces:
                assert b"".join([piece async for piece in pieces]) == blob.content
        assert len(far.seen) == 2
        assert all("authorization" not in one.headers for one in far.seen)
        assert all("authorization" in one.headers for one in registry.asked("GET", "/blobs/"))


async def test_an_upload_elsewhere_is_not_shown_who_asks() -> None:
    async with (
        asking(Tokens(account=ACCOUNT), LOGIN) as (registry, client),
        StandInRegistry() as far,
    ):
        registry.absolute = far.url
        digest = await client.put_blob("app/web", b"content")
        assert far.blobs == {digest: b"content"}
        assert all("authorization" not in one.headers for one in far.seen)


async def test_a_redirect_to_a_metadata_service_without_tls_is_not_followed() -> None:
    async with asking() as (registry, client):
        registry.fail(
            Say(status=307, headers={"Location": "file:///etc/passwd"}), path="/manifests/"
        )
        with pytest.raises(StoreError) as caught:
            await client.manifest("app/web", "1.0")
        assert caught.value.code == "tls"
