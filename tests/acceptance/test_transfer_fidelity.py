"""What arrives is what was sent: keys, bytes, ETags, metadata; what cannot arrive is told."""

import hashlib
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.conftest import PlaceFactory
from tests.acceptance.places import MIB, Place, content_of
from tests.servers.boto import Body
from tests.servers.rclone import RcloneS3
from tests.servers.seaweedfs import SeaweedFS

HOSTILE_ANYWHERE = [
    "plain",
    "a b+c%2F%20 ü",
    " leading and trailing ",
    "quotes'\"`",
    "<&>;#?*:|",
    "tab\tand\rreturn\x01\x1b\x7f",
    "e\u0301 \u00e9",
    "\u2028\U0001f600\U0010ffff",
    "%", "%zz", "+", "~", "=a=b&c",
    "/".join("k" * 92 for _ in range(11)) + "x",
]  # fmt: skip
HOSTILE_FOR_FOLDERS = ["a//b", "/lead", "//lead", "trail/", ".", "..", "x/../y", "x/./y", "a\\b"]


@pytest.fixture
def metadata() -> dict[str, Any]:
    return {
        "ContentType": "text/html; charset=utf-8",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentDisposition": 'attachment; filename="a b.html"',
        "CacheControl": "max-age=60",
        "Expires": "Wed, 21 Oct 2037 07:28:00 GMT",
        "Metadata": {"owner": "someone", "empty-looking": "0"},
    }


def kept(head: dict[str, Any]) -> dict[str, Any]:
    names = (
        "ContentType", "ContentEncoding", "ContentLanguage", "ContentDisposition", "CacheControl",
    )  # fmt: skip
    values = {name: head.get(name) for name in names}
    return {**values, "Expires": head.get("ExpiresString"), "Metadata": head["Metadata"]}


def test_hostile_keys_arrive_byte_exact(pair: Dth, source: Place, destination: Place) -> None:
    objects = {key: content_of(key, 50) for key in HOSTILE_ANYWHERE}
    source.fill(objects)

    ended = pair.transfer(source, destination)

    assert ended["done"] == len(objects)
    assert destination.contents() == objects
    assert pair.transfer(source, destination)["same"] == len(objects)


