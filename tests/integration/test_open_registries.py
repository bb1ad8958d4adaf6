"""Registries opened from what a person writes and what the environment says, on real servers."""

import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.servers import oci_images as oci
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.ministack import MinistackServer
from tests.servers.process import free_ports
from tests.servers.pusher import Pusher
from tests.servers.receivers import Answer, HttpReceiver
from tests.servers.stand_in_registry import StandInRegistry, refusal
from tests.servers.token_registry import TokenRegistry
from tests.unit.stores.s3.aws_services import aws_services
from transferhub.engine.tuning import Tuning
from transferhub.errors import DeniedError, InputError, StoreError
from transferhub.hosts.credentials import Lent
from transferhub.hosts.limits import Limits
from transferhub.hosts.registries import open_side, with_environment
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.registries import RepositoryOptions, manifest_of

pytestmark = pytest.mark.registries

HURRY = Tuning(patience=timedelta(seconds=0.2), timeout=timedelta(seconds=5))
LOGIN = {"user": ACCOUNT.user, "password": ACCOUNT.secret}
VARIABLES = {"DTH_SOURCE_USER": ACCOUNT.user, "DTH_SOURCE_PASSWORD": ACCOUNT.secret}
IMAGE = oci.image("a")


def location(text: str, **options: Any) -> RegistryLocation:
    return RegistryLocation.parse(text, field="source", options=options)


@asynccontextmanager
async def opened(
    at: RegistryLocation,
    env: Mapping[str, str] | None = None,
    *,
    host: str = "",
    lent: Lent | None = None,
    **more: Any,
) -> AsyncIterator[OpenRegistry]:
    found = await open_side(at, env=env or {}, tuning=HURRY, lent=lent, **more)(host)
    try:
        yield found
    finally:
        await found.aclose()


async def look(at: RegistryLocation, env: Mapping[str, str], host: str) -> None:
    async with opened(at, env, host=host) as found:
        await found.registry.head("app/web", "1.0")


async def failure(
    at: RegistryLocation, env: Mapping[str, str] | None = None, host: str = ""
) -> StoreError:
    """What a look at an image of the registry fails with."""
    with pytest.raises(StoreError) as caught:
        await look(at, env or {}, host)
    assert ACCOUNT.secret not in caught.value.message
    return caught.value


def private_file(folder: Path, document: object) -> str:
    path = folder / "logins.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return str(path)


def plain(registry: DockerRegistry | TokenRegistry, **options: Any) -> RegistryLocation:
    return location(registry.host, plain_http=True, **options)


def secure(registry: DockerRegistry, **options: Any) -> RegistryLocation:
    return location(registry.host, ca_bundle=str(registry.ca), **options)


class TestOpen:
    """A registry that is open to everyone."""

    async def test_anybody_reads_and_lists(self, registry: DockerRegistry, pusher: Pusher) -> None:
        name = f"t/{uuid4().hex[:12]}"
        pusher.push(IMAGE, name, "1.0")
        async with opened(plain(registry)) as found:
            assert (found.registry.host, found.config.host) == (registry.host, registry.host)
            assert (await found.registry.head(name, "1.0")).digest == IMAGE.digest
            assert name in [one async for one in found.repositories.names()]
            (image,) = [one async for one in found.repositories.images(name, wanted=lambda _: True)]
            assert (image.digest, image.tags) == (IMAGE.digest, ("1.0",))
            assert await found.registry.login() is None

    async def test_plain_http_is_only_spoken_when_asked_for(self, registry: DockerRegistry) -> None:
        error = await failure(location(registry.host))
        assert (type(error), error.code) == (DeniedError, "tls")
        assert "ask for plain HTTP" in error.message

    async def test_nobody_there_is_told(self) -> None:
        (port,) = free_ports(1)
        error = await failure(location(f"127.0.0.1:{port}"))
        assert (error.code, error.retryable) == ("unreachable", True)

    async def test_a_host_that_has_no_address_is_told(self) -> None:
        error = await failure(location("registry.invalid"))
        assert error.code == "unreachable"
        assert "registry.invalid" in error.message


