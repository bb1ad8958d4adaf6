import json
from dataclasses import replace

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
from transferhub import errors
from transferhub.cli.exits import MEANING, ExitCode
from transferhub.engine.progress import Summary
from transferhub.model.run import RunState
from transferhub.model.transfer import Difference

TRANSFER = ("transfer", "s3://a", "s3://b")


def test_the_table_of_exit_codes() -> None:
    assert {code.value: code.name for code in ExitCode} == {
        0: "OK",
        1: "FAILURES",
        2: "USAGE",
        3: "FAILED",
        130: "INTERRUPTED",
    }
    assert set(MEANING) == set(ExitCode)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (summary(), 0),
        (with_failures(), 1),
        (summary(status=RunState.FAILED, error="x", error_code="guard"), 3),
        (summary(status=RunState.CANCELLED), 130),
    ],
)
@pytest.mark.parametrize("words", [TRANSFER, ("resume", "r"), ("redrive", "r")])
def test_the_end_of_a_run_decides(end: Summary, code: int, words: tuple[str, ...]) -> None:
    assert dth(*words, host=FakeHost(ends=end)).code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("manifest", "is empty"), 2),
        (errors.DeniedError("Access denied."), 3),
        (errors.NotFoundError("No such bucket.", code="no_bucket"), 3),
        (errors.StateError("The disk is full."), 3),
        (errors.GuardError("Too many deletes."), 3),
        (errors.TransferHubError("Hm."), 3),
        (ValueError("surprise"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_decides(error: BaseException, code: int) -> None:
    assert dth(*TRANSFER, host=FakeHost(error=error)).code == code


def test_an_error_is_one_sentence_without_a_traceback() -> None:
    host = FakeHost(error=errors.DeniedError("Reading s3://a was denied; allow s3:ListBucket."))
    result = dth(*TRANSFER, host=host)
    assert result.err == "dth: Reading s3://a was denied; allow s3:ListBucket.\n"
    assert result.out == ""


def test_the_error_of_a_failed_run_is_told_after_its_numbers() -> None:
    end = summary(status=RunState.FAILED, error="No such bucket: b.", error_code="no_bucket")
    result = dth(*TRANSFER, host=FakeHost(ends=end))
    assert result.err == "dth: No such bucket: b.\n"
    assert f"dth resume {RUN}  goes on, once the cause is mended" in result.out


def test_an_unexpected_error_says_how_to_see_more() -> None:
    result = dth(*TRANSFER, host=FakeHost(error=ValueError("sur\nprise")))
    assert result.err == (
        "dth: Something unexpected happened, which is a fault of dth (ValueError: sur prise);"
        " run it again with --debug to see where.\n"
    )


def test_debug_shows_the_traceback_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTH_SOURCE_SECRET_ACCESS_KEY", "open-sesame-1234")
    host = FakeHost(error=ValueError("signed with open-sesame-1234"))
    result = dth(*TRANSFER, "--debug", host=host)
    assert "Traceback (most recent call last)" in result.err
    assert "open-sesame" not in result.err
    assert "signed with ***" in result.err


def test_verify_tells_equal_from_different() -> None:
    assert dth("verify", "s3://a", "s3://b").code == 0
    found = FakeVerification(SCAN, (("a\x1bb", Difference.NEW),), equal=False)
    result = dth("verify", "s3://a", "s3://b", host=FakeHost(verification=found))
    assert result.code == 1
    assert result.out.startswith("The two sides differ: 12,000 objects at the source, 9,000 at")
    assert "  new      a\\x1bb\n" in result.out


def test_verify_says_when_the_destination_has_more() -> None:
    out = dth("verify", "s3://a", "s3://b").out
    assert out.startswith("The destination has all of the source, and more: 12,000 objects at")
    equal = FakeVerification(replace(SCAN, extra=0))
    out = dth("verify", "s3://a", "s3://b", "--mirror", host=FakeHost(verification=equal)).out
    assert out.startswith("Both sides are equal: ")


def test_an_interrupt_at_once_still_tells_the_run() -> None:
    host = FakeHost(error=KeyboardInterrupt(), shows=[progress()])
    result = dth(*TRANSFER, "--json", "--quiet", host=host)
    assert result.code == 130
    assert json.loads(result.out)["status"] == "cancelled"
    assert f"dth resume {RUN}" in result.err


def test_doctor_fails_on_an_error_and_not_on_a_warning() -> None:
    warning = FakeFinding("clock", "12 s ahead", level="warning", advice="Set the clock.")
    error = FakeFinding("s3://a", "cannot be reached", level="error", advice="Check the endpoint.")
    assert dth("doctor", host=FakeHost(findings=[warning])).code == 0
    result = dth("doctor", host=FakeHost(findings=[warning, error]))
    assert result.code == 1
    assert "Check the endpoint." in result.out


def test_nothing_to_redrive_is_well() -> None:
    result = dth("redrive", "last", host=FakeHost(redriven=0))
    assert (result.code, result.out) == (0, "No failed object matches; nothing was tried again.\n")


def test_an_interrupted_run_says_how_to_go_on() -> None:
    host = FakeHost(ends=summary(status=RunState.CANCELLED), shows=[progress()])
    assert f"dth resume {RUN}" in dth(*TRANSFER, host=host).out
    assert f"dth resume {RUN}" in dth(*TRANSFER, "--json", "--quiet", host=host).err
