"""Objects that cannot be read, written or held as they are: told, and nothing else suffers."""

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.conftest import PlaceFactory
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.moto import MotoServer
from tests.servers.rclone import RcloneS3
from tests.servers.rules import Hold, Status
from tests.servers.seaweedfs import SeaweedFS

SMALL = {f"small/{n:02d}": content_of(str(n), 500 + n) for n in range(20)}
LARGE = content_of("large", 12 * MIB)


def failures_of(dth: Dth) -> list[dict[str, Any]]:
    failures: list[dict[str, Any]] = dth.well("failures", "last", "--json").json["failures"]
    return failures


def test_a_destination_that_refuses_writes_fails_each_object_with_the_permission_it_needs(
    pair: Dth, source: Place, destination: Place, seaweedfs_b: SeaweedFS
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    dth = pair.between(source.endpoint, seaweedfs_b.reader)

    ended = dth.transfer(source, destination, code=1)

    assert (ended["status"], ended["done"], ended["failed"]) == ("completed_with_failures", 0, 21)
    failures = {row["key"]: row for row in failures_of(dth)}
    assert failures.keys() == {*SMALL, "large"}
    for key, row in failures.items():
        assert row["code"] == "denied"
        assert f"{key!r} in {destination} at {destination.endpoint.url} failed" in row["message"]
        assert row["message"].endswith("grant s3:PutObject.")
    assert destination.keys() == []
    assert destination.uploads() == []

    again = pair.well("redrive", "last", "--json").json
    assert (again["status"], again["done"]) == ("succeeded", 21)
    assert destination.contents() == {**SMALL, "large": LARGE}


def test_an_object_that_may_not_be_read_is_a_dead_letter_until_it_is_redriven(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    proxy, seen = fault_proxy(source.endpoint)
    proxy.add(Status(status=403, code="AccessDenied"), operation="GetObject", path="small/07")
    dth = pair.between(seen, destination.endpoint)

    ended = dth.transfer(source, destination, code=1)

    assert (ended["done"], ended["failed"]) == (19, 1)
    (row,) = failures_of(dth)
    assert (row["key"], row["code"]) == ("small/07", "denied")
    assert "grant s3:GetObject" in row["message"]
    assert len(row["history"]) == 1  # what is denied is not asked for again

    proxy.clear()
    assert dth.well("redrive", "last", "--json").json["failed"] == 0
    assert destination.contents() == SMALL


def test_keys_that_the_destination_cannot_hold_are_refused_and_never_changed(
    dth: Dth, moto_s3: MotoServer, make_place: PlaceFactory, destination: Place
) -> None:
    source = make_place(moto_s3.endpoint)
    bad = {"a//b": b"1", "/lead": b"2", "x/../y": b"3", "back\\slash": b"4", "n" * 300: b"5"}
    source.fill({**bad, "good": b"6"})
    dth = dth.between(source.endpoint, destination.endpoint)

    ended = dth.transfer(source, destination, code=1)

    assert (ended["done"], ended["failed"]) == (1, len(bad))
    failures = failures_of(dth)
    assert {row["key"]: row["code"] for row in failures} == dict.fromkeys(bad, "bad_key")
    for row in failures:
        assert f"{row['key']!r} in {destination}" in row["message"]
    assert destination.contents() == {"good": b"6"}


def test_a_manifest_may_name_keys_that_the_destination_cannot_hold(
    dth: Dth, moto_s3: MotoServer, make_place: PlaceFactory, destination: Place, tmp_path: Path
) -> None:
    source = make_place(moto_s3.endpoint)
    source.fill({"a//b": b"1", "good": b"2"})
    manifest = tmp_path / "keys.txt"
    manifest.write_text("a//b\ngood\n")
    dth = dth.between(source.endpoint, destination.endpoint)

    ended = dth.transfer(source, destination, "--manifest", manifest, code=1)

    assert (ended["done"], ended["failed"]) == (1, 1)
    (row,) = failures_of(dth)
    assert (row["key"], row["code"]) == ("a//b", "bad_key")
    assert destination.contents() == {"good": b"2"}


# A source that changes


def test_an_object_that_changes_after_it_was_listed_arrives_as_it_is_then(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    proxy, seen = fault_proxy(source.endpoint)
    hold = Hold()
    proxy.add(hold, operation="GetObject", path="small/03", times=1)
    with pair.between(seen, destination.endpoint).start(
        "transfer", source, destination, "--json"
    ) as running:
        hold.wait()
        source.put("small/03", b"newer and of another size")
        hold.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert ended.json["done"] == len(SMALL)
    assert destination.contents() == {**SMALL, "small/03": b"newer and of another size"}


@pytest.mark.parametrize("size", [12 * MIB, 17 * MIB + 1], ids=["of-the-same-size", "larger"])
def test_a_large_object_that_changes_between_two_parts_is_never_mixed(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory, size: int
) -> None:
    source.put_multipart("large", LARGE)
    newer = content_of("newer", size)
    proxy, seen = fault_proxy(source.endpoint)
    hold = Hold()
    proxy.add(hold, operation="GetObject", skip=1, times=1)
    with pair.between(seen, destination.endpoint).start(
        "transfer", source, destination, "--json", "--concurrency", 1
    ) as running:
        hold.wait()
        source.put_multipart("large", newer)
        hold.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert ended.json["done"] == 1
    assert destination.get("large") == newer
    assert destination.uploads() == []


def test_a_server_that_ignores_if_match_mixes_no_versions_either(
    dth: Dth,
    rclone_s3: RcloneS3,
    make_place: PlaceFactory,
    destination: Place,
    fault_proxy: ProxyFactory,
) -> None:
    source, newer = make_place(rclone_s3.endpoint), content_of("newer", len(LARGE))
    source.put("large", LARGE)
    proxy, seen = fault_proxy(source.endpoint)
    hold = Hold()
    proxy.add(hold, operation="GetObject", skip=1, times=1)
    words = ("transfer", source, destination, "--concurrency", 1, "--part-size", "5MiB")
    with dth.between(seen, destination.endpoint).start(*words) as running:
        hold.wait()
        source.put("large", newer)
        hold.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert destination.get("large") == newer
    assert destination.uploads() == []


def test_objects_that_vanish_before_they_are_read_are_counted_and_no_failures(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(source.endpoint)
    small, large = Hold(), Hold()
    proxy.add(small, operation="GetObject", path="small/05", times=1)
    proxy.add(large, operation="GetObject", path="large", skip=1, times=1)
    with pair.between(seen, destination.endpoint).start(
        "transfer", source, destination, "--json"
    ) as running:
        small.wait()
        large.wait()
        source.delete("small/05", "large")
        small.release()
        large.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert (ended.json["done"], ended.json["vanished"]) == (19, 2)
    assert destination.keys() == sorted(SMALL.keys() - {"small/05"})
    assert destination.uploads() == []
