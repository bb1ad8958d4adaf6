from datetime import UTC, datetime

import pytest

from tests.conformance.store_facts import (
    NO_ATTRIBUTES,
    NO_OPTIONS,
    entries,
    get,
    keys,
    part,
    put,
    start,
)
from transferhub.errors import ArchivedError, UnsupportedError
from transferhub.model.objects import WriteOptions
from transferhub.stores.memory import MemoryServer, MemoryStore, Order
from transferhub.stores.wrapper import StoreWrapper

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


async def filled(store: MemoryStore, *wanted: str) -> MemoryStore:
    for key in wanted:
        await put(store, key)
    return store


async def after(store: MemoryStore, start_after: str) -> list[str]:
    return [entry.key for entry in await entries(store, start_after=start_after)]


async def test_folder_order_is_that_of_seaweedfs() -> None:
    store = await filled(MemoryStore(order=Order.FOLDERS), "a-b", "a/b", "a/b/c", "a.b", "a")
    assert await keys(store) == ["a", "a/b", "a/b/c", "a-b", "a.b"]


async def test_start_after_and_tokens_are_places_in_folder_order() -> None:
    store = await filled(MemoryStore(order=Order.FOLDERS), "a-b", "a/b", "a/c", "b")
    assert await after(store, "a-b") == ["b"]
    assert await after(store, "a/b") == ["a/c", "a-b", "b"]
    assert await after(store, "a") == ["a-b", "b"]
    assert await after(store, "a/") == ["a/b", "a/c", "a-b", "b"]
    page = await store.list(limit=2)
    assert [entry.key for entry in page.entries] == ["a/b", "a/c"]
    page = await store.list(token=page.next_token)
    assert [entry.key for entry in page.entries] == ["a-b", "b"]


async def test_a_shuffled_listing_is_the_same_each_time() -> None:
    wanted = [f"key-{number}" for number in range(20)]
    first = await filled(MemoryStore(order=Order.SHUFFLED), *wanted)
    second = await filled(MemoryStore(order=Order.SHUFFLED), *reversed(wanted))
    assert await keys(first) == await keys(second) != wanted
    assert sorted(await keys(first)) == sorted(wanted)


async def test_start_after_can_be_ignored() -> None:
    store = await filled(MemoryStore(ignores_start_after=True), "a", "b", "c")
    assert await after(store, "b") == ["a", "b", "c"]
    page = await store.list(start_after="b", limit=2)
    page = await store.list(start_after="b", token=page.next_token)
    assert [entry.key for entry in page.entries] == ["c"]


async def test_start_after_can_be_inclusive() -> None:
    store = await filled(MemoryStore(start_after_inclusive=True), "a", "b", "c")
    assert await after(store, "b") == ["b", "c"]
    assert [entry.key for entry in await entries(store, limit=1)] == ["a", "b", "c"]


async def test_pages_can_be_short() -> None:
    store = await filled(MemoryStore(page_keys=2), "a", "b", "c")
    assert len((await store.list(limit=1_000)).entries) == 2


async def test_the_clock_dates_writes() -> None:
    store = await filled(MemoryStore(clock=lambda: NOON), "a")
    assert (await store.head("a")).modified_at == NOON
    [entry] = await entries(store)
    assert entry.modified_at == NOON
    upload_id = await start(store, "b")
    assert [one.initiated_at for one in await store.list_uploads("b")] == [NOON]
    await store.abort_upload("b", upload_id)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
async def test_an_archived_object_is_listed_but_not_read(storage_class: str) -> None:
    store = MemoryStore()
    await put(store, "key", options=WriteOptions(storage_class=storage_class))
    [entry] = await entries(store)
    assert entry.storage_class == (await store.head("key")).storage_class == storage_class
    with pytest.raises(ArchivedError):
        await get(store, "key")
    with pytest.raises(ArchivedError):
        await store.copy(
            store,
            "key",
            "copy",
            if_match=entry.etag,
            attributes=NO_ATTRIBUTES,
            options=NO_OPTIONS,
        )


async def test_a_class_that_is_read_at_once_is_no_archive() -> None:
    store = MemoryStore()
    await put(store, "key", options=WriteOptions(storage_class="GLACIER_IR"))
    assert await get(store, "key") == b"body"


async def test_an_etag_is_no_md5_where_a_key_encrypts() -> None:
    store = MemoryStore()
    plain = await put(store, "plain")
    written = await put(store, "key", options=WriteOptions(sse="aws:kms", kms_key="k"))
    assert written.encrypted_by_key
    assert (await store.head("key")).encrypted_by_key
    assert written.etag != plain.etag
    assert not plain.encrypted_by_key


async def test_buckets_of_one_server_copy_between_each_other() -> None:
    server = MemoryServer()
    source, destination = MemoryStore("a", server=server), MemoryStore("b", server=server)
    assert source.capabilities.endpoint == destination.capabilities.endpoint != ""
    written = await put(source, "key", b"body")
    await destination.copy(
        StoreWrapper(source),
        "key",
        "copy",
        if_match=written.etag,
        attributes=NO_ATTRIBUTES,
        options=NO_OPTIONS,
    )
    assert await get(destination, "copy") == b"body"
    assert await keys(source) == ["key"]


async def test_servers_do_not_copy_from_each_other() -> None:
    source, destination = MemoryStore(), MemoryStore()
    assert source.capabilities.endpoint != destination.capabilities.endpoint
    written = await put(source, "key")
    with pytest.raises(UnsupportedError):
        await destination.copy(
            source,
            "key",
            "copy",
            if_match=written.etag,
            attributes=NO_ATTRIBUTES,
            options=NO_OPTIONS,
        )


async def test_parts_can_have_a_least_size() -> None:
    store = MemoryStore(min_part_bytes=10)
    upload_id = await start(store, "key")
    parts = [await part(store, "key", upload_id, n, b"short") for n in (1, 2)]
    with pytest.raises(UnsupportedError):
        await store.complete_upload("key", upload_id, parts)
    await store.complete_upload("key", upload_id, parts[:1])
    assert await get(store, "key") == b"short"


async def test_what_was_stored_cannot_be_changed_from_outside() -> None:
    store = MemoryStore()
    tags = {"a": "b"}
    await put(store, "key", options=WriteOptions(tags=tags))
    tags["a"] = "c"
    assert await store.get_tags("key") == {"a": "b"}
    assert (await store.head("key")).tag_count == 1
