from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.schedules import DATES, HOURS, MINUTES, ZONES, moments, schedules
from transferhub.control.schedule import due, next_runs, window_now
from transferhub.model.schedule import Cron, Every, Once, Schedule, Window, WindowKind

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = "20260102-030405-4f1a"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cron(expression: str, zone: str) -> Schedule:
    return Schedule(timing=Cron(expression=expression, zone=zone))


def local(runs: Iterable[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M%z}" for moment in runs]


def between(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """All runs after `start` and not after `end`."""
    count = 64
    while True:
        found = next_runs(schedule, start, count, key=KEY)
        if len(found) < count or found[-1] > end:
            return [moment for moment in found if moment <= end]
        count *= 4


# Clocks that change: what Debian's cron documents


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # An hour that is skipped: a job at a fixed time runs at once after it.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["03-29 03:00+0200", "03-30 02:30+0200"],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00",
            ["03-08 03:00-0400", "03-09 02:30-0400"],
        ),
        # Half an hour that is skipped.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00",
            ["10-04 02:30+1100", "10-05 02:15+1100"],
        ),
        # Several that are skipped together are one run.
        (
            "0,30 2,3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["03-29 03:00+0200", "03-29 03:30+0200", "03-30 02:00+0200"],
        ),
        # An hour that comes twice: a job at a fixed time runs in the first.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["10-25 02:30+0200", "10-26 02:30+0100"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00",
            ["11-01 01:30-0400", "11-02 01:30-0500"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00",
            ["04-05 01:45+1100", "04-06 01:45+1030"],
        ),
        # A job with a star follows the clock: not in an hour that is skipped, in both that repeat.
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:15",
            ["03-29 01:30+0100", "03-29 03:00+0200", "03-29 03:30+0200"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["03-30 02:00+0200", "03-30 02:30+0200"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T00:10",
            ["10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-26 02:00+0100"],
        ),
        (
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:40",
            ["04-05 01:45+1100", "04-05 01:30+1030", "04-05 01:45+1030", "04-06 01:00+1030"],
        ),
        (
            "0 */2 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00",
            ["04-05 00:00+1100", "04-05 02:00+1030", "04-05 04:00+1030"],
        ),
        # A change long before the next match is not passed over.
        (
            "*/30 2 25 10 *",
            "Europe/Berlin",
            "2026-10-25T00:40",
            ["10-25 02:00+0100", "10-25 02:30+0100", "10-25 02:00+0200"],
        ),
        # Shanghai's clocks stay.
        (
            "30 2 * * *",
            "Asia/Shanghai",
            "2026-03-28T12:00",
            ["03-29 02:30+0800", "03-30 02:30+0800"],
        ),
    ],
)
def test_cron_where_clocks_change(
    expression: str, zone: str, after: str, expected: list[str]
) -> None:
    runs = next_runs(cron(expression, zone), at(after), len(expected))
    assert local(runs, zone) == expected


def numbers(field: str, least: int, most: int) -> set[int]:
    """What a field of the tests' expressions means, read in another way than cronsim's."""
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.replace("*", f"{least}-{most}").partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def matches_date(dates: str, day: date) -> bool:
    match dates:
        case "* * *":
            return True
        case "*/10 * *":
            return day.day in {1, 11, 21, 31}
        case "29 3,10 *":
            return day.day == 29 and day.month in {3, 10}
        case "L * *":
            return (day + DAY).day == 1
        case "* * sun":
            return day.weekday() == 6
        case "* 3-4,10-11 *":
            return day.month in {3, 4, 10, 11}
        case _:
            assert dates == "1 * mon-fri"
            return day.day == 1 or day.weekday() < 5


@given(st.sampled_from(MINUTES), st.sampled_from(HOURS), st.sampled_from(DATES),
       st.sampled_from(ZONES), moments())  # fmt: skip
