"""What a task may use."""

from typing import Any

import pytest

from transferhub.errors import InputError
from transferhub.model.limits import TaskLimits


@pytest.mark.parametrize(
    "limits",
    [
        TaskLimits(),
        TaskLimits(bandwidth=50_000_000),
        TaskLimits(bandwidth=1, requests=0.5, concurrency=10_000),
    ],
)
def test_limits_are_read_as_they_are_written(limits: TaskLimits) -> None:
    assert TaskLimits.from_json(limits.to_json()) == limits


def test_limits_may_be_written_with_their_units() -> None:
    given = {"bandwidth": "50MB/s", "requests": "500/s", "concurrency": "8"}
    expected = TaskLimits(bandwidth=50_000_000, requests=500.0, concurrency=8)
    assert TaskLimits.from_json(given) == expected


def test_what_is_left_empty_is_no_limit() -> None:
    assert TaskLimits.from_json({"bandwidth": None, "requests": ""}) == TaskLimits()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "limits"),
        ({"bandwith": 1}, "limits.bandwith"),
        ({"bandwidth": 0}, "limits.bandwidth"),
        ({"bandwidth": 1.5}, "limits.bandwidth"),
        ({"bandwidth": True}, "limits.bandwidth"),
        ({"bandwidth": "fast"}, "limits.bandwidth"),
        ({"bandwidth": "50"}, "limits.bandwidth"),
        ({"bandwidth": float("nan")}, "limits.bandwidth"),
        ({"requests": -1}, "limits.requests"),
        ({"requests": float("inf")}, "limits.requests"),
        ({"concurrency": 10_001}, "limits.concurrency"),
        ({"concurrency": "many"}, "limits.concurrency"),
    ],
)
def test_a_bad_limit_is_named(document: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        TaskLimits.from_json(document)
    assert caught.value.field == field
