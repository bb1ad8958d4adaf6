"""A mirror deletes what only the destination has, and never more than a person allows."""

from typing import Any

import pytest

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.rules import Status


@pytest.fixture
def twenty(source: Place, destination: Place) -> list[str]:
    """Twenty objects on both sides, and two that only the destination has."""
    kept = [f"kept/{n:02d}" for n in range(20)]
    source.fill(dict.fromkeys(kept, b"1"))
    destination.fill(dict.fromkeys([*kept, "old/1", "old/2"], b"1"))
    return kept


def test_a_mirror_deletes_what_only_the_destination_has(
    pair: Dth, source: Place, destination: Place, twenty: list[str]
) -> None:
    source.put("new", b"1")

    ended = pair.transfer(source, destination, "--mirror")

    assert (ended["done"], ended["extra"], ended["deleted"]) == (1, 2, 2)
    assert destination.keys() == [*twenty, "new"]
    assert report_rows(ended["report"])["old/1"]["state"] == "done"


def test_nothing_is_deleted_unless_it_is_asked_for(
    pair: Dth, source: Place, destination: Place, twenty: list[str]
) -> None:
    ended = pair.transfer(source, destination)

    assert (ended["extra"], ended["deleted"]) == (2, 0)
    assert destination.keys() == [*twenty, "old/1", "old/2"]


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (("--max-delete", "1"), "max_delete"),
        (("--max-delete-percent", "9"), "max_delete_percent"),
    ],
)
def test_a_guard_stops_the_run_before_anything_is_deleted(
    pair: Dth,
    source: Place,
    destination: Place,
    twenty: list[str],
    options: tuple[str, ...],
    limit: str,
) -> None:
    source.put("new", b"1")

    ended: Any = pair.well("transfer", source, destination, "--mirror", "--json", *options, code=3)

    assert ended.json["status"] == "failed"
    assert ended.json["error"]["code"] == limit
    assert (ended.json["done"], ended.json["deleted"]) == (1, 0)
    assert f"--{limit.replace('_', '-')}" in ended.err
    assert report_rows(ended.json["report"])["old/1"]["state"] == "held"
    assert destination.keys() == [*twenty, "new", "old/1", "old/2"]


def test_a_person_may_allow_more_after_a_guard_stopped_a_run(
    pair: Dth, source: Place, destination: Place, twenty: list[str]
) -> None:
    stopped = pair.well("transfer", source, destination, "--mirror", "--max-delete", "1", code=3)
    assert "the same command" in stopped.out

    ended = pair.transfer(source, destination, "--mirror", "--max-delete", "2")

    assert ended["deleted"] == 2
    assert destination.keys() == twenty


def test_an_empty_source_does_not_empty_the_destination(
    pair: Dth, source: Place, destination: Place
) -> None:
    destination.fill({f"{n}": b"1" for n in range(5)})

    ended = pair.well("transfer", source, destination, "--mirror", code=3)

    assert "5" in ended.err
    assert len(destination.keys()) == 5


def test_an_object_that_may_not_be_deleted_is_a_failure_of_its_own(
    pair: Dth, source: Place, destination: Place, twenty: list[str], fault_proxy: ProxyFactory
) -> None:
    destination.delete("old/2")
    proxy, seen = fault_proxy(destination.endpoint)
    denied = Status(status=403, code="AccessDenied", message="Access Denied")
    proxy.add(denied, when=lambda request: request.operation.startswith("DeleteObject"))

    ended = pair.between(source.endpoint, seen).transfer(source, destination, "--mirror", code=1)

    assert (ended["status"], ended["deleted"]) == ("completed_with_failures", 0)
    assert ended["delete_failed"] == 1
    assert report_rows(ended["report"])["old/1"]["code"] == "denied"
    assert destination.keys() == [*twenty, "old/1"]

    proxy.clear()
    again = pair.between(source.endpoint, seen).well("redrive", "last", "--json").json

    assert (again["status"], again["deleted"]) == ("succeeded", 1)
    assert destination.keys() == twenty


def test_a_mirror_into_a_folder_of_the_bucket_leaves_the_rest_alone(
    pair: Dth, source: Place, destination: Place, twenty: list[str]
) -> None:
    pair.transfer(source, destination, "--destination-prefix", "copy")
    source.delete(twenty[0])

    ended = pair.transfer(source, destination, "--destination-prefix", "copy/", "--mirror")

    assert ended["deleted"] == 1
    assert destination.keys("old/") == ["old/1", "old/2"]
    assert destination.keys("copy/") == [f"copy/{key}" for key in twenty[1:]]
