"""What is given to a hub, as its inputs spell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferhub.model.limits import TaskLimits
from transferhub.model.schedule import Schedule
from transferhub.plugins.objects.spec import parse_spec

Json = dict[str, Any]

_SIDES = ("source", "destination")
_ARGUMENTS = {"images": "images"}
"""Which argument has the parameters of a kind; the others have them in `spec`."""

_MADE = ("_sha256", "_given")


def camel(name: str) -> str:
    """The field as a hub spells it.

    >>> camel("part_size")
    'partSize'
    """
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def task_input(definition: Mapping[str, Any]) -> Json:
    """Of a definition, as `cli.tasks.definition` writes it."""
    given: Json = {
        "name": definition["name"],
        "kind": definition["kind"].upper(),
        "description": definition.get("description", ""),
        "tags": list(definition.get("tags", ())),
        "limits": limits_input(definition.get("limits", {})),
    }
    kind = definition["kind"]
    given[_ARGUMENTS.get(kind, "spec")] = _spec(kind, definition["spec"])
    if "schedule" in definition:
        given["schedule"] = _schedule(definition["schedule"]) if definition["schedule"] else None
    return given


def limits_input(limits: Mapping[str, Any]) -> Json:
    return TaskLimits.from_json(limits).to_json()


def _spec(kind: str, spec: Mapping[str, Any]) -> Json:
    given = {camel(name): value for name, value in spec.items() if not name.endswith(_MADE)}
    for side in _SIDES:
        given[side] = _location(spec[side])
    if kind == "images":
        return given | _of_images(spec)
    if "inventory" in spec:
        kept = parse_spec(spec).to_json()
        given["inventory"] = _location(kept["inventory"])
        given["inventoryKey"] = kept["inventory_key"]
    classes = spec.get("storage_class")
    if isinstance(classes, Mapping):
        given["storageClass"] = ",".join(f"{source}={target}" for source, target in classes.items())
    return given


def _of_images(spec: Mapping[str, Any]) -> Json:
    given: Json = {}
    if "rename" in spec:
        given["rename"] = [{"from": old, "to": new} for old, new in spec["rename"].items()]
    if isinstance(spec.get("images"), list | tuple):
        given["images"] = "\n".join(spec["images"])
    return given


def _location(place: str | Mapping[str, Any]) -> Json:
    if isinstance(place, str):
        return {"url": place}
    return {camel(name): value for name, value in place.items() if name != "environment"}


def _schedule(schedule: Mapping[str, Any]) -> Json:
    kept = Schedule.from_json(schedule).to_json()
    given = {camel(name): value for name, value in kept.items()}
    for name in ("overlap", "catchUp"):
        given[name] = given[name].upper()
    given["windows"] = [
        {**window, "kind": window["kind"].upper(), "days": [day.upper() for day in window["days"]]}
        for window in kept["windows"]
    ]
    return given
