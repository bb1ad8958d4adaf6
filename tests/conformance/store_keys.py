"""Keys are exact: what was put is what is listed, and what is listed can be got."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.store_facts import (
    StoreFacts,
    clear,
    contents,
    get,
    keys,
    part,
    put,
    refused,
    start,
)
from transferhub.errors import UnsupportedError
from transferhub.stores.base import ObjectStore

HOSTILE = {
    "space": "a b",
    "leading space": " a",
    "trailing space": "a ",
    "only a space": " ",
    "plus": "a+b",
    "plus and space": "a +b",
    "percent escape": "a%2Fb",
    "percent": "100%",
    "percent of percent": "%252F",
    "two slashes": "a//b",
    "three slashes": "a///b",
    "leading slash": "/a",
    "two leading slashes": "//a",
    "trailing slash": "a/",
    "only a slash": "/",
    "quotes": "\"a\" 'b' `c`",
    "backslash": "a\\b",
    "dot segment": "a/./b",
    "dot dot segment": "a/../b",
    "leading dot dot": "../a",
    "trailing dot dot": "a/..",
    "only a dot": ".",
    "only dots": "..",
    "three dots": "...",
    "hidden": ".hidden/.file",
    "trailing dot": "a.",
    "query": "a?b=c&d=e#f",
    "xml": "<a>&amp;</a>",
    "shell": "$(a);b|c*d[e]{f}~!",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "bell": "a\x07b",
    "escape": "a\x1bb",
    "delete": "a\x7fb",
    "zero": "a\x00b",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "no character": "a\ufffeb",
    "byte order mark": "\ufeffa",
    "composed": "é",
    "decomposed": "e\u0301",
    "emoji": "😀/👩‍👩‍👧",
    "right to left": "שלום/\u202ea",
    "cjk": "数据/传输",
    "highest code point": "a\U0010ffff",
    "colon": "C:\\a:b",
    "long segments": "/".join(["s" * 127] * 8) + "t",
    "one long segment": "k" * 1_024,
    "long in bytes": "é" * 127,
    "segment of 256 bytes": "é" * 128,
    "like an upload": "a?uploads",
    "like an option": "-rf",
    "newline at the end": "a\n",
}
assert len(HOSTILE["long segments"].encode()) == 1_024

_text = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(" /+%.\\\"'&<>?#*\n\r\t\x00\x7f"),
    ),
    min_size=1,
    max_size=200,
)
any_key = _text.filter(lambda key: len(key.encode()) <= 1_024)


class KeyTests(StoreFacts):
    @pytest.mark.parametrize("name", HOSTILE)
    async def test_a_hostile_key_is_held_exactly_or_refused(
        self, store: ObjectStore, name: str
    ) -> None:
        key = HOSTILE[name]
        if self.peer_mangles(key):
            return
        assert await refused(store, key) == self.refuses(key)
        if self.refuses(key):
            await self._assert_untouched(store, key)
            return
        await self._assert_held(store, key)

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_an_upload_holds_a_hostile_key_exactly_or_refuses_it(
        self, store: ObjectStore, name: str
    ) -> None:
        key = HOSTILE[name]
        if self.peer_mangles(key):
            return
        if self.refuses(key):
            with pytest.raises(UnsupportedError) as caught:
                await start(store, key)
            assert caught.value.code == "bad_key"
            await self._assert_untouched(store, key)
            return
        upload_id = await start(store, key)
        assert [one.upload_id for one in await store.list_uploads(key)] == [upload_id]
        one = await part(store, key, upload_id, 1, b"body")
        assert list(await store.list_parts(key, upload_id)) == [one]
        await store.complete_upload(key, upload_id, [one])
        await self._assert_held(store, key)

    async def test_an_empty_key_is_refused(self, store: ObjectStore) -> None:
        with pytest.raises(UnsupportedError) as caught:
            await put(store, "")
        assert caught.value.code == "bad_key"

    async def test_a_key_that_is_too_long_is_refused(self, store: ObjectStore) -> None:
        longest = store.capabilities.max_key_bytes
        key = "/".join(["k" * 63] * (longest // 64 + 1))[: longest + 1].replace("/k", "/é", 1)
        assert len(key.encode()) > longest
        assert await refused(store, key)
        assert await keys(store) == []

    async def test_a_key_that_is_not_unicode_is_refused(self, store: ObjectStore) -> None:
        assert await refused(store, "a\udcffb")
        assert await keys(store) == []

    async def test_keys_that_differ_by_case_are_two(self, store: ObjectStore) -> None:
        await put(store, "Key", b"upper")
        await put(store, "key", b"lower")
        assert await contents(store) == {"Key": b"upper", "key": b"lower"}

    async def test_a_key_and_one_below_it_are_two(self, store: ObjectStore) -> None:
        await put(store, "a", b"object")
        if not self.holds_folder_keys:
            if not self.refuses_folder_keys:
                return
            assert await refused(store, "a/b")
            assert await contents(store) == {"a": b"object"}
            return
        await put(store, "a/b", b"below")
        assert await contents(store) == {"a": b"object", "a/b": b"below"}
        await store.delete(["a"])
        assert await contents(store) == {"a/b": b"below"}

    async def test_a_key_and_one_above_it_are_two(self, store: ObjectStore) -> None:
        await put(store, "a/b", b"below")
        if not self.holds_folder_keys:
            if not self.refuses_folder_keys:
                return
            assert await refused(store, "a")
            assert await contents(store) == {"a/b": b"below"}
            return
        await put(store, "a", b"object")
        assert await contents(store) == {"a": b"object", "a/b": b"below"}
        await store.delete(["a/b"])
        assert await contents(store) == {"a": b"object"}

    async def test_hostile_keys_are_listed_together(self, store: ObjectStore) -> None:
        stored = self.storable(HOSTILE.values())
        await asyncio.gather(*(put(store, key, key.encode()) for key in stored))
        assert await contents(store) == {key: key.encode() for key in stored}
        if self.in_byte_order:
            assert await keys(store) == sorted(stored)
        assert await store.delete(stored) == {}
        assert await keys(store) == []

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(wanted=st.lists(any_key, min_size=1, max_size=5, unique=True))
    async def test_any_key_is_held_exactly_or_refused(
        self, store: ObjectStore, wanted: list[str]
    ) -> None:
        for key in wanted:
            if self.refuses(key) and not self.peer_mangles(key):
                assert await refused(store, key)
        stored = self.storable(wanted)
        try:
            for key in stored:
                await put(store, key, key.encode())
            assert await contents(store) == {key: key.encode() for key in stored}
        finally:
            await clear(store)

    async def _assert_held(self, store: ObjectStore, key: str) -> None:
        assert await keys(store) == [key]
        assert await keys(store, key) == [key]
        info = await store.head(key)
        assert info.key == key
        assert info.size == 4
        assert await get(store, key, if_match=info.etag) == b"body"
        assert await store.delete([key]) == {}
        assert await keys(store) == []

    async def _assert_untouched(self, store: ObjectStore, key: str) -> None:
        # Not by a HEAD: where a server has folders, it may find one of that name.
        await store.delete([key])
        assert await keys(store) == []
