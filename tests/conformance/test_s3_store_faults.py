"""S3Store where the way to the server breaks: an error of the right class, or the whole truth."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.conformance.store_facts import NO_ATTRIBUTES, NO_OPTIONS, digest, get, keys, part, put
from tests.conftest import BucketFactory, ProxyFactory
from tests.servers.endpoint import Endpoint
from tests.servers.faults import FaultProxy
from tests.servers.rclone import RcloneS3
from tests.servers.rules import (
    Action,
    DropResponse,
    Reset,
    ResetBody,
    Stall,
    StallBody,
    Status,
    TruncateBody,
)
from transferhub.errors import NotFoundError, StoreError, ThrottledError, TransientError
from transferhub.stores.base import MIN_PART_BYTES, ObjectStore
from transferhub.stores.retrying import RetryingStore
from transferhub.stores.s3 import (
    Credentials,
    EndpointOptions,
    S3Config,
    S3Store,
    StaticCredentials,
    TransportConfig,
    find_provider,
    resolve_endpoint,
)
from transferhub.stores.wrapper import Verb

BODY = bytes(range(256)) * 4096


def open_store(endpoint: Endpoint, bucket: str) -> S3Store:
    keys_of = Credentials(access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key)
    return S3Store(
        S3Config(
            bucket=bucket,
            endpoint=resolve_endpoint(
                find_provider("rclone"), "", EndpointOptions(endpoint=endpoint.url)
            ),
            transport=TransportConfig(read_timeout=timedelta(seconds=0.4)),
        ),
        StaticCredentials(keys_of),
    )


@pytest.fixture
def front(rclone_s3: RcloneS3, fault_proxy: ProxyFactory) -> tuple[FaultProxy, Endpoint]:
    return fault_proxy(rclone_s3.endpoint)


@pytest.fixture
def proxy(front: tuple[FaultProxy, Endpoint]) -> FaultProxy:
    return front[0]


@pytest.fixture
async def store(
    front: tuple[FaultProxy, Endpoint], rclone_s3: RcloneS3, make_bucket: BucketFactory
) -> AsyncIterator[ObjectStore]:
    store = open_store(front[1], make_bucket(rclone_s3.endpoint))
    yield store
    await store.aclose()


async def get_chunks(store: ObjectStore, key: str) -> bytes:
    async with store.get(key) as reader:
        return b"".join([chunk async for chunk in reader.chunks()])


async def no_sleep(_seconds: float) -> None:
    """Retries at once."""


def retrying(store: ObjectStore) -> RetryingStore:
    return RetryingStore(store, verbs=frozenset(Verb), sleep=no_sleep)


ENDS = [
    pytest.param(Reset(), TransientError, id="reset"),
    pytest.param(DropResponse(), TransientError, id="answer lost"),
    pytest.param(Status(), ThrottledError, id="slow down"),
    pytest.param(Status(status=500, code="InternalError"), TransientError, id="internal"),
]


@pytest.mark.parametrize(
    ("action", "kind"), [*ENDS, pytest.param(Stall(), TransientError, id="stalled")]
)
async def test_a_request_that_fails_is_classed_and_the_next_one_works(
    store: ObjectStore, proxy: FaultProxy, action: Action, kind: type[StoreError]
) -> None:
    await put(store, "key", BODY)
    for operation, verb in (
        ("GetObject", lambda: get(store, "key")),
        ("PutObject", lambda: put(store, "key", BODY)),
        ("HeadObject", lambda: store.head("key")),
        ("ListObjectsV2", store.list),
    ):
        proxy.add(action, operation=operation, times=1)
        with pytest.raises(kind):
            await verb()
        await verb()
    assert await get(store, "key") == BODY


@pytest.mark.parametrize(("action", "_kind"), ENDS)
async def test_retries_end_in_the_same_state_as_no_fault(
    store: ObjectStore, proxy: FaultProxy, action: Action, _kind: type[StoreError]
) -> None:
    patient = retrying(store)
    proxy.add(action, times=2)
    await put(patient, "key", BODY)
    proxy.add(action, times=2)
    assert await get(patient, "key") == BODY
    proxy.add(action, times=2)
    assert await keys(patient) == ["key"]
    proxy.add(action, times=2)
    assert await patient.delete(["key", "other"]) == {}
    assert await keys(store) == []


@pytest.mark.parametrize("action", [TruncateBody(1000), ResetBody(1000), StallBody(1000)])
async def test_a_body_that_breaks_off_is_never_a_short_result(
    store: ObjectStore, proxy: FaultProxy, action: Action
) -> None:
    await put(store, "key", BODY)
    proxy.add(action, operation="GetObject", times=3)
    for length in (None, len(BODY) // 2):
        with pytest.raises(TransientError):
            await get(store, "key", length=length)
    with pytest.raises(TransientError):
        await get_chunks(store, "key")
    assert await get(store, "key") == await get_chunks(store, "key") == BODY


@pytest.mark.parametrize("action", [TruncateBody(100), ResetBody(100)])
async def test_a_page_that_breaks_off_is_no_page(
    store: ObjectStore, proxy: FaultProxy, action: Action
) -> None:
    await put(store, "key")
    proxy.add(action, operation="ListObjectsV2", times=1)
    with pytest.raises(TransientError):
        await store.list()
    assert await keys(store) == ["key"]


async def test_a_completion_whose_answer_is_lost_can_be_told_by_a_head(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    begun = await store.create_upload("key", attributes=NO_ATTRIBUTES, options=NO_OPTIONS)
    upload_id = begun.upload_id
    bodies = [bytes(MIN_PART_BYTES), b"end"]
    parts = [
        await part(store, "key", upload_id, number, body)
        for number, body in enumerate(bodies, start=1)
    ]
    proxy.add(DropResponse(), operation="CompleteMultipartUpload", times=1)
    with pytest.raises(NotFoundError) as caught:
        await retrying(store).complete_upload("key", upload_id, parts)
    assert caught.value.code == "no_upload"
    assert (await store.head("key")).size == sum(map(len, bodies))


async def test_a_part_that_stalls_is_sent_again_to_the_same_place(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    begun = await store.create_upload("key", attributes=NO_ATTRIBUTES, options=NO_OPTIONS)
    upload_id = begun.upload_id
    body = bytes(MIN_PART_BYTES)
    proxy.add(Stall(), operation="UploadPart", times=1)
    with pytest.raises(TransientError) as caught:
        await part(store, "key", upload_id, 1, body)
    assert caught.value.code == "timeout"
    sent = await store.upload_part("key", upload_id, 1, body, md5=digest(body))
    assert [one.number for one in await store.list_parts("key", upload_id)] == [1]
    await store.complete_upload("key", upload_id, [sent])


async def test_a_server_that_goes_away_is_unreachable_and_may_come_back(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    await put(store, "key")
    proxy.refuse()
    with pytest.raises(TransientError):
        await store.head("key")
    proxy.accept()
    assert (await store.head("key")).size == 4
