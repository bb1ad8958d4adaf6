"""Writes the GraphQL input types of the plugins' parameters: `python -m transferhub.api.inputs`.

The pydantic models are the only truth about parameters: names, defaults, descriptions, units. Their
checks are the models' too, so that text that has few values is String here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from transferhub.model.channel import KINDS
from transferhub.plugins.images.parameters import Parameters as ImagesParameters
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.parameters import Parameters as ObjectsParameters

SCHEMA = Path(__file__).with_name("schema.graphql")

_BEGIN = "# begin of what transferhub.api.inputs writes of the plugins' parameters\n"
_END = "# end\n"

DERIVED = frozenset(
    {
        "environment",
        "images_file_sha256",
        "prefix_list_sha256",
        "manifest_sha256",
        "newer_than_given",
        "older_than_given",
    }
)
"""Fields of the models that follow from others, and are no one's to give."""

_MOST_INT = (1 << 31) - 1
_TEXTS = {"newer_than", "older_than", "storage_class"}
"""Fields that people write as text, which the model's parser reads."""

_PLACES: Mapping[type, str] = {Location: "LocationInput", RegistryLocation: "RegistryInput"}
_NOTES = {
    "newer_than": " An age such as 7d, or a moment in ISO 8601.",
    "older_than": " An age such as 7d, or a moment in ISO 8601.",
    "inventory": " The url of its manifest.json alone is reached as the source is.",
    "storage_class": " Written as STANDARD=STANDARD_IA,*=STANDARD.",
}


def written() -> str:
    """The input types, in the schema definition language."""
    inputs = (
        (
            "ObjectsSpecInput",
            "The parameters of a task of kind OBJECTS.",
            _fields(ObjectsParameters),
        ),
        (
            "LocationInput",
            "A bucket with a prefix, or a folder: give its url, or the parts of it.",
            _place(Location, "Such as s3://BUCKET/PREFIX: scheme, bucket, prefix and path."),
        ),
        (
            "ImagesSpecInput",
            "The parameters of a task of kind IMAGES.",
            _fields(ImagesParameters),
        ),
        (
            "RegistryInput",
            "A registry of images with a prefix: give its url, or the parts of it.",
            _place(
                RegistryLocation,
                "Such as ghcr.io/team or ecr://REGION: scheme, host, region and prefix.",
            ),
        ),
        ("RenameInput", "What a repository, or a folder of them, is called elsewhere.", _rename()),
        ("ChannelInput", "A notification channel; its kind says which fields it has.", _channel()),
    )
    return "\n".join(_input(*one) for one in inputs)


def updated(schema: str) -> str:
    """The schema with what the models say now."""
    before, _, rest = schema.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{written()}\n{_END}{after}"


class _Entry(NamedTuple):
    name: str
    kind: str
    described: str


def _input(name: str, described: str, entries: Iterable[_Entry]) -> str:
    lines = (f"  {_quoted(entry.described)}\n  {entry.name}: {entry.kind}" for entry in entries)
    return "\n".join((_quoted(described), f"input {name} {{", *lines, "}", ""))


def _fields(parameters: type[BaseModel]) -> Iterator[_Entry]:
    for name, field in parameters.model_fields.items():
        if name not in DERIVED:
            yield _entry(name, field)


def _place(location: type[BaseModel], url: str) -> Iterator[_Entry]:
    """Without defaults: one that is a url alone says the rest, or is reached as another one is."""
    yield _Entry("url", "String", url)
    for name, field in location.model_fields.items():
        if name not in DERIVED:
            entry = _entry(name, field)
            kind, _, default = entry.kind.partition(" = ")
            usual = f" Default: {json.loads(default)}." if default.startswith('"') else ""
            yield _Entry(entry.name, kind.removesuffix("!"), entry.described + usual)


def _rename() -> Iterator[_Entry]:
    """GraphQL has no maps."""
    yield _Entry("from", "String!", "A repository, or a folder with its slash.")
    yield _Entry("to", "String!", "Its name there; of a folder, an empty one drops it.")


def _channel() -> Iterator[_Entry]:
    """All kinds in one: GraphQL has no choice of inputs that AppSync knows too."""
    yield _Entry("kind", "String!", f"What it is. One of {', '.join(KINDS)}.")
    names = dict.fromkeys(name for model in KINDS.values() for name in model.model_fields)
    for name in names:
        entries = {
            kind: _entry(name, model.model_fields[name])
            for kind, model in KINDS.items()
            if name in model.model_fields
        }
        if name != "kind":
            yield next(iter(entries.values())) if len(entries) == len(KINDS) else _of_some(entries)


def _of_some(entries: Mapping[str, _Entry]) -> _Entry:
    """One that has no default, which kinds would be given that have it not."""
    first = next(iter(entries.values()))
    described = " ".join(f"For {kind}: {entry.described}" for kind, entry in entries.items())
    return first._replace(kind=first.kind.partition(" ")[0].removesuffix("!"), described=described)


def _entry(name: str, field: FieldInfo) -> _Entry:
    values = _values(field.annotation)
    listed = f" One of {', '.join(values)}." if values else ""
    described = f"{field.description}{listed}{_NOTES.get(name, '')}"
    return _Entry(to_camel(name), _typed(name, field), described)


def _quoted(text: str) -> str:
    space = " " if text.startswith('"') else ""  # four quotes in a row read badly
    return f'"""{space}{text}"""'


def _typed(name: str, field: FieldInfo) -> str:
    kind = "String" if name in _TEXTS else _graphql(field.annotation)
    if kind == "Float" and _is_small(field):
        kind = "Int"
    if field.is_required():
        return f"{kind}!"
    default = _literal(field.get_default())
    return f"{kind} = {default}" if default else kind


def _is_small(field: FieldInfo) -> bool:
    most = [limit for at in field.metadata if (limit := getattr(at, "le", None)) is not None]
    return field.annotation is int and bool(most) and min(most) <= _MOST_INT


def _literal(default: Any) -> str:  # noqa: ANN401 - any default
    """Empty where it goes without saying."""
    if default in (None, "", (), {}, PydanticUndefined) or isinstance(default, SecretStr):
        return ""
    return json.dumps(default)


def _graphql(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _graphql(arguments[0])
    if origin is Literal:
        return "String"
    if origin in (Union, UnionType):
        (only,) = (argument for argument in arguments if argument is not type(None))
        return _graphql(only)
    if origin is tuple:
        return f"[{_graphql(arguments[0])}!]"
    if origin is dict:
        return "[RenameInput!]"
    return _named(annotation)


def _named(kind: type) -> str:
    if kind in _PLACES:
        return _PLACES[kind]
    if issubclass(kind, bool):
        return "Boolean"
    return "Float" if issubclass(kind, int | float) else "String"


def _values(annotation: Any) -> list[str]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if value]
    if get_origin(annotation) is tuple:
        return _values(get_args(annotation)[0])
    is_enum = isinstance(annotation, type) and issubclass(annotation, StrEnum)
    return list(annotation) if is_enum else []


if __name__ == "__main__":
    SCHEMA.write_text(updated(SCHEMA.read_text()))
