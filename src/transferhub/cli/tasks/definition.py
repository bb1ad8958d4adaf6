"""What people say of a task, as a file says it: what is left at its default is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from transferhub.cli.tasks.kinds import KINDS
from transferhub.control.tasks import TaskDraft, faults_of_words
from transferhub.control.usual import INTERVALS, is_usual
from transferhub.errors import InputError
from transferhub.model.faults import flatten, raise_faults, suggest
from transferhub.model.limits import TaskLimits
from transferhub.model.run import Task
from transferhub.model.schedule import DAYS, EPOCH, Schedule

Definition = Mapping[str, Any]
"""JSON values, by the fields of a TaskDraft."""

_SPANS = {"d": 86_400, "h": 3_600, "m": 60}
_POWERS = {"GB": 10**9, "MB": 10**6, "KB": 10**3}
_SCHEDULE_DEFAULTS = {
    "anchor": EPOCH.isoformat(),
    "zone": "UTC",
    "jitter": "0s",
    "overlap": "skip",
    "catch_up": "one",
    "most_caught_up": 10,
    "windows": [],
}


def checked(draft: TaskDraft) -> TaskDraft:
    """The draft with its values as a task keeps them.

    Raises:
        InputError: what is wrong; InputErrors, naming each field, where it is more than one thing.
    """
    faults = list(faults_of_words(draft))
    spec: Mapping[str, Any] = {}
    schedule: Mapping[str, Any] | None = None if draft.kind in INTERVALS else {}
    limits: Mapping[str, Any] = {}
    try:
        spec = _spec(draft)
    except InputError as error:
        faults.append(error)
    try:
        if draft.schedule is not None:
            schedule = Schedule.from_json(draft.schedule).to_json() if draft.schedule else {}
    except InputError as error:
        faults.append(error)
    try:
        limits = TaskLimits.from_json(draft.limits).to_json()
    except InputError as error:
        faults.append(error)
    raise_faults(faults)
    return TaskDraft(
        name=draft.name.strip(),
        kind=draft.kind,
        spec=spec,
        description=draft.description.strip(),
        tags=tuple(dict.fromkeys(draft.tags)),
        schedule=schedule,
        limits=limits,
    )


def _spec(draft: TaskDraft) -> Mapping[str, Any]:
    kind = KINDS.get(draft.kind)
    if kind is None:
        hint = suggest(draft.kind, KINDS) or f"; there is {' and '.join(KINDS)}"
        raise InputError("kind", f"{draft.kind!r} is no kind of task{hint}")
    try:
        return kind.parse(draft.spec).to_json()
    except InputError as error:
        raise_faults(
            InputError(f"spec.{one.field}", one.message.removeprefix(f"{one.field}: "))
            for one in flatten([error])
        )
        raise


def definition(of: Task | TaskDraft) -> Definition:
    """Of a task as it is kept; the schedule is left out where it is what is usual of the kind."""
    fields: Mapping[str, Any] = {
        "kind": of.kind,
        "name": of.name,
        "description": of.description,
        "tags": list(of.tags),
    }
    told: dict[str, Any] = {name: value for name, value in fields.items() if value}
    if of.schedule is not None and not is_usual(of.kind, of.schedule):
        told["schedule"] = _schedule(of.schedule)
    if limits := _limits(of.limits):
        told["limits"] = limits
    return {**told, "spec": KINDS[of.kind].written(of.spec)}


# Schedules and limits


def _schedule(schedule: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        name: value
        for name, value in schedule.items()
        if _SCHEDULE_DEFAULTS.get(name, ...) != value
    }
    for name in ("every", "jitter"):
        if name in fields:
            fields[name] = _duration(fields[name])
    if "windows" in fields:
        zone = schedule.get("zone", "UTC")
        fields["windows"] = [_window(window, zone) for window in fields["windows"]]
    return fields


def _window(window: Mapping[str, Any], zone: str) -> dict[str, Any]:
    defaults = {"kind": "run", "days": list(DAYS), "zone": zone}
    fields = {name: value for name, value in window.items() if defaults.get(name, ...) != value}
    if fields.get("bandwidth") is not None:
        fields["bandwidth"] = _bandwidth(fields["bandwidth"])
    return fields


def _limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(limits)
    if "bandwidth" in fields:
        fields["bandwidth"] = _bandwidth(fields["bandwidth"])
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in fields.items()
    }


def _duration(seconds: str) -> str:
    """In days, hours, minutes and seconds, where it is whole seconds."""
    number = seconds.removesuffix("s")
    if not number.isdecimal():
        return seconds
    left, parts = int(number), []
    for unit, size in _SPANS.items():
        count, left = divmod(left, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join([*parts, f"{left}s"] if left or not parts else parts)


def _bandwidth(rate: int) -> int | str:
    unit = next((unit for unit, size in _POWERS.items() if rate % size == 0), None)
    return f"{rate // _POWERS[unit]}{unit}/s" if unit else rate


# Differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A field that differs; None where there is none."""

    field: str
    before: Any
    after: Any


def changes(before: Definition, after: Definition) -> list[Change]:
    """From one definition to another, by path."""
    was, now = dict(_leaves(before)), dict(_leaves(after))
    return [
        Change(field=path, before=was.get(path), after=now.get(path))
        for path in dict.fromkeys([*was, *now])
        if was.get(path) != now.get(path)
    ]


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", inner
