"""What `check` and `list` guarantee."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.store_facts import StoreFacts, clear, entries, keys, put
from transferhub.stores.base import ObjectStore

SCATTERED = ("a", "a-b", "a.b", "a0", "aé", "b/c", "b/d/e", "b-c", "b0", "c/1", "c/2", "d", "e😀")
"""Keys whose byte order is not the order of folders."""

_segments = st.text(alphabet="ab-.0é", min_size=1, max_size=3).filter(
    lambda segment: segment not in (".", "..")
)
tree_keys = st.lists(_segments, min_size=1, max_size=3).map("/".join)


class ListingTests(StoreFacts):
    async def test_check_passes_where_the_store_can_be_listed(self, store: ObjectStore) -> None:
        await store.check()

    async def test_the_location_is_told(self, store: ObjectStore) -> None:
        assert store.location

    async def test_an_empty_store_lists_one_last_page(self, store: ObjectStore) -> None:
        page = await store.list()
        assert page.entries == []
        assert page.next_token == ""

    async def test_an_entry_is_what_head_says(self, store: ObjectStore) -> None:
        await put(store, "key", b"12345")
        [entry] = await entries(store)
        info = await store.head("key")
        assert entry.key == "key"
        assert entry.size == info.size == 5
        assert entry.etag == info.etag
        assert '"' not in entry.etag
        assert entry.modified_at is not None
        assert info.modified_at is not None
        # HTTP dates have whole seconds, listings may have more.
        assert int(entry.modified_at.timestamp()) == int(info.modified_at.timestamp())
        assert entry.modified_at.utcoffset() is not None

    async def test_a_prefix_is_of_characters_not_of_folders(self, store: ObjectStore) -> None:
        for key in ("ab", "abc", "ab/c", "a", "b") if self.holds_folder_keys else ("abc", "a", "b"):
            await put(store, key)
        assert sorted(await keys(store, "ab")) == (
            ["ab", "ab/c", "abc"] if self.holds_folder_keys else ["abc"]
        )

    async def test_a_prefix_that_ends_in_a_slash_is_exact(self, store: ObjectStore) -> None:
        for key in ("dir/a", "dir/b/c", "dir-x", "dirt"):
            await put(store, key)
        assert sorted(await keys(store, "dir/")) == ["dir/a", "dir/b/c"]
        assert await keys(store, "dir/none") == []
        assert await keys(store, "none/") == []

    async def test_pages_give_every_object_once(self, store: ObjectStore) -> None:
        scattered = await self._fill(store)
        for limit in (1, 2, 5, len(scattered), 1_000):
            found = [entry.key for entry in await entries(store, limit=limit)]
            assert sorted(found) == scattered
            assert len(found) == len(scattered)

    async def test_pages_come_in_byte_order_where_the_store_says_so(
        self, store: ObjectStore
    ) -> None:
        scattered = await self._fill(store)
        if self.in_byte_order:
            assert [entry.key for entry in await entries(store, limit=3)] == scattered

    async def test_pages_of_a_prefix_give_only_its_objects(self, store: ObjectStore) -> None:
        await self._fill(store)
        found = [entry.key for entry in await entries(store, "b", limit=2)]
        assert sorted(found) == ["b-c", "b/c", "b/d/e", "b0"]

    async def test_start_after_leaves_out_nothing_that_follows(self, store: ObjectStore) -> None:
        scattered = await self._fill(store)
        if not self.in_byte_order:
            return
        for after in [*scattered, "b/", "b/d", "b/d/", "b/d/zzz", "a-", "zzz"]:
            for limit in (2, 1_000):
                found = [
                    entry.key for entry in await entries(store, start_after=after, limit=limit)
                ]
                # A store may ignore start_after: the caller filters.
                assert [key for key in found if key > after] == [
                    key for key in scattered if key > after
                ]

    async def test_start_after_goes_with_a_prefix(self, store: ObjectStore) -> None:
        await self._fill(store)
        if not self.in_byte_order:
            return
        found = [entry.key for entry in await entries(store, "b", start_after="b/c", limit=1)]
        assert [key for key in found if key > "b/c"] == ["b/d/e", "b0"]
        found = [entry.key for entry in await entries(store, "b/", start_after="c")]
        assert [key for key in found if key > "c"] == []

    async def test_a_listing_shows_what_was_written_before_it(self, store: ObjectStore) -> None:
        await put(store, "a", b"1")
        assert [entry.size for entry in await entries(store)] == [1]
        await put(store, "a", b"22")
        await put(store, "b", b"333")
        assert sorted(entry.size for entry in await entries(store)) == [2, 3]
        await store.delete(["a"])
        assert await keys(store) == ["b"]

    async def test_a_page_can_be_asked_for_again(self, store: ObjectStore) -> None:
        await self._fill(store)
        first = await store.list(limit=4)
        once = await store.list(token=first.next_token, limit=4)
        again = await store.list(token=first.next_token, limit=4)
        assert once.entries == again.entries

    async def test_objects_that_go_while_they_are_listed_break_nothing(
        self, store: ObjectStore
    ) -> None:
        scattered = await self._fill(store)
        first = await store.list(limit=4)
        seen = [entry.key for entry in first.entries]
        gone = next(key for key in scattered if key not in seen)
        await store.delete([gone, seen[-1]])
        while first.next_token:
            first = await store.list(token=first.next_token, limit=4)
            seen += [entry.key for entry in first.entries]
        assert set(seen) >= set(scattered) - {gone}
        assert len(seen) == len(set(seen))

    async def test_listings_side_by_side_do_not_mix(self, store: ObjectStore) -> None:
        scattered = await self._fill(store)
        listings = await asyncio.gather(*(entries(store, limit=limit) for limit in (1, 1, 2, 3)))
        for listing in listings:
            assert sorted(entry.key for entry in listing) == scattered

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(
        wanted=st.lists(tree_keys, max_size=8),
        prefix=st.one_of(st.just(""), tree_keys, tree_keys.map(lambda key: f"{key}/")),
        after=st.one_of(st.just(""), tree_keys, tree_keys.map(lambda key: f"{key}/")),
        limit=st.integers(min_value=1, max_value=4),
    )
    async def test_any_listing_is_complete(
        self, store: ObjectStore, wanted: list[str], prefix: str, after: str, limit: int
    ) -> None:
        stored = self.storable(wanted)
        await asyncio.gather(*(put(store, key) for key in stored))
        ordered = self.in_byte_order
        try:
            listing = await entries(
                store, prefix, start_after=after if ordered else "", limit=limit
            )
        finally:
            await clear(store)
        found = [entry.key for entry in listing if entry.key > after or not ordered]
        expected = sorted(
            key for key in stored if key.startswith(prefix) and (key > after or not ordered)
        )
        assert (found if ordered else sorted(found)) == expected

    async def _fill(self, store: ObjectStore) -> list[str]:
        stored = sorted(self.storable(SCATTERED))
        await asyncio.gather(*(put(store, key) for key in stored))
        return stored
