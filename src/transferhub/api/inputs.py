"""Writes the GraphQL input types of the plugins' parameters: `python -m transferhub.api.inputs`.

The pydantic models are the only truth about parameters: names, defaults, descriptions, units. Their
checks are the models' too, so that text that has few values is String here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.parameters import Parameters

SCHEMA = Path(__file__).with_name("schema.graphql")

_BEGIN = "# begin of what transferhub.api.inputs writes of the plugins' parameters\n"
_END = "# end\n"

DERIVED = frozenset(
    {
        "environment",
        "prefix_list_sha256",
        "manifest_sha256",
        "newer_than_given",
        "older_than_given",
    }
)
"""Fields of the models that follow from others, and are no one's to give."""

_TEXTS = {"newer_than", "older_than", "storage_class"}
"""Fields that people write as text, which the model's parser reads."""

_NOTES = {
    "newer_than": " An age such as 7d, or a moment in ISO 8601.",
    "older_than": " An age such as 7d, or a moment in ISO 8601.",
    "inventory": " The url of its manifest.json alone is reached as the source is.",
    "storage_class": " Written as STANDARD=STANDARD_IA,*=STANDARD.",
}


def written() -> str:
    """The input types, in the schema definition language."""
    return "\n".join(
        (
            *_input("ObjectsSpecInput", "The parameters of a task of kind OBJECTS.", Parameters),
            "",
            *_input(
                "LocationInput",
                "A bucket with a prefix, or a folder: give its url, or the parts of it.",
                Location,
                '  """Such as s3://BUCKET/PREFIX; stands for scheme, bucket, prefix and path."""',
                "  url: String",
            ),
            "",
        )
    )


def updated(schema: str) -> str:
    """The schema with what the models say now."""
    before, _, rest = schema.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{written()}\n{_END}{after}"


def _input(name: str, description: str, model: type[BaseModel], *more: str) -> Iterator[str]:
    yield f'"""{description}"""'
    yield f"input {name} {{"
    yield from more
    for field_name, field in model.model_fields.items():
        if field_name not in DERIVED:
            yield f'  """{_described(field_name, field)}"""'
            yield f"  {to_camel(field_name)}: {_typed(field_name, field, bool(more))}"
    yield "}"


def _described(name: str, field: FieldInfo) -> str:
    values = _values(field.annotation)
    listed = f" One of {', '.join(values)}." if values else ""
    text = f"{field.description}{listed}{_NOTES.get(name, '')}"
    return f" {text}" if text.startswith('"') else text  # a fourth quote in a row reads badly


def _typed(name: str, field: FieldInfo, has_url: bool) -> str:  # noqa: FBT001
    kind = "String" if name in _TEXTS else _graphql(field.annotation)
    if field.is_required():
        return kind if has_url else f"{kind}!"
    default = _literal(field.get_default())
    return f"{kind} = {default}" if default else kind


def _literal(default: Any) -> str:  # noqa: ANN401 - any default
    """Empty where it goes without saying."""
    if default in (None, "", (), PydanticUndefined):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f'"{default}"' if isinstance(default, str) else str(default)


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
    return _named(annotation)


def _named(kind: type) -> str:
    if issubclass(kind, Location):
        return "LocationInput"
    if issubclass(kind, bool):
        return "Boolean"
    return "Float" if issubclass(kind, int | float) else "String"


def _values(annotation: Any) -> list[str]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if value]
    is_enum = isinstance(annotation, type) and hasattr(annotation, "__members__")
    return list(annotation) if is_enum else []


if __name__ == "__main__":
    SCHEMA.write_text(updated(SCHEMA.read_text()))
