"""Answers about where tasks would read and write, before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from transferhub.api.reading import (
    Arguments,
    Json,
    camel,
    given,
    member_of,
    renamed,
    told,
    whole,
)
from transferhub.api.specs import location_values, spec_field, spec_values
from transferhub.control.hub import Hub
from transferhub.control.places import ConnectionTest, Side
from transferhub.errors import InputError
from transferhub.model.people import Caller
from transferhub.model.run import TaskId
from transferhub.plugins.objects.estimate import Preview

_KIND = "objects"
_SECONDS = 20
_MOST_SECONDS = 60
_NOT_OF_THE_SPEC = frozenset({"task", "objects", "size", "seconds"})


async def test_connection(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    location, side = arguments["location"], member_of(Side, arguments["side"])

    def name(field: str) -> str:
        inner = spec_field(field, {side.value: location}).removeprefix(side.value)
        return f"location{inner}"

    with _naming(name):
        values = location_values(location)
        return _told_test(await hub.places.test_connection(caller, values, side))


async def preview(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    task, spec = arguments.get("task"), arguments.get("spec")
    seconds = given(arguments, "seconds", _SECONDS)
    if (task is None) == (spec is None):
        raise InputError("task", "give a task or a spec, and not both")
    if not 1 <= seconds <= _MOST_SECONDS:
        raise InputError("seconds", f"must be 1 to {_MOST_SECONDS}")
    within = timedelta(seconds=seconds)
    with _naming(_of_the_spec):
        if spec is None:
            found = await hub.places.preview_task(caller, TaskId(str(task)), within=within)
        else:
            found = await hub.places.preview(caller, _KIND, spec_values(spec), within=within)
    return _told_preview(found.preview, complete=found.complete)


async def estimate(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    counts = {name: _count(arguments[name], name) for name in ("objects", "size")}
    with _naming(_of_the_spec):
        spec = spec_values(arguments["spec"])
        return _told_preview(
            await hub.places.estimate(caller, _KIND, spec, **counts), complete=False
        )


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
    is_named = field in _NOT_OF_THE_SPEC or field.startswith("spec.")
    return field if is_named else f"spec.{field}"


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


def _camel(fields: dict[str, Any]) -> Json:
    return {camel(name): value for name, value in fields.items()}
