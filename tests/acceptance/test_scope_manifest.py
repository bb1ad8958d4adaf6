"""Exact keys from a manifest, and an S3 Inventory in place of listing the source."""

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Status


def manifest(folder: Path, text: str, name: str = "keys.csv") -> Path:
    path = folder / name
    path.write_text(text, newline="")
    return path


def listings(proxy: FaultProxy) -> int:
    """List requests but for the one look at a bucket before a run begins."""
    return sum(
        seen.operation.startswith("ListObjects") and seen.request.query.get("max-keys") != "1"
        for seen in proxy.seen
    )


def test_a_manifest_copies_just_its_keys_without_listing(
    pair: Dth, source: Place, destination: Place, tmp_path: Path, fault_proxy: ProxyFactory
) -> None:
    source.fill({key: key.encode() for key in ("a", "b c/ü", "not wanted", "same")})
    destination.put("same", b"same")
    path = manifest(tmp_path, "a\r\nb c/ü\n\nsame\ngone\n", "keys.txt")
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    pair = pair.between(source_seen, destination_seen)

    ended = pair.transfer(source, destination, "--manifest", path)

    assert (ended["scanned_source"], ended["same"], ended["done"]) == (4, 1, 2)
    assert ended["vanished"] == 1
    assert destination.keys() == ["a", "b c/ü", "same"]
    assert listings(at_source) == listings(at_destination) == 0
    assert report_rows(ended["report"])["gone"]["state"] == "vanished"


def test_a_manifest_may_be_a_csv_with_a_bucket_and_quoted_keys(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    source.fill({key: key.encode() for key in ("a,b", 'say "hi"', "plain")})
    path = manifest(tmp_path, f'{source.bucket},"a%2Cb"\n{source.bucket},plain\n')

    pair.transfer(source, destination, "--manifest", path)

    assert destination.keys() == ["a,b", "plain"]


def test_a_manifest_needs_no_right_to_list(
    pair: Dth, source: Place, destination: Place, tmp_path: Path, fault_proxy: ProxyFactory
) -> None:
    source.fill({"a": b"1", "hidden": b"2"})
    proxy, seen = fault_proxy(source.endpoint)
    denied = Status(status=403, code="AccessDenied", message="Access Denied")
    proxy.add(denied, operation="ListObjectsV2")
    proxy.add(denied, path="hidden")
    path = manifest(tmp_path, "a\nhidden\n", "keys.txt")

    ended = pair.between(seen, destination.endpoint).transfer(
        source, destination, "--manifest", path, code=1
    )

    assert (ended["done"], ended["failed"]) == (1, 1)
    assert destination.keys() == ["a"]
    assert report_rows(ended["report"])["hidden"]["code"] == "denied"


def test_an_empty_manifest_is_an_error(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    source.put("a")

    ended = pair.well(
        "transfer", source, destination, "--manifest", manifest(tmp_path, "\n\n"), code=2
    )

    assert ended.err.startswith("dth: --manifest:")
    assert destination.keys() == []


def test_a_manifest_is_read_to_its_end_before_anything_is_copied(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    source.put("photos/a")
    path = manifest(tmp_path, "photos/a\n" * 2000 + "elsewhere/b\n", "keys.txt")

    ended = pair.well("transfer", f"{source}/photos", destination, "--manifest", path, code=2)

    assert "dth: --manifest: line 2001: 'elsewhere/b' must start with" in ended.err
    assert destination.keys() == []
    assert pair.well("runs").out.startswith("There are no runs yet.")


def test_a_manifest_goes_on_where_it_stopped_only_while_it_is_the_same(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    source.fill({"a": b"1", "b": b"2"})

    pair.transfer(source, destination, "--manifest", manifest(tmp_path, "a\n", "keys.txt"))
    ended = pair.transfer(
        source, destination, "--manifest", manifest(tmp_path, "a\nb\n", "keys.txt")
    )

    assert (ended["same"], ended["done"]) == (1, 1)


def inventory(source: Place, keys: list[str], *, kind: str = "CSV", corrupt: bool = False) -> str:
    """Writes an S3 Inventory of these keys into the bucket; returns the URL of its manifest."""
    rows = io.StringIO(newline="")
    head = source.listing()
    for key in keys:
        csv.writer(rows, quoting=csv.QUOTE_ALL).writerow(
            [source.bucket, quote_plus(key, safe="/"), head[key].size, head[key].etag]
        )
    data = gzip.compress(rows.getvalue().encode())
    entry: dict[str, Any] = {
        "key": "inventory/data/part.csv.gz",
        "size": len(data),
        "MD5checksum": hashlib.md5(b"other" if corrupt else data).hexdigest(),  # noqa: S324 - S3 Inventory's own
    }
    source.put("inventory/data/part.csv.gz", data)
    document = {
        "sourceBucket": source.bucket,
        "destinationBucket": f"arn:aws:s3:::{source.bucket}",
        "version": "2016-11-30",
        "fileFormat": kind,
        "fileSchema": "Bucket, Key, Size, ETag",
        "files": [entry],
    }
    source.put("inventory/manifest.json", json.dumps(document).encode())
    return f"{source}/inventory/manifest.json"


def test_an_inventory_takes_the_place_of_listing_the_source(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({key: key.encode() for key in ("z", "a b/ü", "same", "a/b", "a-b")})
    destination.put("same", b"same")
    url = inventory(source, ["z", "a b/ü", "same", "a/b", "a-b"])
    proxy, seen = fault_proxy(source.endpoint)

    ended = pair.between(seen, destination.endpoint).transfer(
        source, destination, "--inventory", url
    )

    assert (ended["scanned_source"], ended["same"], ended["done"]) == (5, 1, 4)
    assert destination.keys() == ["a b/ü", "a-b", "a/b", "same", "z"]
    assert listings(proxy) == 0


def test_what_an_inventory_has_and_the_bucket_has_not_any_more_is_counted(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill({"a": b"1", "b": b"2"})
    url = inventory(source, ["a", "b"])
    source.delete("b")

    ended = pair.transfer(source, destination, "--inventory", url)

    assert (ended["status"], ended["done"], ended["vanished"]) == ("succeeded", 1, 1)


@pytest.mark.parametrize("kind", ["ORC", "Parquet"])
def test_an_inventory_in_another_format_is_refused_clearly(
    pair: Dth, source: Place, destination: Place, kind: str
) -> None:
    source.put("a", b"1")
    url = inventory(source, ["a"], kind=kind)

    ended = pair.well("transfer", source, destination, "--inventory", url, code=2)

    assert f"dth: --inventory: its files are {kind}; choose CSV" in ended.err
    assert destination.keys() == []


def test_an_inventory_file_that_is_damaged_is_not_trusted(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")
    url = inventory(source, ["a"], corrupt=True)

    ended = pair("transfer", source, destination, "--inventory", url)

    assert ended.code == 3
    assert "inventory/data/part.csv.gz" in ended.err
    assert destination.keys() == []