def test_keys_that_no_folder_can_hold_arrive_where_the_server_keeps_them(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    objects = {key: content_of(key, 50) for key in [*HOSTILE_ANYWHERE, *HOSTILE_FOR_FOLDERS]}
    moto_source.fill(objects)

    ended = moto_pair.transfer(moto_source, moto_destination, "--copy", "stream")

    assert ended["done"] == len(objects)
    assert moto_destination.contents() == objects


def test_metadata_is_kept(
    pair: Dth, source: Place, destination: Place, metadata: dict[str, Any]
) -> None:
    large = content_of("large", 17 * MIB)
    source.put("page.html", b"small", **metadata)
    source.put_multipart("large.bin", large, **metadata)

    pair.transfer(source, destination)

    for key in ("page.html", "large.bin"):
        assert kept(destination.head(key)) == {
            name: metadata[name] for name in kept(source.head(key))
        }


def test_metadata_stays_behind_on_request(
    pair: Dth, source: Place, destination: Place, metadata: dict[str, Any]
) -> None:
    source.put("page.html", b"small", **metadata)

    pair.transfer(source, destination, "--no-keep-metadata")

    head = destination.head("page.html")
    assert (head["Metadata"], head.get("ContentLanguage")) == ({}, None)


def test_metadata_that_a_folder_cannot_keep_is_told_per_object(
    dth: Dth, source: Place, metadata: dict[str, Any], tmp_path: Any
) -> None:
    untyped = Body(content=b"22", options={"ContentType": "binary/octet-stream"})
    source.fill({"rich": Body(content=b"1", options=metadata), "poor": untyped})

    dth = dth.between(source.endpoint, None)
    ended = dth.transfer(source, f"file://{tmp_path}/landing")

    rows = report_rows(ended["report"])
    for name in ("content_type", "content_language", "metadata"):
        assert name in rows["rich"]["note"]
    assert rows["poor"]["note"] == ""
    assert (ended["noted"], ended["notes"]) == (1, [])
    shown = dth.well("show", "last").out
    assert "  not kept: something of 1 object, such as metadata or tags\n" in shown
    (command,) = re.findall(r"zcat .* \| grep \"not keep\"", shown)
    assert [row.partition(",")[0] for row in in_shell(dth, command)] == ["rich"]


def test_metadata_without_a_value_that_the_server_drops_in_silence_is_told(
    dth: Dth, moto_source: Place, destination: Place
) -> None:
    moto_source.put("marked", b"1", Metadata={"marked": "", "color": "blue"})
    moto_source.put("plain", b"1", Metadata={"color": "blue"})

    dth = dth.between(moto_source.endpoint, destination.endpoint)
    ended = dth.transfer(moto_source, destination)

    assert destination.head("marked")["Metadata"] == {"color": "blue"}
    rows = report_rows(ended["report"])
    assert rows["marked"]["note"] == "the destination did not keep: metadata"
    assert (rows["plain"]["note"], ended["noted"]) == ("", 1)


def in_shell(dth: Dth, command: str) -> list[str]:
    """The lines that a command prints to a person who types it."""
    command = command.replace("dth ", f"{sys.executable} -m transferhub.cli ", 1)
    return subprocess.check_output(
        ["/bin/sh", "-c", command], env=dth.environment(), text=True
    ).splitlines()


def test_etags_of_multipart_objects_match_end_to_end(
    pair: Dth, source: Place, destination: Place
) -> None:
    # No client uses 11 MiB: the server is asked.
    for part_mib, size in ((5, 12 * MIB + 1), (8, 8 * MIB + 5), (11, 41 * MIB)):
        key = f"parts-of-{part_mib}-mib"
        source.put_multipart(key, content_of(key, size), part_bytes=part_mib * MIB)
    source.put("whole", content_of("whole", 6 * MIB))

    ended = pair.transfer(source, destination)

    assert ended["done"] == 4
    assert destination.listing() == source.listing()
    assert destination.uploads() == []
    key = "parts-of-5-mib"
    assert hashlib.md5(destination.get(key)).digest() == hashlib.md5(source.get(key)).digest()  # noqa: S324 - compares, protects nothing


def test_a_part_size_can_be_given(pair: Dth, source: Place, destination: Place) -> None:
    source.put("object", content_of("object", 11 * MIB))

    pair.transfer(source, destination, "--part-size", "5MiB")

    assert destination.listing()["object"].etag.endswith("-3")
    assert destination.get("object") == content_of("object", 11 * MIB)


def test_empty_objects_and_folder_markers_arrive(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill({"empty": b"", "folder/": b"", "folder/inside": b""})

    ended = pair.transfer(source, destination)

    assert (ended["done"], ended["bytes"]) == (3, 0)
    assert destination.listing() == source.listing()


def test_a_key_that_the_destination_cannot_hold_fails_alone(
    dth: Dth, moto_source: Place, seaweedfs: SeaweedFS, make_place: PlaceFactory
) -> None:
    destination = make_place(seaweedfs.admin)
    moto_source.fill({"good": b"1", "x/../y": b"2", "a//b": b"3"})
    dth = dth.between(moto_source.endpoint, destination.endpoint)

    ended = dth.transfer(moto_source, destination, code=1)

    assert (ended["status"], ended["done"], ended["failed"]) == ("completed_with_failures", 1, 2)
    assert destination.keys() == ["good"]
    assert report_rows(ended["report"])["x/../y"]["code"] == "bad_key"


def test_a_bucket_arrives_at_a_server_that_lists_in_another_order(
    dth: Dth, source: Place, rclone_s3: RcloneS3, rclone_destination: Place
) -> None:
    objects = {key: key.encode() for key in ("a-b", "a/b", "a.b", "a/b.c/d", "a0", "ab/c")}
    source.fill(objects)
    dth = dth.between(source.endpoint, rclone_destination.endpoint)

    first = dth.transfer(source, rclone_destination)
    again = dth.transfer(source, rclone_destination)

    assert (first["done"], again["same"], again["done"]) == (6, 6, 0)
    assert rclone_destination.contents() == objects
