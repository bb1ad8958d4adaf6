"""OciRepositories on registries that do what docker-registry does not."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.servers import oci_images as oci
from tests.servers.stand_in_registry import Say, StandInRegistry, refusal
from transferhub.errors import DeniedError, NotFoundError, UnsupportedError
from transferhub.registries import (
    MOVABLE,
    Digest,
    ListedImage,
    OciRepositories,
    RegistryClient,
    RegistryConfig,
)

IMAGE = oci.image("a")
DIGEST = Digest(IMAGE.digest)


@pytest.fixture
async def server() -> AsyncIterator[StandInRegistry]:
    async with StandInRegistry() as server:
        yield server


@pytest.fixture
async def client(server: StandInRegistry) -> AsyncIterator[RegistryClient]:
    config = RegistryConfig(host=server.host, plain_http=True, patience=timedelta(0))
    client = RegistryClient(config)
    yield client
    await client.aclose()


@pytest.fixture
def repositories(client: RegistryClient) -> OciRepositories:
    return OciRepositories(client, parallel=4)


async def listed(repositories: OciRepositories) -> list[ListedImage]:
    return [one async for one in repositories.images("app/web", wanted=lambda t: t != "no")]


async def test_one_request_looks_at_each_wanted_tag(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.put(IMAGE, "1", "no", "2")
    assert await listed(repositories) == [
        ListedImage(digest=DIGEST, tags=(tag,), media_type=IMAGE.media_type) for tag in ("1", "2")
    ]
    heads = [one.path.rpartition("/")[2] for one in server.asked("HEAD")]
    assert sorted(heads) == ["1", "2"]


async def test_so_many_tags_are_looked_at_at_once_and_told_in_order(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.slowness = 0.002
    tags = [str(number) for number in range(100)]
    server.put(IMAGE, *tags)
    assert [one.tags for one in await listed(repositories)] == [(tag,) for tag in tags]
    assert server.most_under_way == 4


async def test_images_are_told_before_all_tags_are_looked_at(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.page = 20
    server.put(IMAGE, *(str(number) for number in range(100)))
    listing = repositories.images("app/web", wanted=lambda _: True)
    assert (await anext(listing)).tags == ("0",)
    assert len(server.asked("HEAD")) == 32
    assert len(server.asked("GET", "/tags/list")) == 2


async def test_a_tag_that_is_gone_by_now_is_left_out(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.put(IMAGE, "1", "2", "3")
    del server.manifests["2"]
    assert [one.tags for one in await listed(repositories)] == [("1",), ("3",)]


async def test_a_tag_that_may_not_be_looked_at_is_told(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.put(IMAGE, "1", "2", "3")
    server.fail(refusal(403, "DENIED", "no"), method="HEAD", path="/manifests/2")
    with pytest.raises(DeniedError):
        await listed(repositories)


async def test_a_repository_that_is_not_there_holds_nothing(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.fail(refusal(404, "NAME_UNKNOWN", "unknown"), path="/tags/list")
    assert await listed(repositories) == []


async def test_images_can_be_put_anywhere(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    await repositories.create("app/web")
    assert await repositories.rule("app/web") == MOVABLE
    assert [one async for one in repositories.names()] == ["app/web", "app/api", "base"]
    assert [one.path for one in server.seen] == ["/v2/", "/v2/_catalog"]


async def test_a_catalog_that_is_closed_is_told(
    server: StandInRegistry, repositories: OciRepositories
) -> None:
    server.fail(refusal(405, "UNSUPPORTED", "no"), path="/v2/_catalog")
    with pytest.raises(UnsupportedError) as caught:
        await anext(repositories.names())
    assert caught.value.code == "no_catalog"


@pytest.mark.parametrize(("shared", "reference"), [(True, "1"), (False, IMAGE.digest)])
async def test_a_shared_image_loses_a_tag_and_another_goes_whole(
    server: StandInRegistry, repositories: OciRepositories, *, shared: bool, reference: str
) -> None:
    server.fail(Say(status=202), method="DELETE")
    await repositories.delete("app/web", "1", DIGEST, shared=shared)
    (asked,) = server.asked("DELETE")
    assert asked.path == f"/v2/app/web/manifests/{reference}"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "DIGEST_INVALID"),
        (400, "TAG_INVALID"),
        (400, "UNSUPPORTED"),
        (405, "UNSUPPORTED"),
        (405, ""),
        (501, ""),
    ],
)
async def test_a_registry_that_deletes_whole_images_alone_is_told(
    server: StandInRegistry, repositories: OciRepositories, status: int, code: str
) -> None:
    said = Say(status=status, body=json.dumps({"errors": [{"code": code}]}).encode())
    server.fail(said, method="DELETE")
    with pytest.raises(UnsupportedError) as caught:
        await repositories.delete("app/web", "1", DIGEST, shared=True)
    assert caught.value.code == "unsupported"
    assert caught.value.message.startswith(f"Deleting app/web:1 at {server.host} failed: ")


@pytest.mark.parametrize(("status", "kind"), [(404, NotFoundError), (403, DeniedError)])
async def test_any_other_failure_to_delete_a_tag_is_its_own(
    server: StandInRegistry, repositories: OciRepositories, status: int, kind: type[Exception]
) -> None:
    server.fail(refusal(status, "", "no"), method="DELETE")
    with pytest.raises(kind):
        await repositories.delete("app/web", "1", DIGEST, shared=True)


async def test_the_registry_stays_open(
    server: StandInRegistry, client: RegistryClient, repositories: OciRepositories
) -> None:
    server.put(IMAGE, "1")
    await repositories.aclose()
    assert (await client.head("app/web", "1")).digest == DIGEST
