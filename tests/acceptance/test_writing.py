"""How objects are written: storage class, ACL, encryption, tags; what is archived."""

from typing import Any

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.conftest import PlaceFactory
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.moto import MotoServer

STREAM = ("--copy", "stream")


def written_with(proxy: FaultProxy, header: str) -> dict[str, set[str | None]]:
    """The values of a header by the operation that wrote with it."""
    found: dict[str, set[str | None]] = {}
    for seen in proxy.seen:
        if seen.operation in {"PutObject", "CopyObject", "CreateMultipartUpload"}:
            found.setdefault(seen.operation, set()).add(seen.request.headers.get(header))
    return found


@pytest.fixture
def classes(moto_source: Place) -> Place:
    moto_source.put("hot", b"1")
    moto_source.put("warm", b"22", StorageClass="STANDARD_IA")
    moto_source.put("cold", b"333", StorageClass="GLACIER_IR")
    return moto_source


def storage_class(place: Place, key: str) -> str:
    return str(place.head(key).get("StorageClass", "STANDARD"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"hot": "STANDARD", "warm": "STANDARD", "cold": "STANDARD"}),
        (
            ("--storage-class", "ONEZONE_IA"),
            {"hot": "ONEZONE_IA", "warm": "ONEZONE_IA", "cold": "ONEZONE_IA"},
        ),
        (
            ("--storage-class", "STANDARD_IA=ONEZONE_IA,*=INTELLIGENT_TIERING"),
            {"hot": "INTELLIGENT_TIERING", "warm": "ONEZONE_IA", "cold": "INTELLIGENT_TIERING"},
        ),
        (
            ("--storage-class", "GLACIER_IR=STANDARD_IA"),
            {"hot": "STANDARD", "warm": "STANDARD", "cold": "STANDARD_IA"},
        ),
    ],
)
def test_objects_are_written_with_the_storage_class_asked_for(
    moto_pair: Dth,
    classes: Place,
    moto_destination: Place,
    options: tuple[str, ...],
    expected: dict[str, str],
) -> None:
    for copy in ("stream", "server"):
        ended = moto_pair.transfer(
            classes, moto_destination, *options, "--copy", copy, "--compare", "always"
        )

        assert ended["done"] == 3
        assert {key: storage_class(moto_destination, key) for key in expected} == expected


