"""Answers about where tasks would read and write, before they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any

from transferhub.api.reading import (
    Arguments,
    Json,
    as_fields,
    camel,
    given,
    member_of,
    renamed,
    told,
    whole,
)
from transferhub.api.specs import FORMS, SPEC
from transferhub.control.hub import Hub
from transferhub.control.places import ConnectionTest, Side
from transferhub.errors import GuardError, InputError
from transferhub.model.people import Caller
from transferhub.model.run import TaskId
from transferhub.plugins.images.plan import Plan, RowKind
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.objects.estimate import Preview

_OBJECTS, _IMAGES = FORMS["objects"], FORMS["images"]
_FIRST_ROWS = 100
_SECONDS = 20
_MOST_SECONDS = 60
_NOT_OF_THE_SPEC = frozenset({"task", "spec", "images", "objects", "size", "seconds"})


async def test_connection(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    location, registry = arguments.get("location"), arguments.get("registry")
    side = member_of(Side, arguments["side"])
    if (location is None) == (registry is None):
        raise InputError("location", "give a location or a registry, and not both")
    form, given, argument = (
        (_OBJECTS, location, "location") if registry is None else (_IMAGES, registry, "registry")
    )

    def name(field: str) -> str:
        inner = form.field(field, {side.value: given}).removeprefix(side.value)
        return f"{argument}{inner}"

    with _naming(name):
        if registry is None:
            values = as_fields(location or {})
            return _told_test(await hub.places.test_connection(caller, values, side))
        values = as_fields(registry)
        return _told_test(await hub.places.test_registry(caller, values, side))


async def preview(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    task, spec = _task_or_spec(arguments, "spec")
    within = _within(arguments)
    with _naming(_of_the_spec):
        if spec is None:
            found = await hub.places.preview_task(caller, task, within=within)
        else:
            found = await hub.places.preview(caller, _OBJECTS.values(spec), within=within)
    return _told_preview(found.preview, complete=found.complete)


async def preview_images(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    task, spec = _task_or_spec(arguments, "images")
    within = _within(arguments)
    with _naming(_of_the_spec):
        if spec is None:
            plan, parsed = await hub.places.plan_task(caller, task, within=within)
        else:
            plan, parsed = await hub.places.plan(caller, _IMAGES.values(spec), within=within)
    return _told_plan(plan, parsed)


def _task_or_spec(arguments: Arguments, name: str) -> tuple[TaskId, Json | None]:
    task, spec = arguments.get("task"), arguments.get(name)
    if (task is None) == (spec is None):
        raise InputError("task", f"give a task or {name}, and not both")
    return TaskId(str(task)), spec


def _within(arguments: Arguments) -> timedelta:
    seconds = given(arguments, "seconds", _SECONDS)
    if not 1 <= seconds <= _MOST_SECONDS:
        raise InputError("seconds", f"must be 1 to {_MOST_SECONDS}")
    return timedelta(seconds=seconds)


async def estimate(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    counts = {name: _count(arguments[name], name) for name in ("objects", "size")}
    with _naming(_of_the_spec):
        spec = _OBJECTS.values(arguments["spec"])
        return _told_preview(await hub.places.estimate(caller, spec, **counts), complete=False)


def _count(value: float, field: str) -> int:
    number = whole(value)
    if not isinstance(number, int):
        raise InputError(field, "is no whole number")
    return number


@contextmanager
def _naming(name: Callable[[str], str]) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise renamed(error, name) from error


def _of_the_spec(field: str) -> str:
    is_named = field in _NOT_OF_THE_SPEC or field.startswith(SPEC)
    return field if is_named else f"{SPEC}{field}"


def _told_test(test: ConnectionTest) -> Json:
    return {
        "works": test.works,
        "url": test.url,
        "credentials": test.credentials,
        "steps": [
            {
                "attempted": told(step.trial),
                "outcome": told(step.outcome),
                "permission": step.permission,
                "code": step.code,
                "message": step.message,
            }
            for step in test.steps
        ],
    }


def _told_preview(preview: Preview, *, complete: bool) -> Json:
    return {
        "complete": complete,
        "copies": preview.copies,
        "deletes": preview.deletes,
        "bytes": preview.bytes,
        "seconds": preview.seconds,
        "cost": preview.cost,
        "currency": preview.currency,
        "egressCost": preview.egress_cost,
        "requests": [
            {
                "side": request.where.upper(),
                "kind": told(request.kind),
                "count": request.count,
                "cost": request.cost,
            }
            for request in preview.requests
        ],
        "unpriced": list(preview.unpriced),
        "pricesFrom": list(preview.prices_from),
        "scan": _camel(asdict(preview.scan)),
        "firstKeys": [
            {
                "key": first.key,
                "destination": first.destination,
                "size": first.size,
                "difference": told(first.difference),
            }
            for first in preview.first_keys
        ],
    }


def _told_plan(plan: Plan, spec: ImagesSpec) -> Json:
    guard = None
    try:
        plan.check_prune(spec.guard, spec.destination.url)
    except GuardError as error:
        guard = error.message
    kinds = Counter(row.kind for row in plan.rows)
    shown = (row for row in plan.rows if row.kind is not RowKind.SKIP)
    return {
        "copies": kinds[RowKind.COPY],
        "retags": kinds[RowKind.RETAG],
        "referrers": kinds[RowKind.REFERRER],
        "same": kinds[RowKind.SKIP],
        "conflicts": kinds[RowKind.CONFLICT],
        "gone": kinds[RowKind.GONE],
        "unlisted": kinds[RowKind.UNLISTED],
        "extra": kinds[RowKind.EXTRA],
        "deletes": kinds[RowKind.EXTRA] if spec.prune and guard is None else 0,
        "guard": guard,
        "filtered": plan.filtered,
        "creates": len(plan.create),
        "bytes": plan.upload_bytes,
        "unmeasured": plan.unmeasured,
        "pulls": plan.pulls,
        "firstRows": [
            {
                "kind": told(row.kind),
                "source": row.source,
                "repository": row.repository,
                "tag": row.tag,
                "digest": row.digest,
                "replaces": row.replaces,
                "size": row.size,
            }
            for row in islice(shown, _FIRST_ROWS)
        ],
    }


def _camel(fields: dict[str, Any]) -> Json:
    return {camel(name): value for name, value in fields.items()}
