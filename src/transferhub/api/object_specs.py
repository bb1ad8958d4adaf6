"""The parameters of tasks of kind objects, as the API takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from transferhub.api.inputs import DERIVED
from transferhub.api.reading import Json, as_fields, camel
from transferhub.errors import InputError
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.parameters import Parameters

_PLACES = ("source", "destination", "inventory")


def spec_values(spec: Mapping[str, Any]) -> Json:
    """The values for `parse_spec` of an ObjectsSpecInput; raises InputError."""
    values = as_fields(spec)
    for place in _PLACES:
        if place in values:
            values[place] = as_fields(values[place])
    if values.get("inventory", {}).keys() == {"url"} and "inventory_key" not in values:
        values["inventory"] = values["inventory"]["url"]  # of the manifest.json
    if "storage_class" in values:
        values["storage_class"] = _classes(values["storage_class"])
    return values


def spec_field(field: str, spec: Mapping[str, Any]) -> str:
    """The field of an ObjectsSpecInput that a fault of `parse_spec` is of."""
    if field in Parameters.model_fields:
        is_url = field in _PLACES and (spec.get(field) or {}).get("url") is not None
        return f"{field}.url" if is_url else to_camel(field)
    for place in _PLACES:
        name = field.removeprefix(f"{place}_")
        if name != field and name in Location.model_fields:
            return f"{place}.{to_camel(name)}"
    return camel(field)


def told_spec(spec: Mapping[str, Any]) -> Json:
    """A stored spec as an ObjectsSpecInput, which parses to the same spec."""
    told = {to_camel(name): value for name, value in spec.items() if name not in DERIVED}
    for place in _PLACES:
        if spec.get(place):
            told[place] = _told_location(spec[place])
    for name in ("newer_than", "older_than"):
        if spec.get(f"{name}_given"):
            told[to_camel(name)] = spec[f"{name}_given"]
    if isinstance(spec.get("storage_class"), Mapping):
        pairs = spec["storage_class"].items()
        told["storageClass"] = ",".join(f"{source}={target}" for source, target in pairs)
    return told


def told_url(location: Mapping[str, Any]) -> str:
    """A stored location, for people."""
    return Location.model_construct(**location).url


def _told_location(location: Mapping[str, Any]) -> Json:
    return {to_camel(name): value for name, value in location.items() if name not in DERIVED}


def _classes(text: str) -> str | dict[str, str]:
    """One class, or a map such as STANDARD=STANDARD_IA,*=STANDARD."""
    if "=" not in text:
        return text
    pairs = (pair.partition("=") for pair in text.split(","))
    classes = {source.strip(): target.strip() for source, _, target in pairs}
    if not all((*classes, *classes.values())):
        raise InputError(
            "spec.storage_class", f"{text[:80]!r} is no map; write STANDARD=STANDARD_IA,*=STANDARD"
        )
    return classes
