"""Servers and networks that misbehave, and come round: the run ends as if nothing had been."""

import threading

import pytest

from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, report_rows
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.rules import (
    Action,
    CorruptByte,
    DropResponse,
    Hold,
    Latency,
    Reset,
    ResetBody,
    ShortenBody,
    Stall,
    StallBody,
    Status,
    TruncateBody,
    WrongETag,
)

SMALL = {f"small/{n:03d}": content_of(str(n), 400 + n) for n in range(60)}
LARGE = content_of("large", 12 * MIB)
INTERNAL = Status(status=500, code="InternalError", message="We encountered an internal error.")
SLOW_DOWN = Status()


@pytest.fixture
def filled(source: Place) -> Place:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    return source


def test_five_of_a_hundred_requests_may_fail_in_any_way(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({f"{n % 7}/{n:04d}": content_of(str(n), 200 + n % 900) for n in range(2_000)})
    for n in range(3):
        source.put_multipart(f"large/{n}", content_of(str(n), (6 + 5 * n) * MIB))
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    of_both: list[Action] = [
        SLOW_DOWN,
        INTERNAL,
        Reset(),
        DropResponse(),
        ResetBody(90),
        TruncateBody(90),
        StallBody(90),
    ]
    of_objects: list[Action] = [CorruptByte(50), ShortenBody(7), WrongETag()]
    for seed, (proxy, action) in enumerate(
        [(proxy, action) for proxy in (at_source, at_destination) for action in of_both]
    ):
        proxy.add(action, probability=0.05 / len(of_both), seed=seed)
    for seed, action in enumerate(of_objects):
        at_source.add(action, operation="GetObject", probability=0.01, seed=100 + seed)
    at_destination.add(WrongETag(), operation="PutObject", probability=0.01, seed=200)
    at_destination.add(Latency(0.5), probability=0.01, seed=201)
    dth = dth.between(source_seen, destination_seen).having(DTH_TIMEOUT="2s")

    ended = dth.transfer(source, destination)

    assert_moved(ended, source, destination)
    assert ended["done"] == 2_003
    faults = [seen.fault for proxy in (at_source, at_destination) for seen in proxy.seen]
    assert {type(fault) for fault in faults if fault} >= {type(fault) for fault in of_both}


def test_slow_down_is_no_failure_and_halves_what_is_asked_at_once(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    proxy, seen = fault_proxy(destination.endpoint)
    proxy.add(SLOW_DOWN, operation="ListObjectsV2", skip=1, times=3)
    proxy.add(SLOW_DOWN, operation="PutObject", skip=10, times=20)
    proxy.add(SLOW_DOWN, operation="UploadPart", times=1)
    dth = dth.between(filled.endpoint, seen).having(DTH_LOG="info")
    words = ("--attempts", 1, "--concurrency", 32, "--processes", 1, "--json")

    ended = dth.well("transfer", filled, destination, *words)

    assert_moved(ended.json, filled, destination)
    assert f"{destination} at {seen.url} asks to slow down: 16 requests at once" in ended.err
    rows = report_rows(ended.json["report"])
    assert {row["attempts"] for row in rows.values()} == {"1"}


def test_a_server_that_is_away_for_some_seconds_is_waited_for(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    proxy, seen = fault_proxy(filled.endpoint)
    hold = Hold()
    proxy.add(hold, operation="GetObject", skip=20)
    dth = dth.between(seen, destination.endpoint)
    words = ("transfer", filled, destination, "--json", "--attempts", 2)
    with dth.start(*words) as running:
        hold.wait()
        proxy.refuse()
        threading.Timer(2.0, proxy.accept).start()
        hold.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert_moved(ended.json, filled, destination)


@pytest.mark.parametrize(
    ("operation", "action"),
    [("GetObject", StallBody(100)), ("UploadPart", Stall())],
    ids=["get", "part"],
)
def test_a_connection_that_stalls_is_given_up_and_the_request_sent_again(
    dth: Dth,
    filled: Place,
    destination: Place,
    fault_proxy: ProxyFactory,
    operation: str,
    action: Stall | StallBody,
) -> None:
    at_source, source_seen = fault_proxy(filled.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    proxy = at_source if operation == "GetObject" else at_destination
    rule = proxy.add(action, operation=operation, times=2)
    dth = dth.between(source_seen, destination_seen).having(DTH_TIMEOUT="1s")

    ended = dth.transfer(filled, destination)

    assert rule.hits == 2
    assert_moved(ended, filled, destination)


def test_a_body_that_was_cut_off_is_noticed_where_no_md5_tells(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put_multipart("one-part", content_of("one-part", 100_000))  # its etag ends in -1
    proxy, seen = fault_proxy(source.endpoint)
    rule = proxy.add(ShortenBody(9), operation="GetObject", times=1)

    dth.between(seen, destination.endpoint).transfer(source, destination)

    assert rule.hits == 1
    assert destination.get("one-part") == content_of("one-part", 100_000)
