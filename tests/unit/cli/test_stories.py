"""What a person reads at the end of a command."""

from dataclasses import replace

import pytest

from tests.unit.cli.fake_host import (
    A_RUN,
    GROUP,
    RUN,
    TASK,
    FakeFinding,
    FakeHost,
    dth,
    summary,
    with_failures,
)
from transferhub.errors import StateError
from transferhub.model.run import RunState

TRANSFER = ("transfer", "s3://a", "s3://b")


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_a_transfer_that_went_well() -> None:
    end = summary(deleted=20, notes=("12 objects lost their tags.",))
    assert dth(*TRANSFER, host=FakeHost(ends=end)).out.splitlines() == [
        f"Run {RUN} succeeded: 3,400 objects copied, 1.9 GB, 20 deleted in 48s (39.6 MB/s).",
        "",
        "  source       12,000  = 8,500 same + 3,000 new + 400 changed + 70 filtered + 30 archived",
        "  to copy       3,400  = 3,400 done + 0 failed + 0 vanished + 0 skipped",
        "  destination   9,000    20 extra, 20 deleted",
        "  report: /state/runs/report.csv.gz",
        "Note: 12 objects lost their tags.",
    ]


def test_a_transfer_with_failures_says_why_and_what_next() -> None:
    out = dth(*TRANSFER, host=FakeHost(ends=with_failures())).out.splitlines()
    assert out[0].startswith(f"Run {RUN} completed with failures: 3,397 objects copied")
    assert out[-9:] == [
        "",
        "Failures:",
        "  denied: 3 objects, 3.0 KB",
        "    such as photos/\\x1b[2Ja.jpg",
        "    Access to photos/a.jpg was denied.",
        "",
        "Next:",
        f"  dth failures {RUN}  shows each of them, with every attempt",
        f"  dth redrive {RUN}   tries them again",
    ]


def test_a_transfer_to_where_not_everything_could_be_kept() -> None:
    out = dth(*TRANSFER, host=FakeHost(ends=summary(noted=12))).out.splitlines()
    assert out[-5:] == [
        "  not kept: something of 12 objects, such as metadata or tags",
        "  report: /state/runs/report.csv.gz",
        "",
        "Next:",
        f'  zcat "$(dth report {RUN})" | grep "not keep"  shows what was not kept',
    ]


def test_the_rate_of_a_resumed_transfer_is_that_of_its_last_start() -> None:
    end = summary(start_bytes=480_000_000, deleted=20)
    assert dth(*TRANSFER, host=FakeHost(ends=end)).out.splitlines()[0] == (
        f"Run {RUN} succeeded: 3,400 objects copied, 1.9 GB, 20 deleted; 480.0 MB of it since it"
        " was resumed, in 48s (10.0 MB/s)."
    )


def test_the_rate_of_an_interrupted_transfer_counts_parts() -> None:
    end = summary(status=RunState.CANCELLED, bytes=240_000_000, start_bytes=480_000_000)
    assert dth(*TRANSFER, host=FakeHost(ends=end)).out.splitlines()[0] == (
        f"Run {RUN} was interrupted: 3,400 objects copied, 240.0 MB; 480.0 MB with parts of"
        " unfinished objects, in 48s (10.0 MB/s)."
    )


def test_an_interrupted_transfer_says_what_waits() -> None:
    end = summary(status=RunState.CANCELLED, done=2_100, waiting=1_300)
    out = dth(*TRANSFER, host=FakeHost(ends=end)).out
    assert out.startswith(f"Run {RUN} was interrupted: 2,100 objects copied")
    assert "3,400  = 2,100 done + 0 failed + 0 vanished + 0 skipped + 1,300 waiting" in out
    assert f"dth resume {RUN}  goes on; so does the same command again" in out


class ForgetfulHost(FakeHost):
    def failure_groups(self, run: object) -> list[object]:  # type: ignore[override]
        raise StateError("The disk is gone.")


def test_the_summary_is_told_even_where_the_failures_cannot_be_read() -> None:
    result = dth(*TRANSFER, host=ForgetfulHost(ends=with_failures()))
    assert result.code == 1
    assert "3,397 done + 3 failed" in result.out


def test_a_dry_run() -> None:
    assert dth(*TRANSFER, "--dry-run").out.splitlines() == [
        "Dry run: nothing was changed.",
        "",
        "  source        12,000 objects, 8.0 GB",
        "  destination   9,000 objects",
        "  would copy    3,400 objects, 1.9 GB",
        "  of them       3,000 new, 400 changed",
        "  would delete  20 objects",
        "  would leave   8,500 same, 70 filtered, 30 archived, 20 extra",
        "  time          about 21s",
        "",
        "Requests, at least 0.1601 USD with traffic:",
        "  source       list            12  under 0.0001 USD",
        "  destination  put          3,400         not known",
        "  source       traffic out               0.1600 USD",
        "  prices of aws: public list prices (2025-06)",
        "  No prices are known for minio; give yours with --prices FILE.",
        "",
        "First keys:",
        "  new  1.0 KB  a\\nb",
    ]


