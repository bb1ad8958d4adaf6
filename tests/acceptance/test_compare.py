"""Every compare mode, `--verify` and `dth verify`."""

from typing import Any

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory

KEYS = ["another-size", "another-content", "newer-at-the-source", "same", "new"]


@pytest.fixture
def different(source: Place, destination: Place) -> None:
    """Objects that differ in one way each; all but two are newer at the destination."""
    source.fill({"another-size": b"1", "another-content": b"11", "same": b"11", "new": b"1"})
    destination.fill(
        {
            "another-size": b"22",
            "another-content": b"22",
            "same": b"11",
            "newer-at-the-source": b"11",
        }
    )
    # SeaweedFS has whole seconds: this one must be clearly newer, the others clearly older.
    wait_until_later(source, "newer-at-the-source", destination)


def wait_until_later(place: Place, key: str, other: Place) -> None:
    """Writes an object again and again until its time is later than that of the other one."""
    latest = other.head(key)["LastModified"]
    while True:
        place.put(key, b"11")
        if place.head(key)["LastModified"] > latest:
            return


@pytest.mark.usefixtures("different")
@pytest.mark.parametrize(
    ("mode", "copied"),
    [
        ("size", ["another-size", "new"]),
        ("etag", ["another-content", "another-size", "new"]),
        ("checksum", ["another-content", "another-size", "new"]),
        ("always", sorted(KEYS)),
        ("missing-only", ["new"]),
    ],
)
def test_a_mode_says_what_is_changed(
    pair: Dth, source: Place, destination: Place, mode: str, copied: list[str]
) -> None:
    ended = pair.transfer(source, destination, "--compare", mode)

    assert sorted(report_rows(ended["report"])) == copied
    assert ended["done"] == len(copied)
    assert all(destination.get(key) == source.get(key) for key in copied)


@pytest.mark.usefixtures("different")
def test_by_default_size_and_time_tell_what_is_changed(
    pair: Dth, source: Place, destination: Place
) -> None:
    wait_until_later(source, "another-content", destination)
    wait_until_later(source, "same", destination)

    ended = pair.transfer(source, destination)

    copied = set(report_rows(ended["report"]))
    assert {"another-size", "another-content", "new"} <= copied
    assert pair.transfer(source, destination)["done"] == 0


def test_etags_that_cannot_be_compared_are_counted(
    pair: Dth, source: Place, destination: Place
) -> None:
    content = content_of("large", 11 * MIB)
    source.put_multipart("large", content, part_bytes=5 * MIB)
    destination.put_multipart("large", content, part_bytes=6 * MIB)

    ended = pair.transfer(source, destination, "--compare", "etag")

    assert (ended["same"], ended["fallbacks"]) == (1, 1)


def test_verify_tells_that_all_has_arrived(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({"a": b"1", "b": b"2"})
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)

    ended = pair.between(source_seen, destination_seen).transfer(source, destination, "--verify")

    assert ended["status"] == "succeeded"
    assert ended["notes"] == ["verified: 2 objects are the same"]
    for proxy in (at_source, at_destination):
        whole = [s for s in proxy.seen if s.request.query.get("max-keys") == "1000"]
        assert len(whole) == 2


def test_verify_after_a_run_finds_what_the_compare_mode_overlooked(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill({"a": b"11", "b": b"2"})
    destination.put("a", b"22")

    ended = pair.transfer(source, destination, "--compare", "size", "--verify", code=1)

    assert ended["status"] == "completed_with_failures"
    assert ended["notes"] == ["verified: the sides differ, 1 different, such as 'a' (changed)"]


def test_verify_takes_never_replaced_objects_as_asked_for(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill({"a": b"11", "b": b"2"})
    destination.put("a", b"another")

    ended = pair.transfer(source, destination, "--compare", "missing-only", "--verify")

    assert (ended["done"], destination.get("a")) == (1, b"another")


def test_the_verify_command_finds_a_planted_difference(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill({"a": b"11", "b": b"22", "c": b"33"})
    pair.transfer(source, destination)
    assert pair.well("verify", source, destination).out.startswith(
        "Both sides are equal: 3 objects"
    )

    destination.put("b", b"xx")
    destination.delete("c")
    destination.put("extra", b"4")
    ended: Any = pair.well(
        "verify", source, destination, "--compare", "etag", "--json", code=1
    ).json

    assert ended["equal"] is False
    assert (ended["same"], ended["new"], ended["changed"], ended["extra"]) == (1, 1, 1, 1)
    assert ended["differences"] == [
        {"key": "b", "difference": "changed"},
        {"key": "c", "difference": "new"},
    ]
    assert destination.get("b") == b"xx"


def test_an_extra_object_is_a_difference_for_a_mirror_only(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")
    pair.transfer(source, destination)
    destination.put("extra\n", b"2")

    plain = pair.well("verify", source, destination)
    mirror = pair.well("verify", source, destination, "--mirror", code=1)

    assert plain.out.startswith("The destination has all of the source, and more: 1 object at")
    assert mirror.out.startswith("The two sides differ")
    assert "extra    extra\\n\n" in mirror.out


def test_the_verify_command_changes_nothing(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({"a": b"1", "b": b"2"})
    proxy, seen = fault_proxy(destination.endpoint)

    pair.between(source.endpoint, seen).well("verify", source, destination, code=1)

    assert {seen.operation for seen in proxy.seen} == {"ListObjectsV2"}
    assert pair.well("runs").out.startswith("There are no runs yet.")
