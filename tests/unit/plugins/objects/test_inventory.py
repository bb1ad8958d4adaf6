import asyncio
import csv
import gzip
import io
import json
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import CorruptError, InputError
from transferhub.model.objects import Attributes, ObjectEntry, WriteOptions
from transferhub.plugins.objects.inventory import (
    PAGE_ENTRIES,
    Inventory,
    inventory_entries,
    parse_inventory,
    read_inventory,
)
from transferhub.stores.memory import MemoryStore

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
SCHEMA = (
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
)
DATA = "inv/source/daily/data/1.csv.gz"
MANIFEST = "inv/source/daily/2024-05-01T01-00Z/manifest.json"


def row(key: str, *, latest: str = "true", deleted: str = "false", size: str = "5") -> list[str]:
    at = "2024-05-01T12:00:00.000Z"
    return ["source", quote_plus(key, safe="/"), "v", latest, deleted, size, at, "e", "STANDARD"]


def packed(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return gzip.compress(text.getvalue().encode())


def manifest(body: bytes, **values: Any) -> bytes:
    digest = md5(body, usedforsecurity=False).hexdigest()
    return json.dumps(
        {
            "sourceBucket": "source",
            "destinationBucket": "arn:aws:s3:::inventories",
            "version": "2016-11-30",
            "creationTimestamp": "1714525200000",
            "fileFormat": "CSV",
            "fileSchema": SCHEMA,
            "files": [{"key": DATA, "size": len(body), "MD5checksum": digest}],
            **values,
        }
    ).encode()


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    await store.put(
        key,
        body,
        attributes=Attributes(),
        options=WriteOptions(),
        md5=md5(body, usedforsecurity=False).digest(),
    )


async def read(store: MemoryStore, inventory: Inventory, base: str = "") -> list[ObjectEntry]:
    return [e async for page in inventory_entries(store, inventory, base=base) for e in page]


async def opened(body: bytes, *, at: str = DATA, **values: Any) -> tuple[MemoryStore, Inventory]:
    store = MemoryStore()
    await put(store, at, body)
    await put(store, MANIFEST, manifest(body, **values))
    return store, await read_inventory(store, MANIFEST, bucket="source")


async def test_rows_become_entries() -> None:
    store, inventory = await opened(packed([row("b c+d/é"), row("a")]))
    assert await read(store, inventory) == [
        ObjectEntry("b c+d/é", 5, "e", AT, "STANDARD"),
        ObjectEntry("a", 5, "e", AT, "STANDARD"),
    ]
    assert inventory.created_at == datetime(2024, 5, 1, 1, tzinfo=UTC)


async def test_delete_markers_and_old_versions_are_left_out() -> None:
    rows = [row("a"), row("b", latest="false"), row("c", deleted="true", size="")]
    store, inventory = await opened(packed(rows))
    assert [entry.key for entry in await read(store, inventory)] == ["a"]


async def test_only_keys_under_the_base_are_taken() -> None:
    store, inventory = await opened(packed([row("a/x"), row("b/x")]))
    assert [entry.key for entry in await read(store, inventory, "b/")] == ["b/x"]


async def test_an_inventory_of_key_and_size_is_enough() -> None:
    store, inventory = await opened(packed([["a", "7"]]), fileSchema="Key, Size")
    assert await read(store, inventory) == [ObjectEntry("a", 7, "", None, "")]


async def test_entries_come_in_bounded_pages() -> None:
    rows = [row(f"{i:06}") for i in range(30_000)]
    store, inventory = await opened(packed(rows))
    sizes = [len(page) async for page in inventory_entries(store, inventory)]
    assert sum(sizes) == 30_000
    assert max(sizes) < 20 * PAGE_ENTRIES


async def test_a_gzip_file_of_several_members_is_read() -> None:
    store, inventory = await opened(packed([row("a")]) + packed([row("b")]))
    assert [entry.key for entry in await read(store, inventory)] == ["a", "b"]


async def test_an_empty_data_file_has_no_entries() -> None:
    store, inventory = await opened(packed([]))
    assert await read(store, inventory) == []


@pytest.mark.parametrize("at", ["data/1.csv.gz", "1.csv.gz"])
async def test_data_files_that_were_downloaded_are_found_beside_the_manifest(at: str) -> None:
    store, inventory = await opened(packed([row("a")]), at=at)
    assert len(await read(store, inventory)) == 1


async def test_a_missing_data_file_is_named() -> None:
    store, inventory = await opened(packed([row("a")]))
    await store.delete([DATA])
    with pytest.raises(InputError, match=DATA):
        await read(store, inventory)


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (packed([row("a")]), {"files": [{"key": DATA, "MD5checksum": "0" * 32}]}),
        (packed([row("a")])[:-4], {}),
        (b"not gzip", {}),
        (packed([["a"]]), {}),
        (packed([row("a", size="big")]), {}),
        (packed([["other", *row("a")[1:]]]), {}),
        (gzip.compress(b"\xff\n"), {}),
        (packed([["source", "%ff", *row("a")[2:]]]), {}),
    ],
    # A gzip file holds the time that it was made at, and would name the test.
    ids=("md5", "cut off", "no gzip", "columns", "size", "bucket", "text", "key"),
)
async def test_a_data_file_that_is_not_what_was_promised_is_corrupt(
    body: bytes, values: dict[str, Any]
) -> None:
    store, inventory = await opened(body, **values)
    with pytest.raises(CorruptError):
        await read(store, inventory)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"fileFormat": "ORC"}, "choose CSV"),
        ({"fileFormat": "Parquet"}, "choose CSV"),
        ({"fileSchema": "Bucket, Key"}, "lacks size"),
        ({"files": None}, "not the manifest.json"),
        ({"creationTimestamp": "9" * 40}, "not the manifest.json"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(values: dict[str, Any], advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        parse_inventory(manifest(b"", **values))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff"])
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(InputError, match=r"not the manifest\.json"):
        parse_inventory(body)


async def test_an_inventory_of_another_bucket_is_refused() -> None:
    store, _ = await opened(packed([]))
    with pytest.raises(InputError, match="'source', the source is 'else'"):
        await read_inventory(store, MANIFEST, bucket="else")


async def test_a_missing_manifest_is_an_input_error() -> None:
    with pytest.raises(InputError, match="inventory"):
        await read_inventory(MemoryStore(), MANIFEST, bucket="source")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)))
def test_any_key_comes_back_as_it_is(keys: list[str]) -> None:
    async def through() -> list[str]:
        store, inventory = await opened(packed([row(key) for key in keys]))
        return [entry.key for entry in await read(store, inventory)]

    assert asyncio.run(through()) == keys
