"""S3Store on servers that nobody named: what they would change is refused all the same."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.store_facts import contents, put, refused
from tests.conformance.test_s3_store import open_store
from tests.conftest import BucketFactory
from tests.servers.endpoint import Endpoint
from tests.servers.rclone import RcloneS3
from tests.servers.seaweedfs import SeaweedFS
from transferhub.stores.base import ObjectStore


@pytest.fixture(params=["seaweedfs", "rclone_s3"])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    server: SeaweedFS | RcloneS3 = request.getfixturevalue(request.param)
    return server.admin if isinstance(server, SeaweedFS) else server.endpoint


@pytest.fixture
async def store(endpoint: Endpoint, make_bucket: BucketFactory) -> AsyncIterator[ObjectStore]:
    store = open_store(endpoint, make_bucket(endpoint), "other")
    yield store
    await store.aclose()


@pytest.mark.parametrize("key", ["dir//a", "/dir", "x/../dir", "./dir"])
async def test_a_key_that_would_be_taken_for_another_changes_nothing(
    store: ObjectStore, key: str
) -> None:
    await put(store, "dir/a", b"one")
    assert await refused(store, key)
    assert await contents(store) == {"dir/a": b"one"}


async def test_a_marker_never_replaces_the_object_of_its_name(
    rclone_s3: RcloneS3, make_bucket: BucketFactory
) -> None:
    store = open_store(rclone_s3.endpoint, make_bucket(rclone_s3.endpoint), "other")
    await put(store, "dir", b"precious")
    assert await refused(store, "dir/")
    assert await contents(store) == {"dir": b"precious"}
    await store.aclose()


async def test_what_rclone_cannot_do_is_known_after_the_first_answer(
    rclone_s3: RcloneS3, make_bucket: BucketFactory
) -> None:
    store = open_store(rclone_s3.endpoint, make_bucket(rclone_s3.endpoint), "other")
    await store.check()
    assert not store.capabilities.tags
    assert not store.capabilities.server_copy
    await store.aclose()
