"""A bucket is moved from one server to another, and moved again at no cost."""

from tests.acceptance.command import Dth, report_rows
from tests.acceptance.places import Place, content_of
from tests.conftest import ProxyFactory

LISTINGS = {"ListObjectsV2", "HeadBucket"}


def some_objects(count: int = 30) -> dict[str, bytes]:
    return {f"photos/{n:03d}.jpg": content_of(str(n), 100 * n) for n in range(count)}


def test_a_bucket_arrives_whole_at_another_server(
    pair: Dth, source: Place, destination: Place
) -> None:
    objects = some_objects()
    source.fill(objects)

    ended = pair.transfer(source, destination)

    assert ended["status"] == "succeeded"
    assert (ended["new"], ended["done"], ended["failed"]) == (30, 30, 0)
    assert ended["bytes"] == sum(map(len, objects.values()))
    assert destination.contents() == objects
    assert source.contents() == objects


def test_a_second_run_copies_nothing_and_costs_only_listings(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(some_objects())
    pair.transfer(source, destination)
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)

    again = pair.between(source_seen, destination_seen).transfer(source, destination)

    assert (again["same"], again["done"], again["bytes"]) == (30, 0, 0)
    for proxy in (at_source, at_destination):
        assert {seen.operation for seen in proxy.seen} <= LISTINGS
        assert len(proxy.seen) <= 4


def test_changed_new_and_extra_objects_are_told_apart(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.fill(some_objects())
    pair.transfer(source, destination)
    source.put("photos/003.jpg", b"another size")
    source.put("photos/new.jpg", b"new")
    source.delete("photos/005.jpg")

    ended = pair.transfer(source, destination)

    assert (ended["same"], ended["changed"], ended["new"], ended["extra"]) == (28, 1, 1, 1)
    assert (ended["done"], ended["deleted"]) == (2, 0)
    assert destination.get("photos/003.jpg") == b"another size"
    assert destination.get("photos/new.jpg") == b"new"
    rows = report_rows(ended["report"])
    assert {key: (row["difference"], row["state"]) for key, row in rows.items()} == {
        "photos/003.jpg": ("changed", "done"),
        "photos/new.jpg": ("new", "done"),
        "photos/005.jpg": ("extra", "held"),
    }
