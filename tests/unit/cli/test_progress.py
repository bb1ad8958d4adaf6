import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from tests.unit.cli.fake_host import RUN, FakeHost, dth, progress, totals
from transferhub.cli.figures import Figures
from transferhub.cli.lines import Lines, progress_line
from transferhub.cli.live import Rates, frame, sparkline
from transferhub.cli.streams import Stream
from transferhub.engine.progress import Phase, Progress
from transferhub.model.transfer import Action, RunId, ScanCounts, Tally, TransferState

TRANSFER = ("transfer", "s3://a", "s3://b")
STORY = [
    progress(phase=Phase.CHECKING, seconds=0.1, totals=totals(scan=ScanCounts(), tallies={})),
    progress(seconds=0.5),
    progress(seconds=5.0),
    progress(seconds=10.6),
    progress(seconds=12.0, listing=False),
    progress(phase=Phase.REPORTING, seconds=13.0),
]


def lines_of(story: Sequence[Progress]) -> list[str]:
    text = io.StringIO()
    shown = Lines(Stream(text))
    for moment in story:
        shown.observe(moment)
    return text.getvalue().splitlines()


def drawn(moment: Progress, rates: Sequence[float] = (), *, width: int = 120) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, markup=False, highlight=False, emoji=False)
    console.print(frame(moment, rates))
    return text.getvalue().splitlines()


COUNTS = (
    "  scanned 12,000 · to copy at least 3,400 · copied 2,100 · failed 3"
    " · 1.2 GB of at least 1.9 GB"
)
COPYING = (
    "copying: 12,000 objects scanned, 2,100 of at least 3,400 copied, 1.2 GB of at least 1.9 GB,"
    " 48.1 MB/s, 3 failed, at least 42s left"
)


def test_a_pipe_gets_a_line_a_phase_and_one_every_ten_seconds() -> None:
    assert lines_of(STORY) == [
        "checking, 0.1s so far",
        COPYING,
        COPYING,
        "reporting, 13s so far",
    ]


def test_after_listing_nothing_is_at_least() -> None:
    assert "at least" not in progress_line(progress(listing=False))
    assert progress_line(progress(listing=False, seconds_left=None)).endswith("3 failed")


def test_deleting_tells_of_deletes() -> None:
    tallies = {
        (Action.DELETE, TransferState.DONE): Tally(5, 0),
        (Action.DELETE, TransferState.WAITING): Tally(15, 0),
    }
    moment = progress(phase=Phase.DELETING, listing=False, totals=totals(tallies=tallies))
    assert progress_line(moment) == "deleting: 5 of 20 objects deleted, 0 failed, 42s left"
    assert drawn(moment)[0] == "Deleting  5 of 20 objects"


def test_a_terminal_shows_three_lines() -> None:
    assert drawn(progress(), [10, 40, 20]) == [
        "Copying while listing  " + "━" * 30 + "  63%",
        COUNTS,
        "  48.1 MB/s ▃█▅ · 410 objects/s · 13s so far · at least 42s left",
    ]


def test_a_narrow_terminal_cuts_and_never_wraps() -> None:
    shown = drawn(progress(), [10, 40, 20], width=40)
    assert len(shown) == 3
    assert all(len(line) <= 40 for line in shown)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_can_be_shown(phase: Phase) -> None:
    moment = progress(phase=phase)
    assert progress_line(moment).startswith(phase.value)
    assert len(drawn(moment)) == 3


def test_a_run_with_nothing_to_copy_has_no_fraction() -> None:
    empty = progress(totals=totals(scan=ScanCounts(), tallies={}, moved_bytes=0))
    assert Figures.of(empty).fraction is None
    assert "%" not in drawn(empty)[0]


def test_empty_objects_are_counted_by_number() -> None:
    counts = ScanCounts(scanned_source=10, new=10)
    tallies = {(Action.COPY, TransferState.DONE): Tally(5, 0)}
    moment = progress(totals=totals(scan=counts, tallies=tallies, moved_bytes=0))
    assert Figures.of(moment).fraction == 0.5


def test_parts_of_an_object_under_way_count_as_copied_bytes() -> None:
    counts = ScanCounts(scanned_source=1, new=1, copy_bytes=1_000)
    moment = progress(totals=totals(scan=counts, tallies={}, moved_bytes=0), part_bytes=400)
    figures = Figures.of(moment)
    assert (figures.copied, figures.copied_bytes, figures.fraction) == (0, 400, 0.4)


def test_bytes_moved_twice_do_not_exceed_the_whole() -> None:
    moment = progress(totals=totals(), part_bytes=10**12)
    assert Figures.of(moment).fraction == 1.0


def test_sparkline_scales_to_the_highest_rate() -> None:
    assert sparkline([0, 50, 100]) == "▁▅█"
    assert sparkline([0, 0]) == ""
    assert sparkline([]) == ""


def test_rates_are_taken_once_a_second() -> None:
    rates = Rates()
    for seconds in (0.0, 0.25, 0.5, 1.0, 1.9, 2.1):
        rates.add(progress(seconds=seconds, bytes_per_second=seconds))
    assert list(rates.values) == [0.0, 1.0, 2.1]


def test_a_terminal_is_live_and_left_clean() -> None:
    host = FakeHost(shows=STORY, says=["Resuming [red]run[/red]."])
    result = dth(*TRANSFER, host=host, terminal=True)
    assert "Copying" in result.err
    assert " while listing" in result.err
    assert "Resuming [red]run[/red]." in result.err
    assert result.err.count("\x1b[?25l") == result.err.count("\x1b[?25h") == 1  # the cursor
    assert result.out.startswith(f"Run {RUN} succeeded")


def test_a_terminal_is_left_clean_after_an_error() -> None:
    result = dth(*TRANSFER, host=FakeHost(shows=STORY, error=ValueError("x")), terminal=True)
    assert result.err.count("\x1b[?25l") == result.err.count("\x1b[?25h") == 1
    assert result.err.index("\x1b[?25h") < result.err.index("dth: ")


def test_quiet_shows_only_the_end() -> None:
    host = FakeHost(shows=STORY, says=["Resuming."])
    for terminal in (True, False):
        result = dth(*TRANSFER, "--quiet", host=host, terminal=terminal)
        assert result.err == ""
        assert result.out.startswith(f"Run {RUN} succeeded")


def test_debug_uses_lines_even_on_a_terminal() -> None:
    result = dth(*TRANSFER, "--debug", host=FakeHost(shows=STORY), terminal=True)
    assert "\x1b" not in result.err
    assert "copying: " in result.err


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    result = dth(*TRANSFER, host=FakeHost(shows=STORY), terminal=True)
    assert "\x1b" not in result.err
    assert "copying: " in result.err


def test_talk_cannot_move_the_cursor() -> None:
    result = dth(*TRANSFER, host=FakeHost(says=["a\x1b[2Jb"]), terminal=True)
    assert "a\\x1b[2Jb" in result.err


def test_another_run_is_a_line_of_its_own() -> None:
    other = replace(progress(), run=RunId("other"))
    assert len(lines_of([progress(), other])) == 2
