"""Faults that stay: a dead letter or a failed run that says why, and that can be gone on with."""

from typing import Any

import pytest

from tests.acceptance.balance import assert_balanced, assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.rules import (
    Action,
    CorruptByte,
    Hold,
    ResetBody,
    ShortenBody,
    Status,
    WrongETag,
)

FAILURES, FAILED = 1, 3
SMALL = {f"small/{n:03d}": content_of(str(n), 400 + n) for n in range(40)}
LARGE = content_of("large", 12 * MIB)
INTERNAL = Status(status=500, code="InternalError", message="We encountered an internal error.")


@pytest.fixture
def filled(source: Place) -> Place:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    return source


def failures_of(dth: Dth) -> list[dict[str, Any]]:
    failures: list[dict[str, Any]] = dth.well("failures", "last", "--json").json["failures"]
    return failures


@pytest.mark.parametrize(
    ("operation", "key", "action", "code", "says"),
    [
        ("GetObject", "small/007", INTERNAL, "transient", "500 InternalError"),
        ("GetObject", "small/007", ResetBody(50), "transient", "the connection ended early"),
        ("GetObject", "small/007", CorruptByte(9), "corrupt", "have the MD5"),
        ("GetObject", "small/007", ShortenBody(9), "short_read", "and the same etag"),
        ("PutObject", "small/007", WrongETag(), "wrong_etag", "came out with the etag"),
        ("UploadPart", "large", INTERNAL, "transient", "500 InternalError"),
        ("CompleteMultipartUpload", "large", INTERNAL, "transient", "Completing the upload"),
    ],
    ids=["error", "reset", "corrupt", "shortened", "wrong-etag", "part", "completion"],
)
def test_a_fault_that_stays_with_one_key_makes_it_a_dead_letter_and_nothing_else(
    dth: Dth,
    filled: Place,
    destination: Place,
    fault_proxy: ProxyFactory,
    operation: str,
    key: str,
    action: Action,
    code: str,
    says: str,
) -> None:
    at_source, source_seen = fault_proxy(filled.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    proxy = at_source if operation == "GetObject" else at_destination
    proxy.add(action, operation=operation, path=f"{key}$")
    dth = dth.between(source_seen, destination_seen)

    ended = dth.transfer(filled, destination, "--attempts", 2, code=FAILURES)

    assert ended["status"] == "completed_with_failures"
    assert (ended["done"], ended["failed"]) == (len(SMALL), 1)
    assert_balanced(ended)
    assert destination.uploads() == []
    (row,) = failures_of(dth)
    assert (row["key"], row["code"], row["attempts"]) == (key, code, 2)
    assert says in row["message"]
    assert {attempt["code"] for attempt in row["history"]} == {code}
    assert len(row["history"]) >= 2  # of an object in parts, those of every part

    proxy.clear()
    again = dth.well("redrive", "last", "--json").json
    assert (again["redriven"], again["failed"]) == (1, 0)
    assert_moved(again, filled, destination)


def test_an_upload_that_could_not_be_aborted_is_aborted_by_the_next_run(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    proxy, seen = fault_proxy(destination.endpoint)
    denied = Status(status=403, code="AccessDenied", message="Access Denied")
    proxy.add(denied, operation="CompleteMultipartUpload")
    proxy.add(denied, operation="AbortMultipartUpload")
    dth = dth.between(filled.endpoint, seen)

    ended = dth.transfer(filled, destination, code=FAILURES)

    (note,) = ended["notes"]
    assert note.startswith("an upload of 'large' could not be aborted and will be tried again at")
    assert "grant s3:AbortMultipartUpload" in note
    assert len(destination.uploads()) == 1

    proxy.clear()
    again = dth.transfer(filled, destination)
    assert again["run"] != ended["run"]
    assert_moved(again, filled, destination)


def test_credentials_that_expire_stop_the_run_and_the_same_command_goes_on(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    proxy, seen = fault_proxy(filled.endpoint)
    proxy.add(
        Status(status=400, code="ExpiredToken", message="The provided token has expired."),
        operation="GetObject",
        skip=15,
    )
    dth = dth.between(seen, destination.endpoint)
    words = ("transfer", filled, destination, "--json", "--concurrency", 4)

    ended = dth.well(*words, code=FAILED)

    assert ended.json["status"] == "failed"
    assert ended.json["error"]["code"] == "expired_credentials"
    assert "the session token has expired; get new credentials." in ended.err
    assert ended.json["failed"] == 0

    proxy.clear()
    again = dth.well(*words)
    assert f"resuming run {ended.json['run']}: " in again.err
    assert again.json["run"] == ended.json["run"]
    assert_moved(again.json, filled, destination)


def test_a_server_that_stays_away_fails_the_run_after_the_patience(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, operation="PutObject", skip=20)
    dth = dth.between(filled.endpoint, seen).having(DTH_PATIENCE="2s")
    words = ("transfer", filled, destination, "--json", "--processes", 2)
    with dth.start(*words) as running:
        hold.wait()
        proxy.refuse()
        hold.release()
        ended = running.wait()
    assert ended.code == FAILED, str(ended)
    assert ended.json["error"]["code"] == "unreachable"
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("dth: ")]
    assert "gave up after 2 s without one success" in sentence
    assert "nobody answers there; check the endpoint" in sentence

    proxy.clear()
    proxy.accept()
    again = dth.well(*words)
    assert again.json["run"] == ended.json["run"]
    assert_moved(again.json, filled, destination)
