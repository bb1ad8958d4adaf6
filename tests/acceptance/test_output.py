"""What a person and a script see: progress, documents, exit codes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import Place
from tests.conftest import ProxyFactory
from tests.servers.rules import Hold

DOCUMENTED = [
    "run", "status", "scanned_source", "scanned_destination", "same", "new", "changed", "extra",
    "filtered", "archived", "fallbacks", "source_bytes", "copy_bytes", "done", "failed",
    "vanished", "skipped", "deleted", "delete_failed", "waiting", "bytes", "start_bytes",
    "seconds", "noted", "report", "faults", "notes",
]  # fmt: skip


def in_terminal(dth: Dth, *words: object) -> tuple[int, str]:
    """Runs a command whose standard error is a terminal; returns its exit code and what it drew."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "transferhub.cli", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**dth.environment(), "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(theirs)
    drawn = b""
    try:
        while piece := os.read(ours, 65_536):
            drawn += piece
    except OSError:  # the other end is closed: that is how a terminal ends
        pass
    finally:
        os.close(ours)
    return process.wait(60), drawn.decode()


def test_a_terminal_shows_live_progress(pair: Dth, source: Place, destination: Place) -> None:
    source.fill({str(n): b"1" for n in range(20)})

    code, drawn = in_terminal(pair, "transfer", source, destination)

    assert code == 0
    assert "\x1b[2K" in drawn
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert "Copying while listing" in seen
    assert re.search(r"scanned \d+ · to copy at least \d+ · copied \d+ · failed 0 · ", seen)
    assert re.search(r"B/s .* so far", seen)


def test_a_pipe_gets_plain_lines(pair: Dth, source: Place, destination: Place) -> None:
    source.fill({str(n): b"1" for n in range(20)})

    ended = pair.well("transfer", source, destination)

    assert "\x1b" not in ended.err + ended.out
    assert re.match(r"listing both sides\n|copying: \d+ objects? scanned", ended.err)
    assert "succeeded: 20 objects copied, 20 B in" in ended.out
    assert "  source       20  = 0 same + 20 new + 0 changed + 0 filtered + 0 archived" in ended.out
    assert "  report: " in ended.out


def test_quiet_says_only_the_end(pair: Dth, source: Place, destination: Place) -> None:
    source.put("a", b"1")

    ended = pair.well("transfer", source, destination, "--quiet")

    assert ended.err == ""
    assert ended.out.startswith("Run ")


