import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.schedules import schedules
from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.model.schedule import (
    EPOCH,
    CatchUp,
    Cron,
    Every,
    Once,
    Overlap,
    Schedule,
    Window,
    WindowKind,
)

NIGHTLY = {"cron": "30 2 * * *"}
WINDOW = {"from": "22:00", "to": "06:00"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def faults_of(document: object) -> dict[str, str]:
    """Each field that is refused, and why."""
    with pytest.raises(InputError) as caught:
        Schedule.from_json(document)
    error = caught.value
    faults = error.faults if isinstance(error, InputErrors) else (error,)
    return {fault.field: fault.message.removeprefix(f"{fault.field}: ") for fault in faults}


@given(schedules())
def test_a_schedule_goes_through_json_whole(schedule: Schedule) -> None:
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


def test_everything_can_be_said_in_a_task_file() -> None:
    found = Schedule.from_json(
        {
            "cron": " 30  2 * * mon-fri ",
            "zone": "Europe/Berlin",
            "jitter": "10m",
            "overlap": "queue",
            "catch_up": "all",
            "most_caught_up": 3,
            "windows": [
                {"days": ["fri", "mon"], **WINDOW},
                {
                    "kind": "bandwidth",
                    "from": "00:00",
                    "to": "24:00",
                    "zone": "Asia/Shanghai",
                    "bandwidth": "50MB/s",
                },
            ],
        }
    )
    assert found == Schedule(
        timing=Cron(expression="30 2 * * mon-fri", zone="Europe/Berlin"),
        jitter=timedelta(minutes=10),
        overlap=Overlap.QUEUE,
        catch_up=CatchUp.ALL,
        most_caught_up=3,
        windows=(
            Window(
                kind=WindowKind.RUN,
                start=time(22),
                end=time(6),
                days=frozenset({0, 4}),
                zone="Europe/Berlin",
            ),
            Window(
                kind=WindowKind.BANDWIDTH,
                start=time(),
                end=time(),
                zone="Asia/Shanghai",
                bandwidth=50_000_000,
            ),
        ),
    )


def test_what_is_left_out_has_a_default() -> None:
    assert Schedule.from_json({"every": "6h"}) == Schedule(
        timing=Every(interval=timedelta(hours=6), anchor=EPOCH),
        jitter=timedelta(),
        overlap=Overlap.SKIP,
        catch_up=CatchUp.ONE,
    )


@pytest.mark.parametrize(
    ("zone", "written", "hour"),
    [
        ("UTC", "2026-12-01T02:00:00+01:00", 1),
        ("UTC", "2026-12-01T02:00", 2),
        ("America/New_York", "2026-12-01T02:00", 7),
        ("America/New_York", "2026-12-01T02:00Z", 2),
    ],
)
def test_a_time_without_an_offset_is_meant_in_the_zone(zone: str, written: str, hour: int) -> None:
    found = Schedule.from_json({"once": written, "zone": zone})
    assert found.timing == Once(at=datetime(2026, 12, 1, hour, tzinfo=UTC))


@pytest.mark.parametrize(
    ("document", "field", "sentence"),
    [
        (None, "schedule", "no object with once, every, cron"),
        (["cron"], "schedule", "no object"),
        ({}, "schedule", "exactly one of once, every and cron"),
        ({"every": "1h", **NIGHTLY}, "schedule", "exactly one"),
        ({"crom": "* * * * *", **NIGHTLY}, "schedule.crom", "did you mean cron"),
        ({"cron": "30 2 * *"}, "schedule.cron", "five fields"),
        ({"cron": "0 30 2 * * *"}, "schedule.cron", "five fields"),
        ({"cron": "@daily"}, "schedule.cron", 'such as "30 2'),
        ({"cron": 5}, "schedule.cron", "five fields"),
        ({"cron": f"{'1,' * 150}1 * * * *"}, "schedule.cron", "five fields"),
        ({"cron": "61 * * * *"}, "schedule.cron", "the minute of '61"),
        ({"cron": "* 24 * * *"}, "schedule.cron", "the hour of"),
        ({"cron": "* * * 13 *"}, "schedule.cron", "the month of"),
        ({"cron": "* * * * mox"}, "schedule.cron", "the day-of-week of"),
        ({"cron": "0 0 30 2 *"}, "schedule.cron", "the day-of-month of"),
        ({"zone": "Europe/Berln", **NIGHTLY}, "schedule.zone", "did you mean Europe/Berlin"),
        ({"zone": "../etc/passwd", **NIGHTLY}, "schedule.zone", "no time zone"),
        ({"zone": "Europe", **NIGHTLY}, "schedule.zone", "no time zone"),
        ({"zone": "", **NIGHTLY}, "schedule.zone", "such as Europe/Berlin"),
        ({"zone": 1, **NIGHTLY}, "schedule.zone", "such as Europe/Berlin"),
        ({"once": "tomorrow"}, "schedule.once", "no time"),
        ({"once": 5}, "schedule.once", "no time"),
        ({"once": "0001-01-01T00:00+14:00"}, "schedule.once", "between 1970 and"),
        ({"once": "9999-12-31T23:59-14:00"}, "schedule.once", "between 1970 and"),
        ({"every": "5s"}, "schedule.every", "10 seconds"),
        ({"every": "20000d"}, "schedule.every", "ten years"),
        ({"every": 60}, "schedule.every", 'such as "90s"'),
        ({"every": "soon"}, "schedule.every", "no duration"),
        ({"every": "1h", "anchor": "x"}, "schedule.anchor", "no time"),
        ({"anchor": "2026-01-01", **NIGHTLY}, "schedule.anchor", "belongs to every"),
        ({"jitter": "25h", **NIGHTLY}, "schedule.jitter", "more than a day"),
        ({"overlap": "wait", **NIGHTLY}, "schedule.overlap", "skip, queue and cancel"),
        ({"catch_up": True, **NIGHTLY}, "schedule.catch_up", "none, one and all"),
        ({"catch_up": "all", **NIGHTLY}, "schedule.catch_up", "needs overlap: queue"),
        ({"most_caught_up": 0, **NIGHTLY}, "schedule.most_caught_up", "from 1 to 100"),
        ({"most_caught_up": True, **NIGHTLY}, "schedule.most_caught_up", "from 1 to 100"),
        ({"windows": {}, **NIGHTLY}, "schedule.windows", "a list"),
        ({"windows": [WINDOW] * 21, **NIGHTLY}, "schedule.windows", "at most 20"),
        ({"windows": [WINDOW, 5], **NIGHTLY}, "schedule.windows.1", "no object with kind"),
    ],
)
def test_what_is_wrong_is_named(document: object, field: str, sentence: str) -> None:
    faults = faults_of(document)
    assert list(faults) == [field]
    assert sentence in faults[field]


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"from": 1320}, "from", "in quotes"),
        ({"to": "25:00"}, "to", "no time of day"),
        ({"from": "24:01"}, "from", "no time of day"),
        ({"days": []}, "days", "some of mon, tue"),
        ({"days": ["monday"]}, "days", "some of mon, tue"),
        ({"days": "mon"}, "days", "some of mon, tue"),
        ({"days": [["mon"]]}, "days", "some of mon, tue"),
        ({"zone": "Mars"}, "zone", "no time zone"),
        ({"kind": "stop"}, "kind", "run and bandwidth"),
        ({"until": "06:00"}, "until", "no such field"),
        ({"bandwidth": 5}, "bandwidth", "kind: bandwidth"),
        ({"kind": "bandwidth"}, "bandwidth", "is missing"),
        ({"kind": "bandwidth", "bandwidth": 0}, "bandwidth", "null for no limit"),
        ({"kind": "bandwidth", "bandwidth": True}, "bandwidth", "null for no limit"),
        ({"kind": "bandwidth", "bandwidth": "50Mb/s"}, "bandwidth", "bits"),
    ],
)
def test_what_is_wrong_in_a_window_is_named(
    change: dict[str, Any], field: str, sentence: str
) -> None:
    faults = faults_of({**NIGHTLY, "windows": [{**WINDOW, **change}]})
    assert list(faults) == [f"schedule.windows.0.{field}"]
    assert sentence in faults[f"schedule.windows.0.{field}"]