def test_archived_objects_are_counted_and_listed_and_no_failure(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("ready", b"1")
    moto_source.put("frozen", b"22", StorageClass="GLACIER")
    moto_source.put("deep/frozen", b"333", StorageClass="DEEP_ARCHIVE")

    ended = moto_pair.transfer(moto_source, moto_destination, "--verify")

    assert ended["status"] == "succeeded"
    assert (ended["archived"], ended["done"], ended["failed"]) == (2, 1, 0)
    assert moto_destination.keys() == ["ready"]
    rows = report_rows(ended["report"])
    assert {key for key, row in rows.items() if row["state"] == "archived"} == {
        "frozen",
        "deep/frozen",
    }
    assert "2 archived at the source and not copied" in ended["notes"][-1]


def test_tags_go_along_when_asked_for(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("tagged", b"1", Tagging="team=a%20b&cost=1")
    moto_source.put("plain", b"2")
    moto_source.put_multipart("large", content_of("large", 11 * MIB), Tagging="size=large")

    moto_pair.transfer(moto_source, moto_destination, "--tags", *STREAM)

    assert moto_destination.tags("tagged") == {"team": "a b", "cost": "1"}
    assert moto_destination.tags("plain") == {}
    assert moto_destination.tags("large") == {"size": "large"}


def test_tags_go_along_in_a_copy_on_the_server(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("tagged", b"1", Tagging="team=a")

    moto_pair.transfer(moto_source, moto_destination, "--tags", "--copy", "server")

    assert moto_destination.tags("tagged") == {"team": "a"}


def test_tags_stay_behind_and_cost_nothing_by_default(
    dth: Dth, moto_source: Place, moto_destination: Place, fault_proxy: ProxyFactory
) -> None:
    moto_source.put("tagged", b"1", Tagging="team=a")
    proxy, seen = fault_proxy(moto_source.endpoint)

    dth.between(seen, seen).transfer(moto_source, moto_destination, *STREAM)

    assert moto_destination.tags("tagged") == {}
    assert proxy.count("GetObjectTagging") == 0


KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        (("--sse", "AES256"), {"x-amz-server-side-encryption": "AES256"}),
        (
            ("--acl", "bucket-owner-full-control", "--sse", "aws:kms", "--kms-key", KEY),
            {
                "x-amz-acl": "bucket-owner-full-control",
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": KEY,
            },
        ),
    ],
)
def test_every_write_carries_what_was_asked_for(
    dth: Dth,
    moto_source: Place,
    moto_destination: Place,
    fault_proxy: ProxyFactory,
    options: tuple[str, ...],
    headers: dict[str, str],
) -> None:
    moto_source.put("small", b"1")
    moto_source.put_multipart("large", content_of("large", 11 * MIB))
    proxy, seen = fault_proxy(moto_source.endpoint)
    dth = dth.between(seen, seen)

    dth.transfer(moto_source, moto_destination, *options, *STREAM)
    dth.transfer(moto_source, moto_destination, *options, "--copy", "server", "--compare", "always")

    for header, value in headers.items():
        assert written_with(proxy, header) == {
            "PutObject": {value},
            "CreateMultipartUpload": {value},
            "CopyObject": {value},
        }
    assert moto_destination.get("large") == content_of("large", 11 * MIB)


def test_objects_encrypted_by_key_are_the_same_the_next_time(
    moto_pair: Dth, moto_source: Place, moto_destination: Place
) -> None:
    moto_source.put("a", b"1")
    options = ("--sse", "aws:kms", *STREAM)

    first = moto_pair.transfer(moto_source, moto_destination, *options)
    again = moto_pair.transfer(moto_source, moto_destination, *options)

    assert (first["done"], again["same"]) == (1, 1)
    assert moto_destination.head("a")["ServerSideEncryption"] == "aws:kms"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--kms-key", "k"), "--kms-key: needs --sse aws:kms"),
        (("--sse", "AES"), "--sse: 'AES' is not one of its values; did you mean AES256?"),
        (("--acl", "publik-read"), "--acl:"),
        (("--storage-class", "=X"), "--storage-class: '=X' is no map"),
        (("--part-size", "1MiB"), "--part-size:"),
        (("--max-delete", "5"), "--max-delete: needs --mirror"),
        (("--mirror", "--max-delete-percent", "101"), "--max-delete-percent: '101' is not between"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    moto_pair: Dth,
    moto_source: Place,
    moto_destination: Place,
    options: tuple[str, ...],
    says: str,
) -> None:
    ended = moto_pair.well("transfer", moto_source, moto_destination, *options, code=2)

    assert says in ended.err
    assert ended.out == ""


def test_a_folder_has_no_storage_class_acl_or_encryption(
    dth: Dth, moto_source: Place, tmp_path: Any
) -> None:
    options = ("--storage-class", "STANDARD_IA", "--acl", "private", "--sse", "AES256")

    ended = dth.between(moto_source.endpoint, None).well(
        "transfer", moto_source, f"file://{tmp_path}/there", *options, code=2
    )

    assert [line.split(":")[1].strip() for line in ended.err.splitlines()] == [
        "--storage-class",
        "--acl",
        "--sse",
    ]
    assert not (tmp_path / "there").exists()


def test_a_storage_class_of_the_source_is_a_note_where_it_cannot_be_kept(
    dth: Dth, moto_s3: MotoServer, make_place: PlaceFactory, tmp_path: Any
) -> None:
    place = make_place(moto_s3.endpoint)
    place.put("warm", b"1", StorageClass="STANDARD_IA")

    ended = dth.between(place.endpoint, None).transfer(place, f"file://{tmp_path}/there")

    assert report_rows(ended["report"])["warm"]["storage_class"] == "STANDARD_IA"