def test_the_document_has_exactly_the_documented_fields(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")

    ended = pair.transfer(source, destination)

    assert list(ended) == DOCUMENTED
    documentation = Path("docs/reports.md").read_text()
    assert all(f"`{field}`" in documentation for field in DOCUMENTED)
    beside = Path(ended["report"]).with_name("summary.json")
    assert json.loads(beside.read_text()) == ended
    assert pair.well("report", "last", "--json").json == ended


def test_the_document_is_the_same_after_verifying(
    pair: Dth, source: Place, destination: Place
) -> None:
    source.put("a", b"1")

    ended = pair.transfer(source, destination, "--verify")

    beside = Path(ended["report"]).with_name("summary.json")
    assert json.loads(beside.read_text()) == ended
    assert pair.well("report", "last", "--json").json == ended


def test_a_failed_run_is_a_document_with_its_error(pair: Dth, destination: Place) -> None:
    ended = pair.well("transfer", "s3://no-such-bucket-here", destination, "--json", code=3)

    document = ended.json
    assert list(document) == [*DOCUMENTED, "error"]
    assert document["status"] == "failed"
    assert document["error"]["code"] == "no_bucket"
    assert "no-such-bucket-here" in ended.err.splitlines()[-1]


def test_a_run_that_never_began_says_so_in_words(pair: Dth, destination: Place) -> None:
    ended = pair.well("transfer", "s3://no-such-bucket-here", destination, code=3)

    assert ended.out.endswith(" failed before anything was listed; nothing was changed.\n")


def test_an_interrupted_run_says_how_to_go_on_and_does(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({f"{n:02d}": str(n).encode() for n in range(40)})
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold(response=True)
    proxy.add(hold, operation="PutObject", skip=5)
    pair = pair.between(source.endpoint, seen)
    words = ("transfer", source, destination, "--json", "--concurrency", "4")

    with pair.start(*words) as running:
        hold.wait()
        running.interrupt()
        hold.release()
        stopped = running.wait()

    assert stopped.code == 130
    assert stopped.json["status"] == "cancelled"
    assert 0 < stopped.json["done"] < 40
    run = stopped.json["run"]
    assert f"dth resume {run}" in stopped.err
    assert "stopping" in stopped.err

    resumed = pair.well(*words)

    assert resumed.json["run"] == run
    assert f"resuming run {run}" in resumed.err
    assert resumed.json["done"] == 40
    assert destination.contents() == source.contents()


def test_resume_goes_on_by_the_start_of_an_id(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({f"{n:02d}": str(n).encode() for n in range(20)})
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold(response=True)
    proxy.add(hold, operation="PutObject", skip=3)
    pair = pair.between(source.endpoint, seen)
    with pair.start("transfer", source, destination, "--json", "--concurrency", "4") as running:
        hold.wait()
        running.interrupt()
        hold.release()
        run = running.wait().json["run"]

    resumed = pair.well("resume", run[:-1], "--json").json

    assert (resumed["run"], resumed["status"]) == (run, "succeeded")
    assert destination.contents() == source.contents()
    again = pair.well("resume", run, code=2)
    assert f"dth: RUN: {run} has ended (succeeded), there is nothing to resume" in again.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("transfre",), "No such command 'transfre'. Did you mean 'transfer'?"),
        (("transfer", "s3://a"), "DESTINATION is missing."),
        (("transfer", "s3://a", "s3://b", "--inlcude", "x"), "No such option '--inlcude'"),
        (("transfer", "s3://a", "s3://b", "--compare", "sise"), "--compare: 'sise' is not one"),
        (("transfer", "photos", "s3://b"), "SOURCE: 'photos' has no scheme; write s3://photos"),
        (("transfer", "s4://a", "s3://b"), "SOURCE: there is no scheme s4://"),
        (("transfer", "s3://a", "s3://a"), "DESTINATION: is the source"),
        (("transfer", "s3://a", "s3://b", "--bandwidth", "fast"), "--bandwidth:"),
        (("transfer", "s3://a", "s3://b", "--min-size", "5 apples"), "--min-size:"),
        (("transfer", "s3://a", "s3://b", "--newer-than", "soon"), "--newer-than:"),
        (("transfer", "s3://a", "s3://b", "--attempts", "0"), "--attempts: must be at least 1"),
        (
            ("transfer", "s3://a", "s3://b", "--source-credentials", "/no/such"),
            "--source-credentials: '/no/such' cannot be read",
        ),
        (("show", "nothing"), "RUN: there is no run 'nothing'"),
        (("failures", "last"), "RUN: there is no run 'last'"),
        (("runs", "--limit", "0"), "--limit: '0' is not a whole number from 1 on"),
    ],
)
def test_what_is_typed_wrong_is_named_and_changes_nothing(
    dth: Dth, words: tuple[str, ...], says: str
) -> None:
    ended = dth.well(*words, code=2)

    assert says in ended.err
    assert ended.err.startswith("dth: ")
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_every_fault_is_told_at_once(dth: Dth) -> None:
    ended = dth.having(DTH_BANDWITH="5", DTH_SOURCE_ACCESS_KEY_ID="AK").well(
        "transfer", "s3://a", "photos", "--max-size", "much", "--processes", "x", code=2
    )

    assert [line.split(": ")[1] for line in ended.err.splitlines()] == [
        "--max-size",
        "DESTINATION",
        "DTH_BANDWITH",
        "--processes",
    ]
    assert "did you mean DTH_BANDWIDTH?" in ended.err