def test_runs() -> None:
    header, row = dth("runs").out.splitlines()
    assert header.split() == [
        *("RUN", "STATUS", "STARTED", "DURATION", "COPIED", "FAILED"),
        *("SOURCE", "→", "DESTINATION"),
    ]
    assert row.startswith(f"{RUN}  completed with failures  2026-11-24 12:00:00       48s   3,397")
    assert row.endswith("       3  s3://photos/2024/ → file:///srv/photos")
    assert header.index("SOURCE") == row.index("s3://")


def test_a_run_that_was_killed_is_not_shown_as_running() -> None:
    killed = replace(A_RUN, state=RunState.RUNNING, ended_at=None)
    host = FakeHost(known=((killed, TASK),))
    assert f"{RUN}  interrupted  " in dth("runs", host=host).out
    assert "status   interrupted\n" in dth("show", "last", host=host).out


def test_no_runs() -> None:
    out = dth("runs", host=FakeHost(known=())).out
    assert out == "There are no runs yet. Start one with `dth transfer SOURCE DESTINATION`.\n"


def test_show() -> None:
    assert dth("show", "last").out.splitlines() == [
        f"run      {RUN}",
        "status   completed with failures",
        "task     s3://photos/2024/ → file:///srv/photos",
        "started  2026-11-24 12:00:00",
        "ended    2026-11-24 12:00:48 (48s)",
        "resumed  1 time",
        "report   /state/runs/report.csv.gz",
        "",
        "listing  5 of 8 key ranges compared",
        "copying  2,100 of 3,400 objects",
        "moved    1.2 GB",
        "uploads  1 unfinished multipart upload",
        "",
        "  source       12,000  = 8,500 same + 3,000 new + 400 changed + 70 filtered + 30 archived",
        "  to copy       3,400  = 2,100 done + 3 failed + 0 vanished + 0 skipped + 1,297 waiting",
        "  destination   9,000    20 extra, 0 deleted",
        "",
        "Failures:",
        "  denied: 3 objects, 3.0 KB",
        "    such as photos/\\x1b[2Ja.jpg",
        "    Access to photos/a.jpg was denied.",
        "",
        "Next:",
        f"  dth failures {RUN}  shows each of them, with every attempt",
        f"  dth redrive {RUN}   tries them again",
    ]


def test_show_counts_what_was_not_kept() -> None:
    run = replace(A_RUN, summary={**A_RUN.summary, "noted": 1})
    out = dth("show", "last", host=FakeHost(known=((run, TASK),))).out
    assert "  not kept: something of 1 object, such as metadata or tags\n" in out
    assert f'zcat "$(dth report {RUN})" | grep "not keep"  shows what was not kept\n' in out


def test_failures() -> None:
    assert dth("failures", "last").out.splitlines() == [
        f"Run {RUN}",
        "",
        "Failures:",
        "  denied: 3 objects, 3.0 KB",
        "    such as photos/\\x1b[2Ja.jpg",
        "    Access to photos/a.jpg was denied.",
        "",
        "copy photos/\\x1b[2Ja.jpg",
        "  denied after 2 attempts: Access to photos/a.jpg was denied.",
        "  2026-11-24 11:59:00  transient: The connection was reset.",
        "",
        "Next:",
        f"  dth redrive {RUN}  tries them again; --code and --key choose",
    ]


def test_failures_of_a_run_without_any_or_without_a_match() -> None:
    assert (
        dth("failures", "last", host=FakeHost(groups=())).out == f"Nothing failed in run {RUN}.\n"
    )
    out = dth("failures", "last", "--key", "x", host=FakeHost(records=())).out
    assert "None of them matches --code and --key." in out


def test_failures_are_read_in_pages_and_cut_at_the_limit() -> None:
    record = FakeHost().records[0]
    records = [
        record._replace(transfer=record.transfer._replace(key=f"k{n:05}")) for n in range(2_500)
    ]
    host = FakeHost(records=records, groups=[GROUP])
    assert dth("failures", "last", "--limit", "2200", host=host).out.count("copy k") == 2_200
    out = dth("failures", "last", host=host).out
    assert "These are the first 1,000; more with --limit." in out


def test_doctor() -> None:
    findings = [
        FakeFinding("state", "/state", "flag --state"),
        FakeFinding("clock", "12 s ahead", "s3://a", "warning", "Set this machine's clock."),
    ]
    assert dth("doctor", host=FakeHost(findings=findings)).out.splitlines() == [
        "ok       state  /state      flag --state",
        "warning  clock  12 s ahead  s3://a",
        "         Set this machine's clock.",
    ]


def test_a_task_that_has_no_places_goes_by_its_name() -> None:
    images = replace(TASK, kind="images", spec={"repository": "x"})
    assert "  photos" in dth("runs", host=FakeHost(known=[(A_RUN, images)])).out
