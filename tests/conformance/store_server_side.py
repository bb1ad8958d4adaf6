"""What server-side copies and tags guarantee, and how they are refused."""

import pytest

from tests.conformance.store_facts import (
    NO_ATTRIBUTES,
    NO_OPTIONS,
    StoreFacts,
    get,
    kept,
    keys,
    part,
    put,
    start,
)
from tests.conformance.store_objects import ATTRIBUTES
from transferhub.errors import ChangedError, NotFoundError, UnsupportedError
from transferhub.model.objects import UploadedPart, Written
from transferhub.stores.base import ObjectStore

OTHER_ETAG = "0" * 32


async def copy(store: ObjectStore, source: str, key: str, if_match: str) -> Written:
    return await store.copy(
        store, source, key, if_match=if_match, attributes=ATTRIBUTES, options=NO_OPTIONS
    )


async def copy_part(
    store: ObjectStore,
    source: str,
    key: str,
    upload_id: str,
    number: int,
    *,
    reach: tuple[int, int],
    if_match: str,
) -> UploadedPart:
    offset, length = reach
    return await store.copy_part(
        store, source, key, upload_id, number, offset=offset, length=length, if_match=if_match
    )


class ServerSideTests(StoreFacts):
    async def test_a_copy_is_the_object_with_the_attributes_given(self, store: ObjectStore) -> None:
        source = await put(store, "source", b"body")
        if not store.capabilities.server_copy:
            with pytest.raises(UnsupportedError):
                await copy(store, "source", "dir/copy", source.etag)
            return
        written = await copy(store, "source", "dir/copy", source.etag)
        assert await get(store, "dir/copy") == b"body"
        info = await store.head("dir/copy")
        assert info.etag == written.etag
        for name, is_kept in kept(ATTRIBUTES, info.attributes).items():
            assert is_kept != (name in written.not_kept), name

    async def test_a_copy_does_not_inherit_attributes(self, store: ObjectStore) -> None:
        if not store.capabilities.server_copy:
            return
        source = await put(store, "source", b"body", attributes=ATTRIBUTES)
        await store.copy(
            store,
            "source",
            "copy",
            if_match=source.etag,
            attributes=NO_ATTRIBUTES,
            options=NO_OPTIONS,
        )
        attributes = (await store.head("copy")).attributes
        assert attributes.metadata == {}
        assert attributes.cache_control == ""

    async def test_a_copy_of_another_version_is_refused(self, store: ObjectStore) -> None:
        if not store.capabilities.server_copy:
            return
        await put(store, "source", b"body")
        with pytest.raises(ChangedError):
            await copy(store, "source", "copy", OTHER_ETAG)
        with pytest.raises(NotFoundError):
            await copy(store, "missing", "copy", OTHER_ETAG)
        assert await keys(store) == ["source"]

    async def test_parts_can_be_copied_from_ranges(self, store: ObjectStore) -> None:
        first, rest = b"1" * self.part_bytes, b"the rest"
        source = await put(store, "source", first + rest)
        upload_id = await start(store, "copy")
        if not store.capabilities.server_copy:
            with pytest.raises(UnsupportedError):
                await copy_part(
                    store, "source", "copy", upload_id, 1, reach=(0, 1), if_match=source.etag
                )
            await store.abort_upload("copy", upload_id)
            return
        reaches = [(0, len(first)), (len(first), len(rest))]
        parts = [
            await copy_part(
                store, "source", "copy", upload_id, number, reach=reach, if_match=source.etag
            )
            for number, reach in enumerate(reaches, 1)
        ]
        assert [one.size for one in parts] == [len(first), len(rest)]
        await store.complete_upload("copy", upload_id, parts)
        assert await get(store, "copy") == first + rest

    async def test_copied_and_uploaded_parts_make_one_object(self, store: ObjectStore) -> None:
        if not store.capabilities.server_copy:
            return
        first = b"1" * self.part_bytes
        source = await put(store, "source", first)
        upload_id = await start(store, "copy")
        parts = [
            await copy_part(
                store,
                "source",
                "copy",
                upload_id,
                1,
                reach=(0, len(first)),
                if_match=source.etag,
            ),
            await part(store, "copy", upload_id, 2, b"uploaded"),
        ]
        await store.complete_upload("copy", upload_id, parts)
        assert await get(store, "copy") == first + b"uploaded"

    async def test_a_part_of_another_version_is_refused(self, store: ObjectStore) -> None:
        if not store.capabilities.server_copy:
            return
        await put(store, "source", b"body")
        upload_id = await start(store, "copy")
        with pytest.raises(ChangedError):
            await copy_part(
                store, "source", "copy", upload_id, 1, reach=(0, 4), if_match=OTHER_ETAG
            )
        assert list(await store.list_parts("copy", upload_id)) == []
        await store.abort_upload("copy", upload_id)

    async def test_tags_are_replaced_as_a_whole(self, store: ObjectStore) -> None:
        await put(store, "key")
        if not store.capabilities.tags:
            with pytest.raises(UnsupportedError):
                await store.get_tags("key")
            with pytest.raises(UnsupportedError):
                await store.put_tags("key", {"a": "b"})
            return
        assert await store.get_tags("key") == {}
        await store.put_tags("key", {"a": "1", "b": "2 + 2 = 4"})
        assert await store.get_tags("key") == {"a": "1", "b": "2 + 2 = 4"}
        await store.put_tags("key", {"c": ""})
        assert await store.get_tags("key") == {"c": ""}
        await store.put_tags("key", {})
        assert await store.get_tags("key") == {}

    async def test_tags_of_a_missing_object_are_not_found(self, store: ObjectStore) -> None:
        if not store.capabilities.tags:
            return
        with pytest.raises(NotFoundError):
            await store.get_tags("missing")
        with pytest.raises(NotFoundError):
            await store.put_tags("missing", {"a": "b"})