class TestLogin:
    """A registry of HTTPS under a CA of its own, which one account alone may use."""

    async def test_each_way_to_say_who_asks(
        self, registry_https: DockerRegistry, tmp_path: Path
    ) -> None:
        auth = b64encode(f"{ACCOUNT.user}:{ACCOUNT.secret}".encode()).decode()
        host = registry_https.host
        lent = Lent(credentials={"prod": LOGIN})
        async with opened(secure(registry_https, credential="prod"), lent=lent) as found:
            await found.registry.check()
        async with opened(secure(registry_https), VARIABLES) as found:
            await found.registry.check()
            assert ACCOUNT.secret not in f"{found!r}"
        for document in (
            LOGIN,
            {"registries": {host: LOGIN}},
            {"auths": {f"https://{host}/v2/": {"auth": auth}}},
        ):
            path = private_file(tmp_path, document)
            async with opened(secure(registry_https, credentials_file=path)) as found:
                await found.registry.check()

    async def test_who_is_not_known_is_told(self, registry_https: DockerRegistry) -> None:
        wrong = {**VARIABLES, "DTH_SOURCE_PASSWORD": "wrong-secret"}
        assert (await failure(secure(registry_https), wrong)).code == "bad_credentials"
        assert (await failure(secure(registry_https))).code == "no_credentials"
        anonymous = secure(registry_https, anonymous=True)
        assert (await failure(anonymous, VARIABLES)).code == "no_credentials"

    async def test_a_ca_of_its_own_has_to_be_named(self, registry_https: DockerRegistry) -> None:
        assert (await failure(location(registry_https.host), VARIABLES)).code == "tls"

    async def test_a_public_source_shows_a_login_to_its_host_alone(
        self, registry_https: DockerRegistry, tmp_path: Path
    ) -> None:
        known, other = registry_https.host, f"localhost:{registry_https.port}"
        path = private_file(tmp_path, {"registries": {known: LOGIN}})
        public = location("public", ca_bundle=str(registry_https.ca), credentials_file=path)
        async with opened(public, host=known) as found:
            await found.registry.check()
            assert found.config.host == known
        assert (await failure(public, VARIABLES, host=other)).code == "no_credentials"

    async def test_a_token_is_got_with_the_login(self, registry_of_tokens: TokenRegistry) -> None:
        async with opened(plain(registry_of_tokens), VARIABLES) as found:
            await found.registry.check()
            images = found.repositories.images("none/here", wanted=lambda _: True)
            assert [one async for one in images] == []
        wrong = {**VARIABLES, "DTH_SOURCE_PASSWORD": "wrong-secret"}
        for env in (wrong, {}):
            error = await failure(plain(registry_of_tokens), env)
            assert type(error) is DeniedError


class TestWays:
    """Proxies, limits, and what a hub does not reach."""

    async def test_a_proxy_that_is_named_is_taken(self) -> None:
        there = Answer(status=200, body="{}")
        async with HttpReceiver(there) as proxy:
            named = location("registry.test", plain_http=True, proxy=proxy.url)
            usual = location("registry.test", plain_http=True)
            for at, env in ((named, {}), (usual, {"http_proxy": proxy.url})):
                async with opened(at, env) as found:
                    await found.registry.check()
                assert proxy.received[-1].target == "http://registry.test/v2/"
            asked = len(proxy.received)
            excepted = {"http_proxy": proxy.url, "no_proxy": "registry.test"}
            assert (await failure(usual, excepted)).code == "unreachable"
            assert len(proxy.received) == asked

    async def test_a_hub_does_not_reach_addresses_of_the_machine(
        self, registry: DockerRegistry
    ) -> None:
        def refused(found: OpenRegistry) -> list[bool]:
            refuses = found.config.transport.refuses
            addresses = ("169.254.169.254", "fe80::1", "127.0.0.1")
            return [refuses is not None and refuses(address) for address in addresses]

        for lent, refusals in (
            (Lent(), [True, True, False]),
            (Lent(guarded=False), [False] * 3),
            (None, [False] * 3),
        ):
            async with opened(plain(registry), lent=lent) as found:
                assert refused(found) == refusals
                await found.registry.check()

    async def test_no_more_is_asked_than_the_limits_say(self, registry: DockerRegistry) -> None:
        tuning = Tuning(concurrency=5, listers=7, requests=3.0)
        limits = Limits(tuning)
        found = await open_side(plain(registry), env={}, tuning=tuning, limits=limits)("")
        assert (found.config.requests, found.config.rate) == (7, limits.requests)
        started = time.monotonic()
        for _ in range(4):
            await found.registry.check()
        assert time.monotonic() - started > 0.9
        await found.aclose()

    async def test_one_registry_of_many_is_not_waited_for_as_long(self) -> None:
        found = [
            await open_side(at, env={}, tuning=Tuning())(host)
            for at, host in ((location("ghcr.io"), ""), (location("public"), "ghcr.io"))
        ]
        assert [one.config.patience.total_seconds() for one in found] == [60, 30]
        for one in found:
            await one.aclose()

    async def test_docker_hub_answers_at_another_host(self) -> None:
        async with opened(location("docker.io/library")) as found:
            assert found.config.host == found.registry.host == "registry-1.docker.io"
        async with opened(location("public"), host="docker.io") as found:
            assert found.config.host == "registry-1.docker.io"


def keys_of(server: MinistackServer) -> dict[str, str]:
    return {
        "DTH_SOURCE_ACCESS_KEY_ID": server.endpoint.access_key_id,
        "DTH_SOURCE_SECRET_ACCESS_KEY": server.endpoint.secret_access_key,
    }


