"""What goes wrong on the way to a registry: pages, throttling, resets, wrong bytes."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.servers import oci_images as oci
from tests.servers.stand_in_registry import Say, StandInRegistry, refusal
from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries import Digest, RegistryClient, RegistryConfig, manifest_of

IMAGE = oci.multi_platform("a")
LAYER = oci.layer("large", 300_000)
TAGS = [f"1.{n}" for n in range(10)]
JSON = {"Content-Type": oci.OCI_INDEX}


@pytest.fixture
async def registry() -> AsyncIterator[StandInRegistry]:
    async with StandInRegistry() as registry:
        registry.put(IMAGE, *TAGS)
        registry.put_blob(LAYER)
        yield registry


def to(registry: StandInRegistry, *, seconds: float = 5, most: int = 32) -> RegistryClient:
    return RegistryClient(
        RegistryConfig(
            host=registry.host,
            plain_http=True,
            patience=timedelta(seconds=seconds),
            requests=most,
        )
    )


@pytest.fixture
async def client(registry: StandInRegistry) -> AsyncIterator[RegistryClient]:
    client = to(registry)
    yield client
    await client.aclose()


@pytest.fixture
async def hurried(registry: StandInRegistry) -> AsyncIterator[RegistryClient]:
    client = to(registry, seconds=0.3)
    yield client
    await client.aclose()


async def tags(client: RegistryClient) -> list[str]:
    return [tag async for tag in client.tags("app/web")]


# Lists


@pytest.mark.parametrize("absolute", ["", "http://inside.test:5000", "//inside.test"])
async def test_pages_are_followed(
    registry: StandInRegistry, client: RegistryClient, absolute: str
) -> None:
    registry.page, registry.absolute = 3, absolute
    assert await tags(client) == TAGS
    asked = registry.asked("GET", "/tags/list")
    assert len(asked) == 4
    assert asked[0].query == {"n": ["1000"]}
    assert [name async for name in client.repositories()] == ["app/web", "app/api", "base"]


async def test_a_registry_that_gives_the_same_page_again_is_left(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    link = {"Link": '</v2/app/web/tags/list?n=2>; rel="next"'}
    registry.fail(*[Say(headers=link, body=b'{"tags": ["a", "b"]}')] * 9, path="/tags/")
    with pytest.raises(StoreError) as caught:
        await tags(client)
    assert caught.value.code == "listing_loops"


async def test_a_registry_that_wants_smaller_pages_gets_them(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(refusal(400, "PAGINATION_NUMBER_INVALID"), path="/tags/")
    assert await tags(client) == TAGS


@pytest.mark.parametrize("body", [b'{"tags": null}', b'{"name": "x", "tags": []}'])
async def test_a_repository_may_have_no_tags(
    registry: StandInRegistry, client: RegistryClient, body: bytes
) -> None:
    registry.fail(Say(body=body), path="/tags/")
    assert await tags(client) == []


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"[]", b'{"tags": {"a": 1}}'])
async def test_a_list_that_is_none_is_told(
    registry: StandInRegistry, hurried: RegistryClient, body: bytes
) -> None:
    registry.fail(Say(body=body), path="/tags/")
    with pytest.raises(TransientError) as caught:
        await tags(hurried)
    assert caught.value.code == "garbled"


@pytest.mark.parametrize("status", [404, 405, 400])
async def test_a_registry_without_a_catalog_is_told(
    registry: StandInRegistry, client: RegistryClient, status: int
) -> None:
    registry.fail(Say(status=status), path="/_catalog")
    with pytest.raises(UnsupportedError) as caught:
        _ = [name async for name in client.repositories()]
    assert caught.value.code == "no_catalog"


# What passes, and what does not

PASSING = {
    "throttled": refusal(429, "TOOMANYREQUESTS", "slow down"),
    "throttled with a wait": refusal(429, "TOOMANYREQUESTS", Retry_After="0"),
    "timed out": Say(status=408),
    "failing": refusal(500, "UNKNOWN"),
    "behind a failing proxy": Say(status=502, body=b"<html>Bad gateway</html>"),
    "unavailable": Say(status=503),
    "reset": Say(reset=True),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT"])
async def test_what_may_work_later_is_tried_again(
    registry: StandInRegistry, client: RegistryClient, method: str, fault: Say
) -> None:
    registry.fail(fault, fault, method=method, path="/manifests/")
    if method == "HEAD":
        await client.head("app/web", "1.0")
    elif method == "GET":
        await client.manifest("app/web", "1.0")
    else:
        await client.put_manifest("app/web", "3.0", manifest_of(IMAGE.content))
    assert len(registry.asked(method, "/manifests/")) == 3


@pytest.mark.parametrize("path", ["/v2/", "/uploads/"])
async def test_a_greeting_and_an_upload_are_tried_again(
    registry: StandInRegistry, client: RegistryClient, path: str
) -> None:
    registry.fail(Say(status=503), Say(reset=True), path=path)
    assert await client.put_blob("app/web", b"content") in registry.blobs


async def test_an_upload_that_is_lost_starts_over(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(refusal(404, "BLOB_UPLOAD_UNKNOWN"), method="PUT", path="/uploads/")
    assert await client.put_blob("app/web", b"content") in registry.blobs
    assert registry.asked("PUT", "/uploads/")[-1].query["state"] == ["a=b"]


async def test_patience_ends(registry: StandInRegistry, hurried: RegistryClient) -> None:
    registry.fail(*[Say(status=503)] * 1000, path="/manifests/")
    with pytest.raises(TransientError) as caught:
        await hurried.head("app/web", "1.0")
    assert caught.value.status == 503
    assert 2 <= len(registry.asked("HEAD")) < 30


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refusal(401, "UNAUTHORIZED"), DeniedError),
        (refusal(403, "DENIED"), DeniedError),
        (refusal(404, "MANIFEST_UNKNOWN"), NotFoundError),
        (refusal(405, "UNSUPPORTED"), UnsupportedError),
        (refusal(400, "TAG_INVALID", "the tag is immutable"), DeniedError),
    ],
)
async def test_what_stays_is_told_at_once(
    registry: StandInRegistry, client: RegistryClient, fault: Say, kind: type[StoreError]
) -> None:
    registry.fail(*[fault] * 9, path="/manifests/")
    with pytest.raises(kind):
        await client.put_manifest("app/web", "1.0", manifest_of(IMAGE.content))
    assert len(registry.asked("PUT")) == 1


async def test_a_registry_that_names_a_wait_is_left_alone_by_all(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    await client.head("app/web", "1.0")
    registry.fail(refusal(429, "TOOMANYREQUESTS", Retry_After="1"), path="/manifests/1.1")
    begun = time.monotonic()

    async def later() -> None:
        await registry.count(3)
        # Its answer is on its way.
        await asyncio.sleep(0.05)
        await asyncio.gather(*(client.head("app/web", tag) for tag in TAGS))

    await asyncio.gather(client.head("app/web", "1.1"), later())
    assert time.monotonic() - begun >= 1
    assert len(registry.asked("HEAD")) == 1 + 2 + len(TAGS)


async def test_a_wait_that_is_too_long_is_told_at_once(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(refusal(429, "TOOMANYREQUESTS", Retry_After="3600"), path="/manifests/")
    for tag in ("1.0", "1.1"):
        begun = time.monotonic()
        with pytest.raises(ThrottledError):
            await client.head("app/web", tag)
        assert time.monotonic() - begun < 1
    assert len(registry.asked("HEAD")) == 1


async def test_no_more_than_so_many_requests_are_under_way(registry: StandInRegistry) -> None:
    client = to(registry, most=4)
    registry.slowness = 0.005
    await asyncio.gather(*(client.head("app/web", tag) for tag in TAGS * 4))
    assert registry.most_under_way == 4
    await client.aclose()


async def test_a_tenth_of_faults_fails_nothing(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    for tag in TAGS:
        registry.fail(*PASSING.values(), path=f"/manifests/{tag}")
    found = await asyncio.gather(*(client.head("app/web", tag) for tag in TAGS * 10))
    assert {one.digest for one in found} == {IMAGE.digest}


async def test_one_that_waited_long_for_its_turn_has_patience_left(
    registry: StandInRegistry,
) -> None:
    client = to(registry, seconds=0.15, most=1)
    registry.slowness = 0.04
    registry.fail(Say(status=503), path="/manifests/1.9")
    await asyncio.gather(*(client.head("app/web", tag) for tag in TAGS))
    await client.aclose()


async def test_what_is_cancelled_leaves_its_place(registry: StandInRegistry) -> None:
    client = to(registry, most=2)
    await client.head("app/web", "1.0")
    registry.slowness = 5
    asking = [asyncio.create_task(client.head("app/web", tag)) for tag in TAGS]
    await registry.count(4)
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    registry.slowness = 0
    async with asyncio.timeout(2):
        await client.head("app/web", "1.0")
    await client.aclose()


# Manifests


async def test_a_digest_that_is_not_told_is_computed(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.digests = False
    for reference in ("1.0", IMAGE.digest):
        found = await client.head("app/web", reference)
        assert (found.digest, found.size) == (IMAGE.digest, len(IMAGE.content))
        assert (await client.manifest("app/web", reference)).digest == IMAGE.digest


async def test_a_registry_that_cannot_be_looked_at_is_read(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.heads = False
    assert (await client.head("app/web", "1.0")).digest == IMAGE.digest


async def test_all_kinds_of_manifests_are_accepted(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    await client.head("app/web", "1.0")
    accepted = registry.asked("HEAD")[0].headers["accept"].split(", ")
    kinds = {oci.OCI_INDEX, oci.OCI_MANIFEST, oci.DOCKER_LIST, oci.DOCKER_MANIFEST}
    assert set(accepted) == kinds


@pytest.mark.parametrize("reference", ["1.0", IMAGE.digest])
async def test_bytes_that_are_not_those_of_the_digest_are_refused(
    registry: StandInRegistry, client: RegistryClient, reference: str
) -> None:
    told = {"Docker-Content-Digest": IMAGE.digest, **JSON}
    registry.fail(Say(headers=told, body=IMAGE.content + b" "), path="/manifests/")
    with pytest.raises(CorruptError):
        await client.manifest("app/web", reference)


async def test_a_digest_that_is_not_the_one_that_was_asked_for_is_refused(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    other = {"Docker-Content-Digest": "sha256:" + "0" * 64, **JSON}
    registry.fail(Say(headers=other), Say(headers=other, status=201), path="/manifests/")
    with pytest.raises(CorruptError):
        await client.head("app/web", IMAGE.digest)
    with pytest.raises(CorruptError):
        await client.put_manifest("app/web", "1.0", manifest_of(IMAGE.content))


async def test_a_manifest_without_end_is_not_read(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(Say(headers=JSON, body=b"a" * (5 << 20)), path="/manifests/")
    with pytest.raises(UnsupportedError):
        await client.manifest("app/web", "1.0")
    assert len(registry.asked("GET", "/manifests/")) == 1


async def test_redirects_end(registry: StandInRegistry, hurried: RegistryClient) -> None:
    again = Say(status=302, headers={"Location": "/v2/app/web/manifests/1.0"})
    registry.fail(*[again] * 1000, path="/manifests/")
    with pytest.raises(TransientError) as caught:
        await hurried.manifest("app/web", "1.0")
    assert "redirects" in caught.value.message


async def test_the_budget_of_pulls_is_told(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    assert client.pulls_left is None
    headers = {**JSON, "RateLimit-Remaining": "76;w=21600"}
    registry.fail(Say(headers=headers, body=IMAGE.content), path="/manifests/")
    await client.manifest("app/web", "1.0")
    assert client.pulls_left == 76


# Blobs


async def read(client: RegistryClient) -> bytes:
    async with client.blob("app/web", Digest(LAYER.digest)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_blob_that_breaks_off_goes_on_where_it_was(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    content = LAYER.content
    registry.fail(Say(body=content, cut=100_000), path="/blobs/")
    assert await read(client) == content
    first, second = registry.asked("GET", "/blobs/")
    assert "range" not in first.headers
    assert 0 < int(second.headers["range"].removeprefix("bytes=").rstrip("-")) <= 100_000


async def test_a_blob_may_come_all_over_again(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    content = LAYER.content
    registry.fail(Say(body=content, cut=100_000), Say(body=content), path="/blobs/")
    assert await read(client) == content


async def test_a_blob_with_other_bytes_is_refused_at_its_end(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(Say(body=b"x" + LAYER.content[1:]), path="/blobs/")
    with pytest.raises(CorruptError):
        await read(client)


async def test_a_blob_that_nobody_reads_to_its_end_is_let_go(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    for _ in range(40):
        async with client.blob("app/web", Digest(LAYER.digest)) as pieces:
            async for _ in pieces:
                break
    await client.head("app/web", "1.0")


async def test_an_upload_that_a_mount_began_is_ended(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    assert not await client.mount("new", Digest("sha256:" + "0" * 64), source="app/web")
    assert [one.path for one in registry.asked("DELETE")] == ["/v2/new/blobs/uploads/7"]


# Referrers


async def test_referrers_are_read_from_the_api_page_by_page(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.referrers_api, registry.page = True, 2
    artifacts = [oci.artifact(f"{n}", IMAGE) for n in range(5)]
    for artifact in artifacts:
        await client.put_manifest("app/web", artifact.digest, manifest_of(artifact.content))
    found = await client.referrers("app/web", Digest(IMAGE.digest))
    assert [one.digest for one in found] == [artifact.digest for artifact in artifacts]
    assert registry.asked("GET", "/manifests/") == []


async def test_a_registry_without_the_api_is_asked_for_it_once(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    for _ in range(3):
        assert await client.referrers("app/web", Digest(IMAGE.digest)) == ()
    assert len(registry.asked("GET", "/referrers/")) == 1


async def test_a_page_for_people_is_no_list_of_referrers(
    registry: StandInRegistry, client: RegistryClient
) -> None:
    registry.fail(Say(body=b"<html>"), path="/referrers/")
    assert await client.referrers("app/web", Digest(IMAGE.digest)) == ()
