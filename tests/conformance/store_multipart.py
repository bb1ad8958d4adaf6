"""What the verbs of multipart uploads guarantee."""

import asyncio

import pytest

from tests.conformance.store_facts import (
    NO_ATTRIBUTES,
    NO_OPTIONS,
    StoreFacts,
    contents,
    digest,
    get,
    kept,
    keys,
    part,
    put,
    start,
)
from tests.conformance.store_objects import ATTRIBUTES
from transferhub.errors import CorruptError, NotFoundError, StoreError
from transferhub.model.objects import UploadedPart, WriteOptions
from transferhub.stores.base import MAX_PARTS, ObjectStore

UNKNOWN_UPLOAD = "0123456789abcdef0123456789abcdef"


class MultipartTests(StoreFacts):
    def bodies(self, count: int = 3) -> list[bytes]:
        """Bodies of parts; the last one is short."""
        return [bytes([n]) * self.part_bytes for n in range(1, count)] + [b"the end"]

    async def test_an_upload_makes_the_object_of_its_parts(self, store: ObjectStore) -> None:
        bodies = self.bodies()
        upload_id = await start(store, "dir/key")
        parts = [await part(store, "dir/key", upload_id, n, b) for n, b in enumerate(bodies, 1)]
        assert [one.number for one in parts] == [1, 2, 3]
        assert [one.size for one in parts] == [len(body) for body in bodies]
        assert await keys(store) == []
        written = await store.complete_upload("dir/key", upload_id, parts)
        assert await get(store, "dir/key") == b"".join(bodies)
        info = await store.head("dir/key")
        assert info.etag == written.etag
        assert info.size == sum(map(len, bodies))
        assert info.parts in (0, 3)

    async def test_the_size_of_the_first_of_several_parts_is_told_or_nothing(
        self, store: ObjectStore
    ) -> None:
        await put(store, "whole")
        for key, count in (("one", 1), ("three", 3)):
            bodies = self.bodies(count)
            upload_id = await start(store, key)
            parts = [await part(store, key, upload_id, n, b) for n, b in enumerate(bodies, 1)]
            await store.complete_upload(key, upload_id, parts)
        assert await store.first_part_size("whole") == 0
        assert await store.first_part_size("one") == 0
        told = self.part_bytes if self.tells_part_sizes else 0
        assert await store.first_part_size("three") == told

    async def test_the_etag_is_of_the_parts_where_the_store_says_so(
        self, store: ObjectStore
    ) -> None:
        bodies = self.bodies()
        upload_id = await start(store, "key")
        parts = [await part(store, "key", upload_id, n, b) for n, b in enumerate(bodies, 1)]
        written = await store.complete_upload("key", upload_id, parts)
        if store.capabilities.md5_etags:
            assert [one.etag for one in parts] == [digest(body).hex() for body in bodies]
            whole = digest(b"".join(digest(body) for body in bodies)).hex()
            assert written.etag == f"{whole}-{len(bodies)}"

    async def test_parts_can_come_in_any_order_and_side_by_side(self, store: ObjectStore) -> None:
        bodies = self.bodies(4)
        upload_id = await start(store, "key")
        uploaded = await asyncio.gather(
            *(part(store, "key", upload_id, n, bodies[n - 1]) for n in (4, 2, 3, 1))
        )
        parts = sorted(uploaded, key=lambda one: one.number)
        await store.complete_upload("key", upload_id, parts)
        assert await get(store, "key") == b"".join(bodies)

    async def test_numbers_need_not_be_dense(self, store: ObjectStore) -> None:
        first, last = self.bodies(2)
        upload_id = await start(store, "key")
        parts = [
            await part(store, "key", upload_id, 7, first),
            await part(store, "key", upload_id, MAX_PARTS, last),
        ]
        await store.complete_upload("key", upload_id, parts)
        assert await get(store, "key") == first + last

    async def test_one_part_is_enough_and_it_may_be_empty(self, store: ObjectStore) -> None:
        for body in (b"x", b""):
            upload_id = await start(store, "key")
            parts = [await part(store, "key", upload_id, 1, body)]
            await store.complete_upload("key", upload_id, parts)
            assert await get(store, "key") == body

    async def test_a_part_that_is_sent_again_replaces_the_first(self, store: ObjectStore) -> None:
        upload_id = await start(store, "key")
        await part(store, "key", upload_id, 1, b"first")
        again = await part(store, "key", upload_id, 1, b"second one")
        if self.lists_current_parts:
            assert list(await store.list_parts("key", upload_id)) == [again]
        await store.complete_upload("key", upload_id, [again])
        assert await get(store, "key") == b"second one"

    async def test_a_part_that_does_not_match_its_md5_is_refused(self, store: ObjectStore) -> None:
        upload_id = await start(store, "key")
        good = await part(store, "key", upload_id, 1, b"good")
        with pytest.raises(CorruptError):
            await store.upload_part("key", upload_id, 1, b"torn", md5=digest(b"whole"))
        assert list(await store.list_parts("key", upload_id)) == [good]
        await store.abort_upload("key", upload_id)

    async def test_a_part_may_come_without_its_md5(self, store: ObjectStore) -> None:
        upload_id = await start(store, "key")
        sent = await store.upload_part("key", upload_id, 1, b"body", md5=None)
        if store.capabilities.md5_etags and not sent.encrypted_by_key:
            assert sent.etag == digest(b"body").hex()
        await store.complete_upload("key", upload_id, [sent])
        assert await get(store, "key") == b"body"

    async def test_parts_are_listed_by_number(self, store: ObjectStore) -> None:
        upload_id = await start(store, "key")
        assert list(await store.list_parts("key", upload_id)) == []
        parts = [await part(store, "key", upload_id, n, bytes(n)) for n in (10, 2, 1)]
        assert list(await store.list_parts("key", upload_id)) == parts[::-1]
        await store.abort_upload("key", upload_id)

    async def test_an_upload_that_is_complete_is_not_open(self, store: ObjectStore) -> None:
        upload_id = await start(store, "key")
        parts = [await part(store, "key", upload_id, 1, b"body")]
        await store.complete_upload("key", upload_id, parts)
        with pytest.raises(NotFoundError) as caught:
            await store.complete_upload("key", upload_id, parts)
        assert caught.value.code == "no_upload"
        with pytest.raises(NotFoundError) as caught:
            await part(store, "key", upload_id, 2, b"more")
        assert caught.value.code == "no_upload"
        assert list(await store.list_uploads("key")) == []
        assert await get(store, "key") == b"body"

    async def test_an_upload_that_is_given_up_leaves_nothing(self, store: ObjectStore) -> None:
        await put(store, "key", b"before")
        upload_id = await start(store, "key")
        parts = [await part(store, "key", upload_id, 1, b"body")]
        await store.abort_upload("key", upload_id)
        await store.abort_upload("key", upload_id)
        for verb in (
            part(store, "key", upload_id, 1, b"body"),
            store.list_parts("key", upload_id),
            store.complete_upload("key", upload_id, parts),
        ):
            with pytest.raises(NotFoundError) as caught:
                await verb
            assert caught.value.code == "no_upload"
        assert await contents(store) == {"key": b"before"}
        assert list(await store.list_uploads("key")) == []

    async def test_an_unknown_upload_is_not_open(self, store: ObjectStore) -> None:
        await store.abort_upload("key", UNKNOWN_UPLOAD)
        with pytest.raises(NotFoundError) as caught:
            await part(store, "key", UNKNOWN_UPLOAD, 1, b"body")
        assert caught.value.code == "no_upload"

    async def test_an_object_is_replaced_only_when_the_upload_is_complete(
        self, store: ObjectStore
    ) -> None:
        await put(store, "key", b"before", attributes=ATTRIBUTES)
        upload_id = await start(store, "key")
        parts = [await part(store, "key", upload_id, 1, b"after")]
        assert await contents(store) == {"key": b"before"}
        await store.complete_upload("key", upload_id, parts)
        assert await contents(store) == {"key": b"after"}

    async def test_uploads_are_those_of_exactly_the_key(self, store: ObjectStore) -> None:
        wanted = {await start(store, "dir/key"), await start(store, "dir/key")}
        others = {key: await start(store, key) for key in ("dir/key2", "dir/ke", "dir/key-x")}
        found = await store.list_uploads("dir/key")
        assert {one.upload_id for one in found} == wanted
        assert {one.key for one in found} == {"dir/key"}
        assert list(await store.list_uploads("dir/")) == []
        for upload_id in wanted:
            await store.abort_upload("dir/key", upload_id)
        assert list(await store.list_uploads("dir/key")) == []
        for key, upload_id in others.items():
            assert [one.upload_id for one in await store.list_uploads(key)] == [upload_id]
            await store.abort_upload(key, upload_id)

    async def test_a_key_without_uploads_has_none(self, store: ObjectStore) -> None:
        assert list(await store.list_uploads("never/seen")) == []

    async def test_uploads_of_one_key_do_not_mix(self, store: ObjectStore) -> None:
        first, second = await start(store, "key"), await start(store, "key")
        assert first != second
        of_first = [await part(store, "key", first, 1, b"first")]
        of_second = [await part(store, "key", second, 1, b"second")]
        await store.complete_upload("key", second, of_second)
        assert await get(store, "key") == b"second"
        await store.complete_upload("key", first, of_first)
        assert await get(store, "key") == b"first"

    async def test_a_part_that_the_store_does_not_hold_makes_no_object(
        self, store: ObjectStore
    ) -> None:
        upload_id = await start(store, "key")
        held = await part(store, "key", upload_id, 1, b"body")
        missing = UploadedPart(number=2, etag=held.etag, size=4)
        with pytest.raises(StoreError):
            await store.complete_upload("key", upload_id, [held, missing])
        other = UploadedPart(number=1, etag=digest(b"other").hex(), size=4)
        with pytest.raises(StoreError):
            await store.complete_upload("key", upload_id, [other])
        assert await keys(store) == []
        await store.abort_upload("key", upload_id)

    async def test_attributes_of_an_upload_are_kept_or_named(self, store: ObjectStore) -> None:
        begun = await store.create_upload("key", attributes=ATTRIBUTES, options=NO_OPTIONS)
        parts = [await part(store, "key", begun.upload_id, 1, b"body")]
        await store.complete_upload("key", begun.upload_id, parts)
        found = (await store.head("key")).attributes
        for name, is_kept in kept(ATTRIBUTES, found).items():
            assert is_kept != (name in begun.not_kept), name

    async def test_tags_of_an_upload_are_kept_or_named(self, store: ObjectStore) -> None:
        options = WriteOptions(tags={"stage": "test"})
        begun = await store.create_upload("key", attributes=NO_ATTRIBUTES, options=options)
        parts = [await part(store, "key", begun.upload_id, 1, b"body")]
        await store.complete_upload("key", begun.upload_id, parts)
        if store.capabilities.tags:
            assert await store.get_tags("key") == options.tags
        else:
            assert "tags" in begun.not_kept

    async def test_an_upload_can_be_started_with_no_more_than_a_key(
        self, store: ObjectStore
    ) -> None:
        begun = await store.create_upload("key", attributes=NO_ATTRIBUTES, options=NO_OPTIONS)
        assert begun.not_kept == ()
        parts = [await part(store, "key", begun.upload_id, 1, b"body")]
        await store.complete_upload("key", begun.upload_id, parts)