def test_cron_agrees_with_a_walk_through_every_minute(
    minutes: str, hours: str, dates: str, name: str, after: datetime
) -> None:
    zone, end = ZoneInfo(name), after + 2 * DAY

    def matches(wall: datetime) -> bool:
        return (
            wall.minute in numbers(minutes, 0, 59)
            and wall.hour in numbers(hours, 0, 23)
            and matches_date(dates, wall.date())
        )

    first = after.replace(second=0, microsecond=0)
    expected = set()
    if "*" in (minutes[0], hours[0]):
        for number in range(2 * 24 * 60 + 2):
            moment = first + number * MINUTE
            if matches(moment.astimezone(zone)):
                expected.add(moment)
    else:
        real = {moment.astimezone(zone).replace(tzinfo=None): moment for moment in
                reversed([first + n * MINUTE for n in range(-26 * 60, 50 * 60)])}  # fmt: skip
        wall = first.astimezone(zone).replace(tzinfo=None) - DAY
        for _ in range(3 * 24 * 60 + 120):
            if matches(wall):
                shown = wall
                while shown not in real and shown < max(real):
                    shown += MINUTE
                expected.add(real.get(shown, end + DAY))
            wall += MINUTE
    assert between(cron(f"{minutes} {hours} {dates}", name), after, end) == sorted(
        moment for moment in expected if after < moment <= end
    )


# Every and once


def test_every_counts_from_its_anchor_and_not_before() -> None:
    schedule = Schedule(timing=Every(interval=90 * MINUTE, anchor=at("2026-01-01T00:10")))
    assert next_runs(schedule, at("2020-01-01"), 2) == [
        at("2026-01-01T00:10"),
        at("2026-01-01T01:40"),
    ]
    assert next_runs(schedule, at("2026-01-01T01:40"), 1) == [at("2026-01-01T03:10")]


def test_a_day_of_every_is_24_hours_whatever_clocks_do() -> None:
    schedule = Schedule(timing=Every(interval=DAY, anchor=at("2026-03-28T01:30")))
    assert local(next_runs(schedule, at("2026-03-28T00:00"), 2), "Europe/Berlin") == [
        "03-28 02:30+0100",
        "03-29 03:30+0200",
    ]


def test_once_comes_once() -> None:
    schedule = Schedule(timing=Once(at=at("2026-01-01")))
    assert next_runs(schedule, at("2025-01-01"), 5) == [at("2026-01-01")]
    assert next_runs(schedule, at("2026-01-01"), 5) == []


# Any schedule


@given(schedules(), moments())
def test_runs_increase_and_come_in_the_windows(schedule: Schedule, after: datetime) -> None:
    runs = next_runs(schedule, after, 20, key=KEY)
    assert all(one < other for one, other in pairwise([after, *runs]))
    assert all(window_now(schedule, moment).may_run for moment in runs)


