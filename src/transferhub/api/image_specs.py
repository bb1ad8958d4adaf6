"""The parameters of tasks of kind images, as the API takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from transferhub.api.inputs import DERIVED
from transferhub.api.reading import Json, as_fields, camel
from transferhub.errors import InputError
from transferhub.plugins.images.parameters import Parameters
from transferhub.plugins.images.registry_location import RegistryLocation

PLACES = ("source", "destination")


def spec_values(spec: Mapping[str, Any]) -> Json:
    """The values for `parse_spec` of an ImagesSpecInput; raises InputError."""
    values = as_fields(spec)
    for place in PLACES:
        if place in values:
            values[place] = as_fields(values[place])
    if "rename" in values:
        values["rename"] = _renamed(values["rename"])
    return values


def spec_field(field: str, spec: Mapping[str, Any]) -> str:
    """The field of an ImagesSpecInput that a fault of `parse_spec` is of."""
    if field in PLACES:
        return f"{field}{_part(spec.get(field) or {})}"
    if field in Parameters.model_fields:
        return to_camel(field)
    for place in PLACES:
        name = field.removeprefix(f"{place}_")
        if name != field and name in RegistryLocation.model_fields:
            return f"{place}.{to_camel(name)}"
    return camel(field)


def told_spec(spec: Mapping[str, Any]) -> Json:
    """A stored spec as an ImagesSpecInput, which parses to the same spec."""
    told = {to_camel(name): value for name, value in spec.items() if name not in DERIVED}
    for place in PLACES:
        fields = spec[place].items()
        told[place] = {to_camel(name): value for name, value in fields if name not in DERIVED}
    if "rename" in spec:
        told["rename"] = [{"from": old, "to": new} for old, new in spec["rename"].items()]
    return told


def told_url(registry: Mapping[str, Any]) -> str:
    """A stored registry, for people."""
    return RegistryLocation.model_construct(**registry).url


def _part(registry: Mapping[str, Any]) -> str:
    """What of a registry that is none is wrong."""
    if registry.get("url") is not None:
        return ".url"
    whole = {name: registry[name] for name in ("scheme", "host", "region") if name in registry}
    try:
        RegistryLocation.of(whole, field="registry", environment="source")
    except InputError:
        is_ecr = registry.get("scheme") == "ecr"
        return ".host" if registry.get("host") else ".region" if is_ecr else ""
    return ".prefix" if registry.get("prefix") else ""


def _renamed(pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        old, new = pair["from"], pair["to"]
        if found.setdefault(old, new) != new:
            raise InputError(
                "spec.rename", f"{old[:80]!r} has two names; leave one of {found[old]!r}, {new!r}"
            )
    return found
