"""When tasks run of whom nobody says when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from transferhub.errors import InputError
from transferhub.model.schedule import EPOCH, Every, Schedule

INTERVALS: Final[Mapping[str, timedelta]] = {"images": timedelta(days=1)}
"""By kind of task; the others run when a person or an event starts them."""


def usual_schedule(kind: str, now: datetime) -> Mapping[str, Any]:
    """Of a task that is created now, in whole seconds; {} for none.

    It counts from that moment, so that not all tasks of a hub start at midnight.
    """
    interval = INTERVALS.get(kind)
    if interval is None:
        return {}
    return Schedule(timing=Every(interval=interval, anchor=now.replace(microsecond=0))).to_json()


def is_usual(kind: str, schedule: Mapping[str, Any]) -> bool:
    """Whether a task of this kind would have it, created at some moment."""
    interval = INTERVALS.get(kind)
    if interval is None or not schedule:
        return interval is None and not schedule
    try:
        found = Schedule.from_json(schedule)
    except InputError:
        return False
    if not isinstance(found.timing, Every):
        return False
    at_epoch = replace(found, timing=replace(found.timing, anchor=EPOCH))
    return at_epoch == Schedule(timing=Every(interval=interval))
