"""S3Store on three servers; the tests of a class share one bucket, emptied between them."""

import uuid
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import cache
from typing import ClassVar

import pytest

from tests.conformance.store_facts import clear
from tests.conformance.stores import StoreSuite
from tests.servers.boto import Boto
from tests.servers.endpoint import Endpoint
from tests.servers.moto import MotoServer
from tests.servers.rclone import RcloneS3
from tests.servers.seaweedfs import SeaweedFS
from transferhub.errors import NotFoundError
from transferhub.stores.base import ObjectStore
from transferhub.stores.retrying import RetryingStore
from transferhub.stores.s3.client import S3Store
from transferhub.stores.s3.credentials import Credentials, StaticCredentials
from transferhub.stores.s3.providers import EndpointOptions, find_provider, resolve_endpoint
from transferhub.stores.s3.requests import S3Config
from transferhub.stores.wrapper import Verb


def is_path(key: str) -> bool:
    """Whether a file system can hold the key exactly."""
    segments = key.split("/")
    return (
        {"", ".", ".."}.isdisjoint(segments)
        and "\0" not in key
        and all(len(segment.encode()) <= 255 for segment in segments)
    )


def open_store(endpoint: Endpoint, bucket: str, provider: str) -> S3Store:
    options = EndpointOptions(endpoint=endpoint.url)
    credentials = Credentials(
        access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key
    )
    return S3Store(
        S3Config(
            bucket=bucket,
            endpoint=resolve_endpoint(find_provider(provider), endpoint.region, options),
        ),
        StaticCredentials(credentials),
    )


@pytest.fixture(scope="module")
def shared_bucket(boto: Callable[[Endpoint], Boto]) -> Callable[[Endpoint, str], str]:
    """The bucket of this module on a server, for tests of one kind. It goes with the server: some
    do not delete one in which a key had a slash."""

    @cache
    def make(endpoint: Endpoint, _kind: str) -> str:
        name = f"suite-{uuid.uuid4().hex[:12]}"
        boto(endpoint).create_bucket(name)
        return name

    return make


def kind_of(test: str) -> str:
    """SeaweedFS keeps the folder of `a/b` after that key's deletion, and completes no upload of `a`
    in its place; so uploads of hostile keys share no bucket with tests of any key."""
    return "uploads" if "test_an_upload_holds_a_hostile_key" in test else "others"


class _OnServer(StoreSuite):
    provider = "other"

    @pytest.fixture
    @abstractmethod
    def endpoint(self) -> Endpoint:
        """Of the server under test."""

    @pytest.fixture
    async def store(
        self,
        endpoint: Endpoint,
        shared_bucket: Callable[[Endpoint, str], str],
        request: pytest.FixtureRequest,
    ) -> AsyncIterator[ObjectStore]:
        # These servers answer one request in some thousands with 500 where the machine is busy.
        store = RetryingStore(
            open_store(
                endpoint, shared_bucket(endpoint, kind_of(request.node.name)), self.provider
            ),
            verbs=frozenset(Verb),
        )
        await clear(store)
        # What a test left that failed, or that the server is known to fail.
        with suppress(NotFoundError):
            for upload in await store.list_uploads("key"):
                await store.abort_upload("key", upload.upload_id)
        yield store
        await store.aclose()


class TestS3StoreOnSeaweedFS(_OnServer):
    provider = "seaweedfs"
    in_byte_order = False
    # It lists both, with times of whole seconds.
    lists_current_parts = False
    peer_faults: ClassVar = {
        "test_an_upload_that_is_complete_is_not_open": "completes it again, to the same object",
    }

    @pytest.fixture
    def endpoint(self, seaweedfs: SeaweedFS) -> Endpoint:
        return seaweedfs.admin

    def refuses(self, key: str) -> bool:
        return "\\" in key or not is_path(key)


class TestS3StoreOnMoto(_OnServer):
    one_key_many_writers = False
    peer_faults: ClassVar = {
        "test_a_put_that_does_not_match_its_md5_changes_nothing": "ignores Content-MD5",
        "test_a_part_that_does_not_match_its_md5_is_refused": "ignores Content-MD5",
        "test_a_copy_of_another_version_is_refused": "ignores x-amz-copy-source-if-match",
        "test_a_part_of_another_version_is_refused": "ignores x-amz-copy-source-if-match",
        "test_an_unknown_upload_is_not_open": "answers an unknown upload with 500",
        "test_an_upload_that_is_given_up_leaves_nothing": "answers an unknown upload with 500",
        "test_an_upload_that_is_complete_is_not_open": "completes it again, to the same object",
        "test_an_upload_holds_a_hostile_key_exactly_or_refuses_it[carriage return]": (
            "lists uploads with the character as it is, which XML reads as a line feed"
        ),
    }

    def peer_mangles(self, key: str) -> bool:
        # Its routes end at a line feed.
        return "\n" in key

    @pytest.fixture
    def endpoint(self, moto_s3: MotoServer) -> Endpoint:
        return moto_s3.endpoint


class TestS3StoreOnRclone(_OnServer):
    provider = "rclone"
    tells_part_sizes = False
    holds_folder_keys = False
    refuses_folder_keys = False
    one_key_many_writers = False
    peer_faults: ClassVar = {
        "test_an_upload_makes_the_object_of_its_parts": "tells the ETag of parts, then the MD5",
        "test_a_delete_is_of_keys_never_of_prefixes": "answers with 500 for a folder",
        "test_numbers_need_not_be_dense": "refuses a gap",
        "test_a_part_that_is_sent_again_replaces_the_first": "refuses another body",
    }

    @pytest.fixture
    def endpoint(self, rclone_s3: RcloneS3) -> Endpoint:
        return rclone_s3.endpoint

    def refuses(self, key: str) -> bool:
        return not is_path(key)
