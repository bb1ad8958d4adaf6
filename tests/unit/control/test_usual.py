from datetime import UTC, datetime, timedelta

import pytest

from transferhub.control.schedule import next_runs
from transferhub.control.usual import is_usual, usual_schedule
from transferhub.model.schedule import Every, Schedule

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
DAY = timedelta(days=1)


def test_images_are_looked_at_each_day_at_the_time_of_their_task() -> None:
    schedule = Schedule.from_json(usual_schedule("images", NOW))
    first = NOW.replace(microsecond=0) + DAY
    assert next_runs(schedule, NOW, 2) == [first, first + DAY]
    assert schedule.jitter == timedelta()


def test_objects_are_moved_when_somebody_says_so() -> None:
    assert usual_schedule("objects", NOW) == {}
    assert is_usual("objects", {})
    assert not is_usual("objects", usual_schedule("images", NOW))


def test_what_is_usual_is_so_since_whenever() -> None:
    for at in (NOW, NOW - 400 * DAY):
        assert is_usual("images", usual_schedule("images", at))


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"cron": "0 3 * * *"},
        {"once": "2026-01-02T03:04:05+00:00"},
        {"every": "12h"},
        {"every": "24h", "jitter": "5m"},
        {"every": "24h", "overlap": "queue"},
        {"every": "never"},
    ],
)
def test_what_somebody_chose_is_not_usual(schedule: dict[str, str]) -> None:
    assert not is_usual("images", schedule)


def test_what_somebody_wrote_out_is_usual() -> None:
    assert is_usual("images", {"every": "24h", "anchor": "2026-01-02T03:04:05+00:00"})
    assert is_usual("images", Schedule(timing=Every(interval=DAY)).to_json())
