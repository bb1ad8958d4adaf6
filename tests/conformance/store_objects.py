"""What `head`, `get`, `put` and `delete` guarantee."""

import asyncio
import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.store_facts import (
    NO_ATTRIBUTES,
    NO_OPTIONS,
    StoreFacts,
    contents,
    digest,
    get,
    is_missing,
    kept,
    keys,
    part,
    put,
)
from transferhub.errors import ChangedError, CorruptError, NotFoundError
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.base import ObjectStore

BODY = random.Random(1).randbytes(3 << 20)
ATTRIBUTES = Attributes(
    content_type="text/x-test; charset=utf-8",
    content_encoding="x-test",
    content_language="de-CH",
    content_disposition='attachment; filename="a b.txt"',
    cache_control="max-age=60, private",
    expires="Wed, 21 Oct 2099 07:28:00 GMT",
    metadata={"color": "dark blue", "with-dash": "a=b;c", "number": "42"},
)

Checksum = Callable[[bytes], bytes]


class ObjectTests(StoreFacts):
    @pytest.mark.parametrize("size", [0, 1, 1_000, len(BODY)])
    async def test_what_was_put_is_got(self, store: ObjectStore, size: int) -> None:
        await put(store, "key", BODY[:size])
        async with store.get("key") as reader:
            assert reader.length == reader.info.size == size
            assert await reader.read() == BODY[:size]

    @pytest.mark.parametrize("size", [0, 1, len(BODY)])
    async def test_chunks_make_the_body(self, store: ObjectStore, size: int) -> None:
        await put(store, "key", BODY[:size])
        async with store.get("key") as reader:
            chunks = [chunk async for chunk in reader.chunks()]
        assert b"".join(chunks) == BODY[:size]

    async def test_a_body_can_be_left_unread(self, store: ObjectStore) -> None:
        await put(store, "key", BODY)
        async with store.get("key") as reader:
            assert reader.info.size == len(BODY)
        async with store.get("key") as reader:
            async for _ in reader.chunks():
                break
        assert await get(store, "key") == BODY

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 1), (1, 10), (100, None), (len(BODY) - 1, 1), (5, 2 << 20)]
    )
    async def test_a_range_is_read(
        self, store: ObjectStore, offset: int, length: int | None
    ) -> None:
        await put(store, "key", BODY)
        end = None if length is None else offset + length
        async with store.get("key", offset=offset, length=length) as reader:
            assert reader.info.size == len(BODY)
            assert reader.length == len(BODY[offset:end])
            assert await reader.read() == BODY[offset:end]

    async def test_a_range_beyond_the_end_gives_what_is_there(self, store: ObjectStore) -> None:
        await put(store, "key", b"0123456789")
        assert await get(store, "key", offset=8, length=100) == b"89"

    async def test_what_get_says_is_what_head_says(self, store: ObjectStore) -> None:
        written = await put(store, "key", b"body", attributes=ATTRIBUTES)
        info = await store.head("key")
        async with store.get("key", offset=1, length=2) as reader:
            assert reader.info.etag == info.etag == written.etag
            assert reader.info.size == info.size == 4
            assert reader.info.modified_at == info.modified_at
            assert reader.info.attributes == info.attributes
        assert info.key == "key"

    async def test_a_pinned_read_gives_the_version_that_was_asked_for(
        self, store: ObjectStore
    ) -> None:
        first = await put(store, "key", b"first")
        assert await get(store, "key", if_match=first.etag) == b"first"
        second = await put(store, "key", b"second")
        with pytest.raises(ChangedError) as caught:
            await get(store, "key", if_match=first.etag)
        assert caught.value.retryable
        with pytest.raises(ChangedError):
            await get(store, "key", offset=1, length=2, if_match=first.etag)
        assert await get(store, "key", offset=1, length=2, if_match=second.etag) == b"ec"

    async def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        await put(store, "dir/key")
        for key in ("missing", "dir", "dir/key2", "dir/ke", "dir/key/x"):
            with pytest.raises(NotFoundError) as caught:
                await store.head(key)
            assert caught.value.code == "not_found"
            with pytest.raises(NotFoundError):
                await get(store, key)
        with pytest.raises(NotFoundError):
            await get(store, "missing", if_match="0" * 32)

    async def test_a_put_replaces_the_object_whole(self, store: ObjectStore) -> None:
        await put(store, "key", b"a long first body", attributes=ATTRIBUTES)
        await put(store, "key", b"short")
        assert await get(store, "key") == b"short"
        info = await store.head("key")
        assert info.size == 5
        assert info.attributes.metadata == {}
        assert info.attributes.content_disposition == ""
        assert await keys(store) == ["key"]

    async def test_a_put_that_does_not_match_its_md5_changes_nothing(
        self, store: ObjectStore
    ) -> None:
        await put(store, "there", b"before")
        for key in ("there", "new"):
            with pytest.raises(CorruptError):
                await store.put(
                    key,
                    b"torn",
                    attributes=NO_ATTRIBUTES,
                    options=NO_OPTIONS,
                    md5=digest(b"whole"),
                )
        assert await contents(store) == {"there": b"before"}

    async def test_an_etag_is_an_md5_where_the_store_says_so(self, store: ObjectStore) -> None:
        written = await put(store, "key", b"body")
        if store.capabilities.md5_etags and not written.encrypted_by_key:
            assert written.etag == digest(b"body").hex()

    async def test_an_object_is_as_old_as_its_last_write(self, store: ObjectStore) -> None:
        # Clocks of servers show whole seconds, and need not agree with ours to the second.
        await put(store, "key")
        first = (await store.head("key")).modified_at
        assert first is not None
        assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)

    async def test_attributes_are_kept_or_named(self, store: ObjectStore) -> None:
        written = await put(store, "key", attributes=ATTRIBUTES)
        await self.assert_kept_or_named(store, "key", written.not_kept)

    @pytest.mark.parametrize("way", ["put", "parts", "copy"])
    async def test_metadata_without_a_value_is_kept_or_named(
        self, store: ObjectStore, way: str
    ) -> None:
        attributes = Attributes(metadata={"marked": "", "color": "blue"})
        match way:
            case "parts":
                begun = await store.create_upload("key", attributes=attributes, options=NO_OPTIONS)
                parts = [await part(store, "key", begun.upload_id, 1, b"body")]
                await store.complete_upload("key", begun.upload_id, parts)
                not_kept = begun.not_kept
            case "copy" if store.capabilities.server_copy:
                await put(store, "from")
                written = await store.copy(
                    store, "from", "key", if_match="", attributes=attributes, options=NO_OPTIONS
                )
                not_kept = written.not_kept
            case _:
                not_kept = (await put(store, "key", attributes=attributes)).not_kept
        found = (await store.head("key")).attributes.metadata
        assert (found == attributes.metadata) is ("metadata" not in not_kept)

    async def test_attributes_that_were_not_given_are_not_named(self, store: ObjectStore) -> None:
        written = await put(store, "key")
        assert written.not_kept == ()

    async def test_options_that_cannot_be_kept_are_named(self, store: ObjectStore) -> None:
        options = WriteOptions(tags={"project": "x y", "stage": "test"})
        written = await put(store, "key", options=options)
        if store.capabilities.tags:
            assert await store.get_tags("key") == options.tags
        else:
            assert "tags" in written.not_kept

    async def test_checksums_are_told_when_asked_for(self, store: ObjectStore) -> None:
        await put(store, "key", b"body")
        assert (await store.head("key")).checksums == {}
        checksums = (await store.head("key", checksums=True)).checksums
        if "md5" in checksums:
            assert base64.b64decode(checksums["md5"]) == digest(b"body")
        if self.checksum_of_put:
            assert self.checksum_of_put in checksums

    async def test_deleted_objects_are_gone(self, store: ObjectStore) -> None:
        for key in ("a", "b", "dir/c", "dir/d"):
            await put(store, key)
        assert await store.delete(["a", "dir/c"]) == {}
        assert sorted(await keys(store)) == ["b", "dir/d"]
        assert await is_missing(store, "a")
        assert await is_missing(store, "dir/c")

    async def test_a_missing_key_counts_as_deleted(self, store: ObjectStore) -> None:
        await put(store, "a")
        assert await store.delete(["missing", "a", "no/such/folder"]) == {}
        assert await store.delete(["a"]) == {}
        assert await keys(store) == []

    async def test_a_delete_is_of_keys_never_of_prefixes(self, store: ObjectStore) -> None:
        for key in ("dir/a", "dir/b"):
            await put(store, key)
        assert await store.delete(["dir"]) == {}
        assert await store.delete(["d", "dir/a/b"]) == {}
        assert sorted(await keys(store)) == ["dir/a", "dir/b"]

    async def test_a_delete_takes_a_whole_batch(self, store: ObjectStore) -> None:
        wanted = [f"many/{number:04}" for number in range(40)]
        await asyncio.gather(*(put(store, key, b"") for key in wanted))
        batch = wanted + [f"missing/{number:04}" for number in range(960)]
        assert await store.delete(batch) == {}
        assert await keys(store) == []

    async def test_a_name_is_free_again_after_a_delete(self, store: ObjectStore) -> None:
        await put(store, "a/b/c")
        await store.delete(["a/b/c"])
        await put(store, "a")
        await store.delete(["a"])
        await put(store, "a/b")
        assert await keys(store) == ["a/b"]

    async def test_verbs_side_by_side_do_not_mix(self, store: ObjectStore) -> None:
        bodies = {f"dir-{n % 3}/key-{n}": BODY[n : n + 10_000] for n in range(24)}
        await asyncio.gather(*(put(store, key, body) for key, body in bodies.items()))
        found = await asyncio.gather(*(get(store, key) for key in bodies))
        assert found == list(bodies.values())
        doomed = list(bodies)[::2]
        await asyncio.gather(*(store.delete([key]) for key in doomed))
        assert sorted(await keys(store)) == sorted(set(bodies) - set(doomed))

    async def test_writers_of_one_key_leave_one_whole_body(self, store: ObjectStore) -> None:
        if not self.one_key_many_writers:
            return
        bodies = [bytes([n]) * 100_000 for n in range(8)]
        await asyncio.gather(*(put(store, "key", body) for body in bodies))
        assert await get(store, "key") in bodies

    async def test_a_cancelled_verb_leaves_the_store_usable(self, store: ObjectStore) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(put(store, f"key-{n}", BODY)) for n in range(4)]
            group.create_task(get_or_none(store, "key-0"))
            for task in tasks:
                task.cancel()
        await put(store, "key", b"after")
        assert await get(store, "key") == b"after"
        for key in await keys(store):
            assert await get(store, key) in (BODY, b"after")

    async def assert_kept_or_named(
        self, store: ObjectStore, key: str, not_kept: tuple[str, ...]
    ) -> None:
        found = (await store.head(key)).attributes
        for name, is_kept in kept(ATTRIBUTES, found).items():
            assert is_kept != (name in not_kept), name
            assert (name in store.capabilities.attributes) == is_kept, name


async def get_or_none(store: ObjectStore, key: str) -> bytes | None:
    try:
        return await get(store, key)
    except NotFoundError:
        return None