def test_a_window_without_times_is_refused() -> None:
    assert faults_of({**NIGHTLY, "windows": [{}]}) == {
        "schedule.windows.0.from": "is missing",
        "schedule.windows.0.to": "is missing",
    }


def test_all_that_is_wrong_is_told_at_once() -> None:
    faults = faults_of(
        {
            "cron": "x",
            "zone": "x",
            "jitter": 1,
            "overlap": "x",
            "windows": [{"from": "x", "to": "x"}, {**WINDOW, "days": [0]}],
            "extra": 1,
        }
    )
    assert set(faults) == {
        *(f"schedule.{name}" for name in ("cron", "zone", "jitter", "overlap", "extra")),
        *(f"schedule.windows.{name}" for name in ("0.from", "0.to", "1.days")),
    }


def refused(document: dict[str, Any]) -> str:
    """The field that is refused; "" where the document is read, and comes back as it was."""
    try:
        found = Schedule.from_json(document)
    except InputError as error:
        return error.field
    assert Schedule.from_json(found.to_json()) == found
    return ""


@given(JSON, st.sampled_from(list(Schedule.from_json({**NIGHTLY, "windows": [WINDOW]}).to_json())))
def test_any_value_of_any_field_is_read_or_refused(value: object, name: str) -> None:
    field = refused({**NIGHTLY, name: value})
    assert not field or field.startswith(f"schedule.{name}")


@given(st.text("0123456789*/,-#LW" + "monjan ", max_size=12).map("{} 0 1 1 *".format))
def test_any_expression_is_read_or_refused(expression: str) -> None:
    assert refused({"cron": expression}) in {"", "schedule.cron"}


def test_only_an_expression_without_leading_stars_is_at_fixed_times() -> None:
    fixed = {"30 2 * * *": True, "0-30/5 2 * * *": True, "*/5 2 * * *": False, "0 */2 * * *": False}
    assert {text: Cron(expression=text).at_fixed_times for text in fixed} == fixed
