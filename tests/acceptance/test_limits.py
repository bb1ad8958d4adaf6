"""Rates that are kept and attempts that are counted."""

from tests.acceptance.command import Dth
from tests.acceptance.places import Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Status

BURST_SECONDS = 0.25
"""How much of an idle time the limits let pass at once, for each of the processes."""

PROCESSES = 2


def span_seconds(*proxies: FaultProxy) -> float:
    """From the first request to the last."""
    times = [seen.at for proxy in proxies for seen in proxy.seen]
    return max(times) - min(times)


def test_requests_keep_to_their_rate(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({f"{n:03d}": b"1" for n in range(50)})
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    rate = 40.0

    pair.between(source_seen, destination_seen).transfer(
        source, destination, "--requests", f"{rate:.0f}/s", "--processes", PROCESSES
    )

    count = len(at_source.seen) + len(at_destination.seen)
    assert count >= 100
    # One process alone may come to use its share only; never less time than the whole rate needs.
    assert span_seconds(at_source, at_destination) >= count / rate - 2 * BURST_SECONDS - 0.1


def test_bytes_keep_to_their_rate(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    size = 200_000
    source.fill({f"{n:02d}": content_of(str(n), size) for n in range(20)})
    proxy, seen = fault_proxy(destination.endpoint)
    rate = 2e6

    ended = pair.between(source.endpoint, seen).transfer(
        source, destination, "--bandwidth", "2MB/s", "--processes", PROCESSES
    )

    assert ended["bytes"] == 20 * size
    # An object larger than what is left is let through, and paid for by those that follow.
    free = PROCESSES * size + 2 * BURST_SECONDS * rate
    assert span_seconds(proxy) >= (ended["bytes"] - free) / rate - 0.1


def test_an_object_is_tried_as_often_as_asked_for(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({"good": b"1", "bad": b"2"})
    proxy, seen = fault_proxy(destination.endpoint)
    proxy.add(Status(status=500, code="InternalError", message="We failed."), path="bad")
    pair = pair.between(source.endpoint, seen)

    ended = pair.transfer(source, destination, "--attempts", "2", code=1)

    assert (ended["done"], ended["failed"]) == (1, 1)
    (failure,) = pair.well("failures", "last", "--json").json["failures"]
    assert (failure["key"], failure["attempts"], len(failure["history"])) == ("bad", 2, 2)
    assert failure["code"] == "transient"