@given(
    schedules(), moments(), st.lists(st.integers(0, 999), max_size=6), st.integers(1, 4 * 86_400)
)
def test_however_time_is_split_no_run_is_lost_or_doubled(
    schedule: Schedule, start: datetime, cuts: list[int], seconds: int
) -> None:
    length = timedelta(seconds=min(seconds, 6 * 3600)) if isinstance(
        schedule.timing, Every) else timedelta(seconds=seconds)  # fmt: skip
    whole = between(schedule, start, start + length)
    # Runs themselves are the hardest places to cut at.
    edges = sorted(
        {start, *(start + cut * length // 1_000 for cut in cuts), *whole[:3], start + length}
    )
    parts = [between(schedule, one, other) for one, other in pairwise(edges)]
    assert [moment for part in parts for moment in part] == whole


@given(schedules(), moments(), st.integers(0, 86_400), st.integers(1, 5))
def test_what_is_due_is_the_end_of_what_was_to_come(
    schedule: Schedule, since: datetime, seconds: int, limit: int
) -> None:
    now = since + timedelta(seconds=seconds)
    everything = between(schedule, since - timedelta(microseconds=1), now)
    assert due(schedule, since, now, key=KEY, limit=limit) == everything[-limit:]


def test_what_a_year_of_minutes_left_due_is_found_from_its_end() -> None:
    found = due(
        cron("* * * * *", "Europe/Berlin"), at("2025-01-01"), at("2026-01-01T00:00"), limit=2
    )
    assert found == [at("2025-12-31T23:59"), at("2026-01-01T00:00")]


# Jitter


@given(st.integers(1, 7_200), moments(), st.text(max_size=5))
def test_jitter_moves_a_run_by_less_than_itself_and_not_to_the_next(
    seconds: int, start: datetime, key: str
) -> None:
    plain = Every(interval=HOUR, anchor=start)
    jitter = timedelta(seconds=seconds)
    moved = next_runs(Schedule(timing=plain, jitter=jitter), start - DAY, 10, key=key)
    for number, run in enumerate(moved):
        occurrence = start + number * HOUR
        assert occurrence <= run < occurrence + min(jitter, HOUR)
        just_before = run - timedelta(microseconds=1)
        assert next_runs(Schedule(timing=plain, jitter=jitter), just_before, 1, key=key) == [run]


def test_runs_that_are_skipped_together_are_one_with_jitter_too() -> None:
    timing = Cron(expression="0,20,40 2 * * *", zone="Europe/Berlin")
    for key in map(str, range(20)):
        runs = next_runs(Schedule(timing=timing, jitter=HOUR), at("2026-03-28T12:00"), 2, key=key)
        assert [run.astimezone(ZoneInfo("Europe/Berlin")).day for run in runs] == [29, 30]


def test_jitter_is_the_same_whenever_it_is_asked_for_and_spreads_tasks() -> None:
    schedule = Schedule(timing=Every(interval=HOUR), jitter=10 * MINUTE)
    after = at("2026-01-01T00:30")
    firsts = {next_runs(schedule, after, 1, key=f"task-{n}")[0] for n in range(200)}
    assert len(firsts) > 150
    assert {f.minute for f in firsts} == set(range(10))
    later = next_runs(schedule, after, 3, key="task-1")[1:]
    assert next_runs(schedule, after + HOUR, 2, key="task-1") == later


# Windows

NIGHT = Window(kind=WindowKind.RUN, start=time(22), end=time(6), zone="Europe/Berlin")
WEEKEND = Window(
    kind=WindowKind.RUN,
    start=time(),
    end=time(),
    days=frozenset({5, 6}),
    zone="Europe/Berlin",
)


def test_runs_of_a_closed_time_wait_for_the_window_as_one() -> None:
    schedule = Schedule(
        timing=Cron(expression="0 */4 * * *", zone="Europe/Berlin"), windows=(NIGHT,)
    )
    assert local(next_runs(schedule, at("2026-06-01T00:00"), 5), "Europe/Berlin") == [
        "06-01 04:00+0200",
        "06-01 22:00+0200",
        "06-02 00:00+0200",
        "06-02 04:00+0200",
        "06-02 22:00+0200",
    ]
    waiting = next_runs(schedule, at("2026-06-01T19:59"), 1)
    assert local(waiting, "Europe/Berlin") == ["06-01 22:00+0200"]


def test_nothing_that_came_while_open_is_run_again_at_the_next_opening() -> None:
    schedule = Schedule(timing=Cron(expression="0 5 * * *", zone="Europe/Berlin"), windows=(NIGHT,))
    runs = next_runs(schedule, at("2026-06-01T12:00"), 2)
    assert local(runs, "Europe/Berlin") == ["06-02 05:00+0200", "06-03 05:00+0200"]


@pytest.mark.parametrize(
    ("now", "open_", "change"),
    [
        ("2026-06-01T19:59", False, "06-01 22:00+0200"),
        ("2026-06-01T20:00", True, "06-02 06:00+0200"),
        ("2026-06-01T23:00", True, "06-02 06:00+0200"),
        ("2026-06-02T04:00", False, "06-02 22:00+0200"),
        # The night of a change is shorter or longer.
        ("2026-03-29T03:59", True, "03-29 06:00+0200"),
        ("2026-10-25T04:59", True, "10-25 06:00+0100"),
    ],
)
def test_a_window_over_midnight(now: str, open_: bool, change: str) -> None:
    found = window_now(Schedule(timing=Every(interval=HOUR), windows=(NIGHT,)), at(now))
    assert found.may_run is open_
    assert found.changes_at is not None
    assert local([found.changes_at], "Europe/Berlin") == [change]


def test_windows_that_touch_are_one() -> None:
    schedule = Schedule(timing=Every(interval=HOUR), windows=(WEEKEND,))
    friday, saturday = at("2026-06-05T12:00"), at("2026-06-06T12:00")
    opening, closing = (window_now(schedule, moment).changes_at for moment in (friday, saturday))
    assert opening == at("2026-06-05T22:00")
    assert closing == at("2026-06-07T22:00")


def test_a_window_that_is_always_open_never_changes() -> None:
    always = Window(kind=WindowKind.RUN, start=time(3), end=time(3), zone="Australia/Lord_Howe")
    found = window_now(Schedule(timing=Every(interval=HOUR), windows=(always,)), at("2026-10-01"))
    assert (found.may_run, found.changes_at) == (True, None)
    assert window_now(Schedule(timing=Every(interval=HOUR)), at("2026-10-01")) == found


@pytest.mark.parametrize("rate", [None, 5_000])
def test_another_bandwidth_holds_in_its_window(rate: int | None) -> None:
    wide = Window(
        kind=WindowKind.BANDWIDTH,
        start=time(23),
        end=time(5),
        days=frozenset({4}),
        zone="Europe/Berlin",
        bandwidth=rate,
    )
    schedule = Schedule(timing=Every(interval=HOUR), windows=(wide,))
    before, inside = (window_now(schedule, at(f"2026-06-05T{hour}:00")) for hour in (20, 21))
    assert (before.may_run, before.limit(100), before.limit(None)) == (True, 100, None)
    assert before.changes_at == at("2026-06-05T21:00")
    assert (inside.may_run, inside.limit(100)) == (True, rate)
    assert inside.changes_at == at("2026-06-06T03:00")


def test_of_bandwidths_that_overlap_the_first_holds() -> None:
    first, second = (
        Window(kind=WindowKind.BANDWIDTH, start=time(start), end=time(12), bandwidth=start)
        for start in (6, 4)
    )
    schedule = Schedule(timing=Every(interval=HOUR), windows=(first, second))
    limits = [window_now(schedule, at(f"2026-06-05T{hour:02}:30")).limit(1) for hour in range(13)]
    assert limits == [1] * 4 + [4] * 2 + [6] * 6 + [1]
    assert window_now(schedule, at("2026-06-05T04:30")).changes_at == at("2026-06-05T06:00")


@given(schedules(), moments())
def test_a_window_changes_when_it_says_and_not_before(schedule: Schedule, now: datetime) -> None:
    found = window_now(schedule, now)
    end = found.changes_at or now + 14 * DAY
    before = [now + share * (end - now) // 7 for share in range(7)]
    for moment in [*before, end - timedelta(microseconds=1)]:
        at_moment = window_now(schedule, moment)
        assert (at_moment.may_run, at_moment.bandwidth) == (found.may_run, found.bandwidth)
    if found.changes_at is not None:
        after = window_now(schedule, found.changes_at)
        assert (after.may_run, after.bandwidth) != (found.may_run, found.bandwidth)


def test_a_window_in_an_hour_that_is_skipped_does_not_open_that_day() -> None:
    skipped = Window(
        kind=WindowKind.RUN, start=time(2), end=time(2, 30), zone="Europe/Berlin",
        days=frozenset({6}),
    )  # fmt: skip
    found = window_now(
        Schedule(timing=Every(interval=HOUR), windows=(skipped,)), at("2026-03-28T12:00")
    )
    assert found.changes_at is not None
    assert local([found.changes_at], "Europe/Berlin") == ["04-05 02:00+0200"]
