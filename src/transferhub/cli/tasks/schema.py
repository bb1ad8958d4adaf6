"""The JSON Schema of a task file, for editors and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferhub.cli.tasks.files import NEEDED
from transferhub.cli.tasks.kinds import KINDS
from transferhub.control.usual import INTERVALS
from transferhub.model.limits import TaskLimits
from transferhub.model.schedule import (
    DAYS,
    MOST_CAUGHT_UP,
    MOST_WINDOWS,
    CatchUp,
    Overlap,
    WindowKind,
)

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MADE = ("_given", "_sha256")
"""Ends of fields that are made from others."""

_TIMINGS = ("once", "every", "cron")


def task_schema() -> Schema:
    """Of one document; what it accepts is still checked by `dth task apply`."""
    specs = {kind: _spec(kind) for kind in KINDS}
    defs: Schema = {}
    for spec in specs.values():
        defs |= spec.pop("$defs")
    return {
        "$schema": _DRAFT,
        "title": "A task of Data Transfer Hub",
        "type": "object",
        "additionalProperties": False,
        "required": list(NEEDED),
        "properties": {
            "kind": {"enum": list(KINDS), "description": "What is moved."},
            "name": _text("Tells it from other tasks; apply finds it by this.", 1, 200),
            "description": _text("For people.", 0, 2_000),
            "tags": {
                "type": "array",
                "maxItems": 20,
                "items": {"type": "string", "pattern": r"^[^\s,]{1,64}$"},
                "description": "Words to find it by.",
            },
            "schedule": _schedule(),
            "limits": _limits(),
            "spec": {
                "type": "object",
                "description": "What to move, from where to where and how.",
            },
        },
        "oneOf": [
            {"properties": {"kind": {"const": kind}, "spec": spec}} for kind, spec in specs.items()
        ],
        "$defs": defs,
    }


# Specs


_PLACES = {"objects": "Location", "images": "RegistryLocation"}
_URLS = {
    "objects": "Such as s3://BUCKET/PREFIX or file:///FOLDER.",
    "images": "Such as HOST, HOST/PREFIX, ecr://REGION or ecr://REGION/PREFIX.",
}


def _spec(kind: str) -> Schema:
    """The model of the plugin, with the short forms that its parser takes."""
    schema = KINDS[kind].model.model_json_schema()
    fields: Schema = {
        name: value for name, value in schema["properties"].items() if not name.endswith(_MADE)
    }
    for name in KINDS[kind].places:
        fields[name] = {
            "anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{_PLACES[kind]}"}],
            "description": fields[name]["description"],
        }
    _open_forms(fields)
    _open_place(schema["$defs"][_PLACES[kind]], _URLS[kind])
    schema["properties"] = fields
    schema.pop("title", None)
    schema["description"] = "What to move, from where to where and how."
    return schema


def _open_forms(fields: Schema) -> None:
    """What people may write in more than one way."""
    for name in {"newer_than", "older_than"} & fields.keys():
        fields[name] = {
            "type": "string",
            "description": f"{fields[name]['description']} An age such as 7d, or a time.",
        }
    if "images" in fields:
        listed = {"type": "array", "items": {"type": "string"}}
        fields["images"] = {
            "anyOf": [{"type": "string"}, listed],
            "description": fields["images"]["description"],
        }


def _open_place(place: Schema, url: str) -> None:
    fields = place["properties"]
    fields.pop("environment")
    fields["url"] = _text(url, 1, 2_000)
    place["required"] = []
    place["anyOf"] = [{"required": [name]} for name in ("url", "scheme", "host") if name in fields]


# Schedules and limits


def _schedule() -> Schema:
    fields: Schema = {
        "once": _text("At this time, such as 2026-12-01T02:00:00+01:00."),
        "every": _text("At each interval, such as 6h or 1h30m."),
        "anchor": _text("A time from which intervals are counted."),
        "cron": _text('Five fields, such as "30 2 * * mon-fri".'),
        "zone": _text("Time zone, such as Europe/Berlin. Default: UTC."),
        "jitter": _text("Each run starts up to so much later, such as 10m."),
        "overlap": _one_of(Overlap, "What is done while the last run is under way."),
        "catch_up": _one_of(CatchUp, "Which missed runs are started."),
        "most_caught_up": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_CAUGHT_UP,
            "description": "Most missed runs that catch_up: all starts.",
        },
        "windows": {"type": "array", "maxItems": MOST_WINDOWS, "items": _window()},
    }
    usual = " and ".join(INTERVALS)
    timed = {
        **_object("When it runs.", fields),
        "oneOf": [{"required": [timing]} for timing in _TIMINGS],
    }
    return {
        "anyOf": [timed, {"type": "object", "maxProperties": 0}, {"enum": ["none", None]}],
        "description": "When it runs. With none, or without one, when a person or an event starts"
        f" it; but a task of kind {usual} without one runs every 24 hours, from when it is"
        " created.",
    }


def _window() -> Schema:
    fields: Schema = {
        "kind": _one_of(WindowKind, "run: runs start then only. bandwidth: another one holds."),
        "days": {
            "type": "array",
            "minItems": 1,
            "items": {"enum": list(DAYS)},
            "description": "On which it begins; all of them where it is left out.",
        },
        "from": _text("Such as 22:30."),
        "to": _text("Such as 06:00, which is the next day where it is not after from."),
        "zone": _text("Time zone; that of the schedule where it is left out."),
        "bandwidth": _number_or_text(
            "Bytes per second, such as 50MB/s; null for no limit.", "null"
        ),
    }
    return {**_object("A time of day.", fields), "required": ["from", "to"]}


def _limits() -> Schema:
    told: Mapping[str, str] = {
        "bandwidth": "Bytes per second, of all machines together, such as 50MB/s. Images that"
        " skopeo carries keep to none.",
        "requests": "Per second, of all machines together, such as 500/s.",
        "concurrency": "Transfers under way at once on each machine.",
    }
    fields = {name: _number_or_text(told[name]) for name in TaskLimits.__dataclass_fields__}
    return _object("What it may use; they hold at once, also for a run under way.", fields)


# Shapes


def _object(description: str, fields: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
        "description": description,
    }


def _text(description: str, least: int = 1, most: int | None = None) -> Schema:
    lengths = {"minLength": least, **({"maxLength": most} if most else {})}
    return {"type": "string", **lengths, "description": description}


def _number_or_text(description: str, *others: str) -> Schema:
    return {"type": ["number", "string", *others], "description": description}


def _one_of(kind: type[Overlap | CatchUp | WindowKind], description: str) -> Schema:
    return {"enum": [member.value for member in kind], "description": description}
