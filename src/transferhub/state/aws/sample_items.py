"""Samples as items hold them: those of a run and a window of time in one, an attribute each."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import When
from transferhub.model.history import AS_TAKEN, STEPS, THINNINGS, Sample
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.aws.shelf import name_key
from transferhub.state.sampling import Kept, floor
from transferhub.state.values import from_micros, to_micros

_WINDOWS = (*(thinning.coarse for thinning in THINNINGS), timedelta(hours=2))
"""How long the window of an item is, for each of STEPS: so long that all of it is thinned into one.
All divide a day."""

HOUR = timedelta(hours=1)
HOURS = "sample-hours#"
"""The partition of runs by the hours of which they have items."""

_HOUR = HOUR // timedelta(microseconds=1)
_DAY = 24 * _HOUR
_MARK = "s"
"""What the names of attributes that are samples begin with; microseconds since 1970 follow."""


def window_of(step: timedelta, at: datetime) -> datetime:
    """The start of the window of the item that a sample of this moment is in."""
    return floor(at, _WINDOWS[STEPS.index(step)])


def item_key(run: RunId, step: timedelta, at: datetime) -> Item:
    """Of the item that a sample of this moment is in."""
    return {"pk": _partition(run), "sk": _place(step, window_of(step, at))}


def items_between(run: RunId, step: timedelta, since: datetime, until: datetime) -> When:
    """Items that may have samples from `since` to `until`."""
    start = item_key(run, step, since)
    return When(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": start["pk"], ":first": start["sk"], ":last": _place(step, until)},
    )


def items_of(run: RunId, step: timedelta) -> When:
    return When(
        "pk = :pk AND begins_with(sk, :step)",
        {":pk": _partition(run), ":step": f"{STEPS.index(step)}#"},
    )


def hour_key(run: RunId, step: timedelta, at: datetime) -> Item:
    """Of what tells that a run has such items of the hour."""
    return {"pk": HOURS, "sk": f"{_hour_place(step, window_of(step, at))}{name_key(run)}"}


def hours_until(step: timedelta, until: datetime) -> When:
    """Of the hours with items of this step that began before then."""
    return When(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {
            ":pk": HOURS,
            ":first": f"{STEPS.index(step)}#",
            ":last": f"{_hour_place(step, until)}~",
        },
    )


def hour_of(entry: Item) -> datetime:
    """The hour that an item of `hour_key` is of."""
    return from_micros(int(entry["sk"].split("#")[1]) * _HOUR)


def day_key(task: TaskId, run: RunId, at: datetime) -> Item:
    """Of what tells that a run of the task has samples of the day."""
    return {"pk": _task_partition(task), "sk": f"{_day(at)}{name_key(run)}"}


def days_between(task: TaskId, since: datetime, until: datetime) -> When:
    return When(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": _task_partition(task), ":first": _day(since), ":last": f"{_day(until)}~"},
    )


def attribute(at: datetime) -> str:
    """The name of the attribute that is the sample of this moment."""
    return f"{_MARK}{to_micros(at)}"


def samples_of(item: Item) -> list[Kept]:
    """In their order."""
    names = sorted(name for name in item if name[:1] == _MARK and name[1:].isdigit())
    return [_from_text(item, name) for name in names]


def to_text(kept: Kept) -> str:
    sample = kept.sample
    values = [
        sample.phase,
        int(sample.listing),
        sample.bytes,
        sample.objects,
        sample.failures,
        sample.deleted,
        sample.open,
        sample.workers,
        sample.bytes_per_second,
        sample.objects_per_second,
        sample.seconds_left,
    ]
    if kept.step != AS_TAKEN:
        values += [kept.peak_bytes_per_second, kept.peak_objects_per_second, kept.weight]
    return json.dumps(values, separators=(",", ":"))


def _from_text(item: Item, name: str) -> Kept:
    phase, listing, *counts = json.loads(item[name])
    size, objects, failures, deleted, waiting, workers, *rates = counts
    bytes_rate, objects_rate, seconds_left, *thinned = rates
    bytes_peak, objects_peak, weight = thinned or (bytes_rate, objects_rate, 1)
    return Kept(
        run=RunId(item["run"]),
        task=TaskId(item["task"]),
        sample=Sample(
            at=from_micros(int(name[1:])),
            phase=phase,
            listing=bool(listing),
            bytes=size,
            objects=objects,
            failures=failures,
            deleted=deleted,
            open=waiting,
            workers=workers,
            bytes_per_second=bytes_rate,
            objects_per_second=objects_rate,
            seconds_left=seconds_left,
        ),
        peak_bytes_per_second=bytes_peak,
        peak_objects_per_second=objects_peak,
        step=STEPS[int(item["sk"].split("#")[0])],
        weight=weight,
    )


def _partition(run: RunId) -> str:
    return f"sample{name_key(run)}"


def _task_partition(task: TaskId) -> str:
    return f"sample-days{name_key(task)}"


def _place(step: timedelta, at: datetime) -> str:
    return f"{STEPS.index(step)}#{to_micros(at):020}"


def _hour_place(step: timedelta, at: datetime) -> str:
    return f"{STEPS.index(step)}#{to_micros(at) // _HOUR:012}"


def _day(at: datetime) -> str:
    return f"{to_micros(at) // _DAY:06}"
