"""Ctrl-C once ends cleanly, twice at once; either way the same command goes on."""

import time

from tests.acceptance.aws import IN_EACH_STATE
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Hold, Latency

INTERRUPTED = 130
SMALL = {f"small/{n:03d}": content_of(str(n), 400 + n) for n in range(60)}
LARGE = content_of("large", 27 * MIB)


@IN_EACH_STATE
def test_ctrl_c_ends_what_is_under_way_and_keeps_uploads_for_the_next_start(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    proxy.add(Latency(0.2), method="PUT")
    hold = Hold()
    proxy.add(hold, operation="UploadPart", skip=3, times=1)
    dth = dth.between(source.endpoint, seen)
    words = ("transfer", source, destination, "--json", "--concurrency", 4, "--processes", 2)
    with dth.start(*words) as running:
        hold.wait()
        assert "dth resume" not in dth.well("show", "last").out  # somebody works on it
        running.interrupt()
        hold.release()
        ended = running.wait()
    assert "dth resume" in dth.well("show", "last").out
    assert ended.code == INTERRUPTED, str(ended)
    document = ended.json
    assert document["status"] == "cancelled"
    assert document["waiting"] >= 1
    assert "once more stops at once" in ended.err
    assert f"Go on with `dth resume {document['run']}`, or with the same command." in ended.err
    assert [key for key, _ in destination.uploads()] == ["large"]
    uploaded = {
        request.request.query["partNumber"]
        for request in proxy.seen
        if request.operation == "UploadPart" and request.status == 200
    }
    assert uploaded
    proxy.clear()

    again = dth.well(*words)

    (line,) = [line for line in again.err.splitlines() if line.startswith("resuming run ")]
    assert f"resuming run {document['run']}: " in line
    assert line.endswith("of which 0 were under way when it stopped")  # all leases were given back
    sent = [
        request.request.query["partNumber"]
        for request in proxy.seen
        if request.operation == "UploadPart"
    ]
    assert uploaded.isdisjoint(sent)
    assert again.json["run"] == document["run"]
    assert_moved(again.json, source, destination)


def test_a_second_ctrl_c_waits_for_nothing(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, method="PUT", skip=10)
    dth = dth.between(source.endpoint, seen)
    with dth.start("transfer", source, destination, "--json", "--processes", 2) as running:
        hold.wait()
        running.interrupt()
        while "once more stops at once" not in running.err:
            time.sleep(0.02)
        before = time.monotonic()
        running.interrupt()
        ended = running.wait()
        took = time.monotonic() - before
    hold.release()
    proxy.clear()
    assert ended.code == INTERRUPTED, str(ended)
    assert ended.json["status"] == "cancelled"
    assert "Traceback" not in ended.err
    assert took < 4

    assert_moved(dth.transfer(source, destination), source, destination)


def test_ctrl_c_while_it_verifies_says_what_is_left_and_the_next_start_verifies(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    through = dth.between(source.endpoint, seen)
    through.well("transfer", source, destination)  # so that nothing but listings is left to do
    proxy.add(hold, operation="ListObjectsV2", skip=lists_of(through, proxy, source, destination))
    words = ("transfer", source, destination, "--json", "--verify")
    with through.start(*words) as running:
        while "verifying: " not in running.err:
            time.sleep(0.02)
        hold.wait()
        running.interrupt()
        ended = running.wait()
    hold.release()
    proxy.clear()
    assert ended.code == INTERRUPTED, str(ended)
    assert ended.json["status"] == "cancelled"
    assert ended.json["notes"] == ["the copies ended, and were not verified"]

    again = through.well(*words)

    assert again.json["run"] == ended.json["run"]
    assert again.json["notes"] == ["verified: 60 objects are the same"]


def lists_of(dth: Dth, proxy: FaultProxy, source: Place, destination: Place) -> int:
    """How many listings a run without --verify asks for."""
    before = listings(proxy)
    dth.well("transfer", source, destination)
    return listings(proxy) - before


def listings(proxy: FaultProxy) -> int:
    return sum(request.operation == "ListObjectsV2" for request in proxy.seen)
