"""Amazon ECR's logins and hosts, against ministack and against scripted answers."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.servers import oci_images as oci
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import ACCOUNT, MinistackServer
from tests.servers.receivers import Answer, HttpReceiver
from tests.servers.stand_in_registry import StandInRegistry, refusal
from transferhub.aws.client import ECR, AwsClient
from transferhub.errors import DeniedError, StoreError, UnsupportedError
from transferhub.registries import (
    Digest,
    EcrLogin,
    Login,
    RegistryConfig,
    manifest_of,
    open_ecr,
    read_contents,
)
from transferhub.stores.s3.credentials import Credentials, StaticCredentials

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = RegistryConfig(host="", plain_http=True, patience=timedelta(seconds=5))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def api_of(endpoint: Endpoint) -> AsyncIterator[AwsClient]:
    keys = Credentials(access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key)
    client = AwsClient(
        ECR,
        endpoint=endpoint.url,
        region=endpoint.region,
        credentials=StaticCredentials(keys),
    )
    yield client
    await client.aclose()


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[HttpReceiver, AwsClient]]:
    async with HttpReceiver() as receiver:
        endpoint = Endpoint(url=receiver.url, access_key_id="AKID", secret_access_key="a-secret")
        async with api_of(endpoint) as client:
            yield receiver, client


def grant(password: str, *, proxy: str = "https://a.test", at: datetime = NOW) -> Answer:
    token = b64encode(f"AWS:{password}".encode()).decode()
    row = {
        "authorizationToken": token,
        "expiresAt": (at + timedelta(hours=12)).timestamp(),
        "proxyEndpoint": proxy,
    }
    return Answer(body=json.dumps({"authorizationData": [row]}))


async def test_an_image_goes_through_ecr(ministack: MinistackServer) -> None:
    name = f"r{uuid4().hex[:12]}/web"
    image = oci.image("a")
    async with api_of(ministack.endpoint) as api:
        await api.ask("CreateRepository", {"repositoryName": name})
        registry = await open_ecr(EcrLogin(api), PLAIN, endpoint=ministack.endpoint.url)
        await registry.check()
        for blob in image.blobs:
            assert await registry.put_blob(name, blob.content) == blob.digest
        await registry.put_manifest(name, "1.0", manifest_of(image.content))
        assert (await registry.head(name, "1.0")).digest == image.digest
        found = await registry.manifest(name, "1.0")
        for blob_there in read_contents(found).blobs:
            async with registry.blob(name, blob_there.digest) as pieces:
                assert sum([len(piece) async for piece in pieces]) == blob_there.size
        assert name in [one async for one in registry.repositories()]
        assert [tag async for tag in registry.tags(name)] == ["1.0"]
        described = await api.ask("DescribeImages", {"repositoryName": name})
        assert [one["imageDigest"] for one in described["imageDetails"]] == [image.digest]
        await registry.delete_manifest(name, Digest(image.digest))
        await registry.aclose()


async def test_the_host_comes_from_ecr_itself(ministack: MinistackServer) -> None:
    async with api_of(ministack.endpoint) as api:
        registry = await open_ecr(EcrLogin(api, account=ACCOUNT))
        assert registry.host == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
        login = await registry.login()
        assert login is not None
        assert login.user == "AWS"
        await registry.aclose()


@pytest.mark.parametrize(
    "proxy",
    [
        "https://111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "https://111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "https://vpce-1.ecr.test:8443",
    ],
)
async def test_any_host_that_ecr_says_is_its_own(proxy: str) -> None:
    async with scripted() as (receiver, api):
        receiver.answers.append(grant("one", proxy=proxy))
        registry = await open_ecr(EcrLogin(api, account="111122223333", clock=Clock()))
        assert registry.host == urlsplit(proxy).netloc
        (asked,) = receiver.received
        assert json.loads(asked.body) == {"registryIds": ["111122223333"]}
        assert asked.headers["content-type"] == "application/x-amz-json-1.1"
        target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
        assert asked.headers["x-amz-target"] == target
        assert "/us-east-1/ecr/aws4_request" in asked.headers["authorization"]
        await registry.aclose()


async def test_a_login_is_got_once_and_renewed_before_it_expires() -> None:
    async with scripted() as (receiver, api):
        clock = Clock()
        receiver.answers += [grant("one"), grant("two", at=NOW + timedelta(hours=11))]
        login = EcrLogin(api, clock=clock)
        for hours, password in ((0, "one"), (10.9, "one"), (11, "two"), (21, "two")):
            clock.now = NOW + timedelta(hours=hours)
            found = await asyncio.gather(*(login.current() for _ in range(5)))
            assert {one.password for one in found} == {password}
        assert len(receiver.received) == 2
        assert "two" not in repr(found)


async def test_a_login_that_is_refused_is_renewed_unless_it_is_new() -> None:
    async with scripted() as (receiver, api):
        clock = Clock()
        receiver.answers += [grant("one"), grant("two")]
        login = EcrLogin(api, clock=clock)
        await login.current()
        assert (await login.current(renewed=True)).password == "one"
        clock.now += timedelta(minutes=2)
        found = await asyncio.gather(*(login.current(renewed=True) for _ in range(5)))
        assert {one.password for one in found} == {"two"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_expired_login_is_renewed_on_the_way(method: str) -> None:
    basic = {"WWW-Authenticate": 'Basic realm="ecr",service="ecr.amazonaws.com"'}
    hello = refusal(401, "UNAUTHORIZED", "no basic auth credentials", **basic)
    expired = refusal(
        403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
    )
    async with scripted() as (receiver, api), StandInRegistry() as registry:
        image = oci.image("a")
        registry.put(image, "1.0")
        clock = Clock()
        receiver.answers += [grant("one"), grant("two")]
        client = await open_ecr(EcrLogin(api, clock=clock), PLAIN, endpoint=registry.url)
        registry.fail(hello)
        await client.head("app/web", "1.0")
        clock.now += timedelta(minutes=2)
        registry.fail(expired, method=method, path="/manifests/")
        ask = client.manifest if method == "GET" else client.head
        assert (await ask("app/web", "1.0")).digest == image.digest
        shown = [one.headers["authorization"] for one in registry.seen[1:]]
        one, two = (f"Basic {b64encode(f'AWS:{p}'.encode()).decode()}" for p in ("one", "two"))
        assert shown == [one, one, two]
        await client.aclose()


@pytest.mark.parametrize(
    ("status", "name", "kind", "code"),
    [
        (400, "AccessDeniedException", DeniedError, "denied"),
        (400, "UnrecognizedClientException", DeniedError, "bad_credentials"),
        (400, "InvalidSignatureException", DeniedError, "bad_credentials"),
        (400, "ExpiredTokenException", DeniedError, "expired_credentials"),
        (400, "ThrottlingException", StoreError, "throttled"),
        (500, "ServerException", StoreError, "transient"),
        (400, "InvalidParameterException", UnsupportedError, "unsupported"),
    ],
)
async def test_ecr_that_gives_no_login_is_told(
    status: int, name: str, kind: type[StoreError], code: str
) -> None:
    async with scripted() as (receiver, api):
        body = json.dumps({"__type": name, "message": "its words"})
        receiver.answers.append(Answer(status=status, body=body))
        with pytest.raises(kind) as caught:
            await open_ecr(EcrLogin(api))
        assert caught.value.code == code
        assert caught.value.message.startswith("GetAuthorizationToken of Amazon ECR failed (")
        assert "its words" in caught.value.message
        assert "a-secret" not in caught.value.message


@pytest.mark.parametrize("body", ["{}", '{"authorizationData": []}', '{"authorizationData": [{}]}'])
async def test_an_answer_that_is_none_is_told(body: str) -> None:
    async with scripted() as (receiver, api):
        receiver.answers.append(Answer(body=body))
        with pytest.raises(StoreError) as caught:
            await open_ecr(EcrLogin(api))
        assert caught.value.code == "garbled"


async def test_plain_http_is_only_used_when_asked_for() -> None:
    async with scripted() as (receiver, api):
        receiver.answers.append(grant("one", proxy="http://localhost:4510"))
        login = EcrLogin(api, clock=Clock())
        with pytest.raises(DeniedError) as caught:
            await open_ecr(login)
        assert caught.value.code == "tls"
        registry = await open_ecr(login, PLAIN)
        assert registry.location == "http://localhost:4510"
        assert await registry.login() == Login(
            user="AWS", password="one", expires_at=NOW + timedelta(hours=12)
        )
        await registry.aclose()
