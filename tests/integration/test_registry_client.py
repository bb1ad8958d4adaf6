"""The client of registries against Docker's registry: Debian's docker-registry 2.8.2."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.servers import oci_images as oci
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.impostors import WEB_PAGE, Impostor, http_answer
from tests.servers.process import free_ports
from tests.servers.pusher import Pusher
from transferhub.errors import DeniedError, InputError, NotFoundError, StoreError, UnsupportedError
from transferhub.registries import (
    Digest,
    GivenLogin,
    Login,
    Manifest,
    Registry,
    RegistryClient,
    RegistryConfig,
    manifest_of,
    read_contents,
)
from transferhub.stores.s3.transport import TransportConfig

LOGIN = Login(user=ACCOUNT.user, password=ACCOUNT.secret)
NOWHERE = Digest("sha256:" + "0" * 64)
HURRY = timedelta(seconds=0.2)


def config_of(registry: DockerRegistry) -> RegistryConfig:
    return RegistryConfig(
        host=registry.host,
        plain_http=registry.ca is None,
        transport=TransportConfig(ca_bundle=registry.ca),
    )


@pytest.fixture
async def client(registry: DockerRegistry) -> AsyncIterator[RegistryClient]:
    client = RegistryClient(config_of(registry))
    port: Registry = client
    assert port.host == registry.host
    yield client
    await client.aclose()


@pytest.fixture
def name() -> str:
    """A repository of this test alone."""
    return f"r{uuid4().hex[:12]}/web"


async def failure(asked: RegistryClient, name: str) -> StoreError:
    try:
        with pytest.raises(StoreError) as caught:
            await asked.head(name, "1.0")
    finally:
        await asked.aclose()
    return caught.value


async def test_repositories_and_tags_are_listed(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    pusher.push(oci.image("a"), name, "1.0", "1.1", "latest")
    assert name in [found async for found in client.repositories()]
    assert sorted([tag async for tag in client.tags(name)]) == ["1.0", "1.1", "latest"]


@pytest.mark.parametrize("docker", [False, True])
async def test_a_tag_is_looked_at_without_reading_it(
    client: RegistryClient, pusher: Pusher, name: str, docker: bool
) -> None:
    image = oci.multi_platform("a", docker=docker)
    pusher.push(image, name, "1.0")
    for of in (image, image.children[0]):
        found = await client.head(name, "1.0" if of is image else of.digest)
        assert (found.digest, found.media_type) == (of.digest, of.media_type)
        assert found.size == len(of.content)
        assert found.is_index == (of is image)


async def test_a_manifest_comes_as_its_bytes_are(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    image = oci.multi_platform("a", attested=True)
    pusher.push(image, name, "1.0")
    found = await client.manifest(name, "1.0")
    assert (found.content, found.digest) == (image.content, image.digest)
    assert len(read_contents(found).manifests) == len(image.children)


async def test_an_image_is_copied_with_its_own_verbs(
    client: RegistryClient, registry_b: DockerRegistry, pusher: Pusher, name: str
) -> None:
    pusher.push(oci.image("a"), name, "1.0")
    there = RegistryClient(config_of(registry_b))
    image = await client.manifest(name, "1.0")
    for blob in read_contents(image).blobs:
        assert await there.blob_size(name, blob.digest) is None
        async with client.blob(name, blob.digest) as pieces:
            content = b"".join([piece async for piece in pieces])
        assert await there.put_blob(name, content) == blob.digest
        assert await there.blob_size(name, blob.digest) == blob.size
    await there.put_manifest(name, "2.0", image)
    assert (await there.head(name, "2.0")).digest == image.digest
    await there.aclose()


async def test_a_blob_is_mounted_from_another_repository(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    image = oci.image("a")
    pusher.push(image, name, "1.0")
    digest = Digest(image.blobs[0].digest)
    assert await client.mount(f"{name}2", digest, source=name)
    assert await client.blob_size(f"{name}2", digest) == len(image.blobs[0].content)
    assert not await client.mount(f"{name}2", NOWHERE, source=name)


async def test_a_manifest_before_its_blobs_is_told(client: RegistryClient, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.put_manifest(name, "1.0", manifest_of(oci.image("a").content))
    assert caught.value.code == "no_blob"


async def test_a_manifest_is_deleted_with_its_tags(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    image = oci.image("a")
    pusher.push(image, name, "1.0", "2.0")
    await client.delete_manifest(name, Digest(image.digest))
    assert pusher.digest(name, "1.0") is None
    with pytest.raises(NotFoundError):
        await client.delete_manifest(name, Digest(image.digest))


async def test_referrers_stand_at_a_tag_where_there_is_no_api(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    image = oci.image("a")
    pusher.push(image, name, "1.0")
    digest = Digest(image.digest)
    assert await client.referrers(name, digest) == ()
    artifacts = [oci.artifact(f"sbom {n}", image) for n in range(4)]
    for blob in {blob for artifact in artifacts for blob in artifact.blobs}:
        await client.put_blob(name, blob.content)
    manifests = [manifest_of(artifact.content) for artifact in artifacts]
    await asyncio.gather(*(client.put_manifest(name, one.digest, one) for one in manifests))
    await client.put_manifest(name, manifests[0].digest, manifests[0])
    found = await client.referrers(name, digest)
    assert sorted(one.digest for one in found) == sorted(one.digest for one in manifests)
    assert {one.artifact_type for one in found} == {"application/vnd.test.sbom"}
    held = pusher.manifest(name, oci.referrers_tag(image))
    assert held is not None
    assert held.media_type == oci.OCI_INDEX


async def test_many_are_looked_at_at_once(
    client: RegistryClient, pusher: Pusher, name: str
) -> None:
    pusher.push(oci.image("a"), name, *(f"1.{n}" for n in range(50)))
    found = await asyncio.gather(*(client.head(name, f"1.{n}") for n in range(50)))
    assert {one.digest for one in found} == {oci.image("a").digest}


async def test_what_is_missing_is_told(client: RegistryClient, pusher: Pusher, name: str) -> None:
    pusher.push(oci.image("a"), name, "1.0")
    for missing in (
        client.head(name, "2.0"),
        client.head(f"{name}x", "1.0"),
        client.manifest(name, NOWHERE),
    ):
        with pytest.raises(NotFoundError) as caught:
            await missing
        assert caught.value.code == "not_found"
    with pytest.raises(NotFoundError) as caught:
        _ = [tag async for tag in client.tags(f"{name}x")]
    assert caught.value.code == "no_repository"
    with pytest.raises(NotFoundError):
        async with client.blob(name, NOWHERE) as pieces:
            _ = [piece async for piece in pieces]


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("../../v2/other", "1.0"),
        ("a//b", "1.0"),
        ("a/..", "1.0"),
        ("a b", "1.0"),
        ("a?b", "1.0"),
        ("a", "../1.0"),
        ("a", "1.0\r\nx: y"),
        ("a", "sha256:0"),
        ("a", "x" * 129),
    ],
)
async def test_a_name_that_none_can_have_is_not_asked_for(
    client: RegistryClient, repository: str, reference: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        await client.head(repository, reference)
    assert caught.value.code == "bad_reference"


async def test_a_manifest_of_more_than_the_limit_is_not_sent(
    client: RegistryClient, name: str
) -> None:
    content = b'{"a": "' + b"a" * (4 << 20) + b'"}'
    large = Manifest(media_type=oci.OCI_MANIFEST, digest=NOWHERE, content=content)
    with pytest.raises(UnsupportedError) as caught:
        await client.put_manifest(name, "1.0", large)
    assert caught.value.code == "bad_manifest"


async def test_https_with_an_own_ca_and_a_password(
    registry_https: DockerRegistry, name: str
) -> None:
    with registry_https.pusher() as pusher:
        pusher.push(oci.image("a"), name, "1.0")
    client = RegistryClient(config_of(registry_https), GivenLogin(LOGIN))
    await client.check()
    assert (await client.head(name, "1.0")).digest == oci.image("a").digest
    digest = await client.put_blob(name, b"{}")
    async with client.blob(name, digest) as pieces:
        assert b"".join([piece async for piece in pieces]) == b"{}"
    assert (await client.manifest(name, "1.0")).content == oci.image("a").content
    assert await client.login() == LOGIN
    await client.aclose()


async def test_a_wrong_password_is_told_and_not_shown(
    registry_https: DockerRegistry, name: str
) -> None:
    wrong = GivenLogin(Login(user="mover", password="not-the-secret"))
    error = await failure(RegistryClient(config_of(registry_https), wrong), name)
    assert (type(error), error.code) == (DeniedError, "bad_credentials")
    assert "not-the-secret" not in error.message + repr(wrong) + repr(LOGIN)
    nobody = await failure(RegistryClient(config_of(registry_https)), name)
    assert nobody.code == "no_credentials"
    checked = RegistryClient(config_of(registry_https), wrong)
    with pytest.raises(DeniedError):
        await checked.check()
    await checked.aclose()


async def test_a_ca_that_is_not_known_is_not_trusted(
    registry_https: DockerRegistry, name: str
) -> None:
    client = RegistryClient(RegistryConfig(host=registry_https.host), GivenLogin(LOGIN))
    assert (await failure(client, name)).code == "tls"


async def test_plain_http_is_never_guessed(registry: DockerRegistry, name: str) -> None:
    error = await failure(RegistryClient(RegistryConfig(host=registry.host)), name)
    assert (error.code, "ask for plain HTTP" in error.message) == ("tls", True)


async def test_plain_http_to_a_registry_of_https_is_told(
    registry_https: DockerRegistry, name: str
) -> None:
    config = RegistryConfig(host=registry_https.host, plain_http=True)
    assert (await failure(RegistryClient(config), name)).code == "tls"


async def test_an_address_that_may_not_be_reached_is_not(
    registry: DockerRegistry, name: str
) -> None:
    transport = TransportConfig(refuses=lambda address: address.startswith("127."))
    config = RegistryConfig(host=registry.host, plain_http=True, transport=transport)
    assert (await failure(RegistryClient(config), name)).code == "blocked_address"


async def test_nobody_there_is_told_when_patience_ends(name: str) -> None:
    (port,) = free_ports(1)
    config = RegistryConfig(host=f"127.0.0.1:{port}", plain_http=True, patience=HURRY)
    error = await failure(RegistryClient(config), name)
    assert (error.code, error.retryable) == ("unreachable", True)


async def test_many_that_wait_for_nobody_wait_together() -> None:
    (port,) = free_ports(1)
    config = RegistryConfig(host=f"127.0.0.1:{port}", plain_http=True, patience=HURRY)
    client = RegistryClient(config)
    async with asyncio.timeout(5):
        found = await asyncio.gather(
            *(client.head("a", f"{n}") for n in range(100)), return_exceptions=True
        )
    assert {getattr(one, "code", "") for one in found} == {"unreachable"}
    await client.aclose()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (http_answer("200 OK", WEB_PAGE), "no_registry"),
        (http_answer("404 Not Found", WEB_PAGE), "no_registry"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "garbled"),
    ],
)
async def test_what_is_no_registry_is_told(answer: bytes, code: str, name: str) -> None:
    with Impostor(answer) as impostor:
        host = impostor.url.removeprefix("http://")
        config = RegistryConfig(host=host, plain_http=True, patience=HURRY)
        assert (await failure(RegistryClient(config), name)).code == code


@pytest.mark.parametrize("host", ["", "https://a.test", "a/b", "a b", "user@a", "a:b"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(InputError):
        RegistryClient(RegistryConfig(host=host))
