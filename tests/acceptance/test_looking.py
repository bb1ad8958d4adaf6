"""Looking at runs, their failures and the installation."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Status

DENIED = Status(status=403, code="AccessDenied", message="Access Denied")
TOO_LARGE = Status(status=400, code="EntityTooLarge", message="Too large.")


@pytest.fixture
def broken(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> tuple[Dth, FaultProxy]:
    """A run of eight objects, of which three were denied and one was too large."""
    source.fill({f"{name}/{n}": b"1" for name in ("good", "bad") for n in range(3)})
    source.fill({"large": b"1", "good/4": b"1"})
    proxy, seen = fault_proxy(destination.endpoint)
    proxy.add(DENIED, operation="PutObject", path="bad/")
    proxy.add(TOO_LARGE, operation="PutObject", path="large")
    pair = pair.between(source.endpoint, seen)
    pair.transfer(source, destination, code=1)
    return pair, proxy


def test_failures_are_grouped_by_code_and_listed_by_key(broken: tuple[Dth, FaultProxy]) -> None:
    dth, _ = broken

    told = dth.well("failures", "last").out
    document = dth.well("failures", "last", "--json").json
    some = dth.well("failures", "last", "--code", "denied", "--key", "bad/[12]", "--json").json

    assert "denied: 3 objects, 3 B" in told
    assert "bad/0" in told
    assert "dth redrive" in told
    assert {group["code"]: group["count"] for group in document["groups"]}["denied"] == 3
    assert [failure["key"] for failure in document["failures"]] == [
        "bad/0", "bad/1", "bad/2", "large",
    ]  # fmt: skip
    assert [failure["key"] for failure in some["failures"]] == ["bad/1", "bad/2"]
    assert all(failure["message"] for failure in document["failures"])


def test_a_run_is_redriven_by_code_and_key(
    broken: tuple[Dth, FaultProxy], source: Place, destination: Place
) -> None:
    dth, proxy = broken
    proxy.clear()

    one = dth.well("redrive", "last", "--code", "denied", "--key", "bad/1", "--json", code=1).json
    rest = dth.well("redrive", "last", "--json").json
    none = dth.well("redrive", "last").out

    assert (one["redriven"], one["done"], one["failed"]) == (1, 5, 3)
    assert (rest["redriven"], rest["done"], rest["failed"]) == (3, 8, 0)
    assert (rest["status"], rest["run"]) == ("succeeded", one["run"])
    assert none == "No failed object matches; nothing was tried again.\n"
    assert destination.contents() == source.contents()


def test_runs_are_listed_and_shown(broken: tuple[Dth, FaultProxy], source: Place) -> None:
    dth, _ = broken

    listed = dth.well("runs").out
    (run,) = json.loads(dth.well("runs", "--json").out)
    shown = dth.well("show", "last").out
    document = dth.well("show", run["run"], "--json").json

    assert run["run"] in listed
    assert f"{source}/ → " in listed
    assert (run["status"], run["summary"]["failed"]) == ("completed_with_failures", 4)
    assert "completed with failures" in shown
    assert "4 of 8 objects" in shown
    assert f"dth redrive {run['run']}" in shown
    assert document["totals"]["done"] == 4
    assert document["totals"]["ranges"] == {"done": 1, "known": 1}


def test_the_report_is_named_and_written_anew_where_it_is_missing(
    broken: tuple[Dth, FaultProxy],
) -> None:
    dth, _ = broken
    path = Path(dth.well("report", "last").out.strip())
    first = path.read_bytes()
    path.unlink()

    assert Path(dth.well("report", "last").out.strip()) == path
    assert len(path.read_bytes()) == len(first)


def test_the_summary_of_failures_tells_what_to_do(
    broken: tuple[Dth, FaultProxy], source: Place, destination: Place
) -> None:
    dth, _ = broken

    ended = dth.well("transfer", source, destination, code=1)

    assert "Failures:" in ended.out
    assert "such as bad/0" in ended.out
    assert "s3:PutObject" in ended.out
    assert "dth failures" in ended.out


def test_doctor_tells_settings_and_where_they_came_from(dth: Dth) -> None:
    dth = dth.having(DTH_ATTEMPTS="7")

    findings = dth.well("doctor", "--json").json["findings"]

    by_name = {finding["name"]: finding for finding in findings}
    assert by_name["attempts"]["value"] == "7"
    assert by_name["attempts"]["origin"] == "environment DTH_ATTEMPTS"
    assert by_name["memory"]["origin"] == "default"
    assert {"dth", "python", "pyreqwest", "free space", "database"} <= by_name.keys()


def test_doctor_reaches_both_sides_and_reads_their_clocks(
    pair: Dth, source: Place, destination: Place
) -> None:
    ended = pair.well("doctor", source, destination)

    for place in (source, destination):
        assert f"{place}/ credentials" in ended.out
        assert f"{place}/ reached" in ended.out
        assert f"{place}/ clock" in ended.out
    assert "DTH_SOURCE_ACCESS_KEY_ID" in ended.out
    assert "DTH_DESTINATION_ACCESS_KEY_ID" in ended.out


def test_doctor_finds_what_is_wrong(pair: Dth, source: Place) -> None:
    wrong = pair.having(DTH_SOURCE_SECRET_ACCESS_KEY="wrong-secret-here")

    ended = wrong.having("wrong-secret-here").well("doctor", source, code=1)

    line = next(line for line in ended.out.splitlines() if " reached" in line)
    assert line.startswith("error")
    assert "check the secret access key" in ended.out


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_credentials_files_name_each_side(
    dth: Dth, source: Place, destination: Place, tmp_path: Path, mode: int
) -> None:
    source.put("a", b"1")
    words: list[Any] = []
    for side, place in (("source", source), ("destination", destination)):
        path = tmp_path / f"{side}.json"
        path.write_text(
            json.dumps(
                {
                    "access_key_id": place.endpoint.access_key_id,
                    "secret_access_key": place.endpoint.secret_access_key,
                }
            )
        )
        path.chmod(mode)
        words += [f"--{side}-credentials", path, f"--{side}-endpoint", place.endpoint.url]

    dth = dth.having(source.endpoint.secret_access_key)
    ended = dth.well("transfer", source, destination, *words)

    assert destination.keys() == ["a"]
    assert ("other users may read" in ended.err) == (mode == 0o644)