class TestEcr:
    async def test_an_image_goes_into_a_repository_that_is_made(
        self, ministack: MinistackServer
    ) -> None:
        name = f"r{uuid4().hex[:12]}/web"
        env = {**keys_of(ministack), "DTH_SOURCE_ENDPOINT": ministack.endpoint.url}
        at = location("ecr://us-east-1", plain_http=True)
        options = RepositoryOptions(tag_mutability="immutable")
        async with opened(at, env, options=options) as found:
            assert found.config.plain_http
            assert found.config.host == found.registry.host
            assert await found.repositories.rule(name) is None
            await found.repositories.create(name)
            rule = await found.repositories.rule(name)
            assert rule is not None
            assert rule.immutable
            for blob in IMAGE.blobs:
                await found.registry.put_blob(name, blob.content)
            await found.registry.put_manifest(name, "1.0", manifest_of(IMAGE.content))
            (image,) = [one async for one in found.repositories.images(name, wanted=lambda _: True)]
            assert (image.digest, image.tags) == (IMAGE.digest, ("1.0",))
            login = await found.registry.login()
            assert login is not None
            assert login.user == "AWS"

    async def test_a_host_that_is_written_out_is_the_one_that_is_asked(
        self, ministack: MinistackServer
    ) -> None:
        for host in (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
        ):
            at = location(f"{host}/team", endpoint=ministack.endpoint.url)
            async with opened(at, keys_of(ministack)) as found:
                assert (found.registry.host, found.config.plain_http) == (host, False)
            public = location("public")
            env = {**keys_of(ministack), "AWS_ENDPOINT_URL_ECR": ministack.endpoint.url}
            async with opened(public, env, host=host) as found:
                assert found.registry.host == host

    async def test_keys_that_have_expired_are_told(self) -> None:
        body = json.dumps({"__type": "ExpiredTokenException", "message": "it has expired"})
        async with HttpReceiver(Answer(status=400, body=body)) as api:
            at = location("ecr://eu-west-1", endpoint=api.url)
            error = await failure(at, KEYS)
            assert (type(error), error.code) == (DeniedError, "expired_credentials")

    async def test_a_login_that_has_expired_is_got_anew(self) -> None:
        hello = refusal(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": 'Basic realm="ecr"'})
        async with HttpReceiver() as api, StandInRegistry() as registry:
            registry.put(IMAGE, "1.0")
            registry.fail(hello)
            api.answers += [grant("one", registry.url), grant("two", registry.url)]
            at = location("ecr://eu-west-1", endpoint=api.url, plain_http=True)
            async with opened(at, KEYS) as found:
                assert (await found.registry.head("app/web", "1.0")).digest == IMAGE.digest
                shown = registry.seen[-1].headers["authorization"]
            assert shown == f"Basic {b64encode(b'AWS:two').decode()}"

    async def test_a_role_is_assumed_with_its_external_id(
        self, ministack: MinistackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with aws_services() as services:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", services.url)
            path = private_file(
                tmp_path,
                {
                    "access_key_id": "some-key",
                    "secret_access_key": "some-secret",
                    "role_arn": "arn:aws:iam::123456789012:role/reader",
                    "external_id": "x-1",
                },
            )
            at = location(
                "ecr://us-east-1",
                endpoint=ministack.endpoint.url,
                credentials_file=path,
                plain_http=True,
            )
            async with opened(at) as found:
                await found.registry.check()
        (asked,) = services.asked
        assert (asked["RoleArn"], asked["ExternalId"]) == (
            "arn:aws:iam::123456789012:role/reader",
            "x-1",
        )

    async def test_the_endpoint_of_the_side_is_for_ecr_alone(self) -> None:
        env = {"DTH_SOURCE_ENDPOINT": "http://127.0.0.1:1"}
        filled = with_environment(location("ecr://eu-west-1"), env)
        assert filled.endpoint == "http://127.0.0.1:1"
        other = location("ghcr.io/team")
        assert with_environment(other, env) == other
        with pytest.raises(InputError, match="DTH_SOURCE_ENDPOINT: 'nowhere' is no address"):
            with_environment(location("ecr://eu-west-1"), {"DTH_SOURCE_ENDPOINT": "nowhere"})


KEYS = {"DTH_SOURCE_ACCESS_KEY_ID": "AKID", "DTH_SOURCE_SECRET_ACCESS_KEY": "a-secret"}


def grant(password: str, proxy: str) -> Answer:
    """A login that has expired when it comes."""
    row = {
        "authorizationToken": b64encode(f"AWS:{password}".encode()).decode(),
        "expiresAt": (datetime.now(UTC) - timedelta(seconds=10)).timestamp(),
        "proxyEndpoint": proxy,
    }
    return Answer(body=json.dumps({"authorizationData": [row]}))
