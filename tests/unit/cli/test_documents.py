import json
from typing import Any

import pytest

from tests.unit.cli.fake_host import (
    RUN,
    SCAN,
    FakeFinding,
    FakeHost,
    FakeVerification,
    dth,
    progress,
    summary,
    with_failures,
)
from transferhub.errors import DeniedError, InputError
from transferhub.model.run import UNDER_WAY_STATES, RunState
from transferhub.model.transfer import Difference

TRANSFER = ("transfer", "s3://a", "s3://b", "--json")
COUNT_KEYS = [
    "scanned_source",
    "scanned_destination",
    "same",
    "new",
    "changed",
    "extra",
    "filtered",
    "archived",
    "fallbacks",
    "source_bytes",
    "copy_bytes",
    "done",
    "failed",
    "vanished",
    "skipped",
    "deleted",
    "delete_failed",
    "waiting",
    "bytes",
]
SUMMARY_KEYS = [
    *("run", "status", *COUNT_KEYS),
    *("start_bytes", "seconds", "noted", "report", "faults", "notes"),
]


def document(*args: str, host: FakeHost | None = None) -> Any:
    """The one JSON document on stdout, whatever is said on stderr."""
    return json.loads(dth(*args, host=host).out)


def test_the_keys_of_a_transfer() -> None:
    told = document(*TRANSFER)
    assert list(told) == SUMMARY_KEYS
    assert (told["run"], told["status"], told["done"]) == (RUN, "succeeded", 3_400)
    assert told["scanned_source"] == (
        told["same"] + told["new"] + told["changed"] + told["filtered"] + told["archived"]
    )


@pytest.mark.parametrize("status", sorted(set(RunState) - UNDER_WAY_STATES))
def test_a_status_is_the_state_of_the_run(status: RunState) -> None:
    host = FakeHost(ends=summary(status=status))
    assert document(*TRANSFER, host=host)["status"] == status.value


def test_a_failed_run_has_an_error() -> None:
    end = summary(status=RunState.FAILED, error="Denied.", error_code="denied")
    result = dth(*TRANSFER, host=FakeHost(ends=end))
    told = json.loads(result.out)
    assert list(told) == [*SUMMARY_KEYS, "error"]
    assert told["error"] == {"code": "denied", "message": "Denied."}
    assert result.err == "dth: Denied.\n"


def test_what_did_not_balance_and_failed_deletes_are_told() -> None:
    end = with_failures(delete_failed=2, faults=("1 is not 2",))
    told = document(*TRANSFER, host=FakeHost(ends=end))
    assert (told["delete_failed"], told["faults"]) == (2, ["1 is not 2"])


def test_an_error_after_the_run_began_still_gives_the_document() -> None:
    host = FakeHost(error=DeniedError("Denied."), shows=[progress()])
    result = dth(*TRANSFER, "--quiet", host=host)
    told = json.loads(result.out)
    assert list(told) == [*SUMMARY_KEYS, "error"]
    assert (result.code, told["run"], told["status"]) == (3, RUN, "failed")
    assert told["error"] == {"code": "denied", "message": "Denied."}
    assert told["done"] == 2_100
    assert result.err == "dth: Denied.\n"


def test_an_unexpected_error_of_a_run_is_internal() -> None:
    host = FakeHost(error=ValueError("x"), shows=[progress()])
    assert document(*TRANSFER, host=host)["error"] == {"code": "internal", "message": "x"}


def test_without_a_run_there_is_no_document() -> None:
    result = dth(*TRANSFER, host=FakeHost(error=InputError("manifest", "is empty")))
    assert (result.code, result.out) == (2, "")
    assert result.err == "dth: --manifest: is empty\n"


def test_talk_goes_to_stderr() -> None:
    host = FakeHost(says=["Resuming the run of yesterday."], shows=[progress()])
    result = dth(*TRANSFER, host=host)
    json.loads(result.out)
    assert result.err.startswith("Resuming the run of yesterday.\ncopying: ")


def test_the_keys_of_a_dry_run() -> None:
    told = document(*TRANSFER, "--dry-run")
    assert list(told) == [
        "dry_run",
        "scanned_source",
        "scanned_destination",
        "same",
        "new",
        "changed",
        "extra",
        "filtered",
        "archived",
        "copies",
        "deletes",
        "bytes",
        "requests",
        "cost",
        "seconds",
        "first_keys",
    ]
    assert told["requests"][0] == {"where": "source", "kind": "list", "count": 12, "cost": 0.00006}
    assert told["cost"]["unpriced"] == ["minio"]
    assert told["first_keys"][0]["key"] == "a\nb"


def test_the_keys_of_verify() -> None:
    found = FakeVerification(SCAN, (("k\udc80", Difference.EXTRA),), equal=False)
    told = document("verify", "s3://a", "s3://b", "--json", host=FakeHost(verification=found))
    assert list(told) == [
        "equal",
        "scanned_source",
        "scanned_destination",
        "same",
        "new",
        "changed",
        "extra",
        "filtered",
        "archived",
        "seconds",
        "differences",
    ]
    assert told["differences"] == [{"key": "k\udc80", "difference": "extra"}]


def test_the_keys_of_runs_and_show() -> None:
    run_keys = [
        "run",
        "status",
        "created_at",
        "started_at",
        "ended_at",
        "resumed",
        "task",
        "summary",
    ]
    (told,) = document("runs", "--json")
    assert list(told) == run_keys
    shown = document("show", "last", "--json")
    assert list(shown) == [*run_keys, "totals"]
    assert list(shown["totals"]) == [*COUNT_KEYS, "ranges"]
    assert shown["totals"]["waiting"] == 1_297
    assert shown["totals"]["ranges"] == {"done": 5, "known": 8}


def test_the_keys_of_failures() -> None:
    told = document("failures", "last", "--json")
    assert list(told) == ["run", "groups", "failures"]
    assert list(told["groups"][0]) == ["code", "count", "bytes", "example"]
    assert list(told["failures"][0]) == [
        "key",
        "action",
        "size",
        "code",
        "message",
        "attempts",
        "ended_at",
        "history",
    ]
    assert [attempt["code"] for attempt in told["failures"][0]["history"]] == [
        "transient",
        "denied",
    ]


def test_redrive_says_how_many() -> None:
    assert document("redrive", "last", "--json")["redriven"] == 3
    nothing = document("redrive", "last", "--json", host=FakeHost(redriven=0))
    assert nothing == {"run": "last", "redriven": 0}


def test_report_gives_the_path_or_the_summary() -> None:
    assert dth("report", "last").out == "/state/runs/report.csv.gz\n"
    assert document("report", "last", "--json")["done"] == 3_397


def test_doctor_gives_its_findings() -> None:
    findings = [FakeFinding("state", "/state", "default")]
    told = document("doctor", "--json", host=FakeHost(findings=findings))
    assert told == {
        "findings": [
            {"name": "state", "value": "/state", "origin": "default", "level": "ok", "advice": ""}
        ]
    }
