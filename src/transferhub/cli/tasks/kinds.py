"""How a task file writes the parameters of each kind of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.spec import parse_spec as parse_images
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.plugins.objects.spec import parse_spec as parse_objects

_SIDES = ("source", "destination")
_AGES = ("newer_than", "older_than")
_REGISTRY = ("scheme", "host", "prefix", "environment")
"""Fields that the URL of a registry and its side say; those of a location are more."""

_LOCATION = ("scheme", "bucket", "prefix", "path", "environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """One kind.

    Attributes:
        parse: reads what a file says; raises InputError, naming each field.
        written: what a file says of a spec as a task keeps it.
        model: of the parameters.
        places: fields that are places.
        free: fields whose own fields have whatever names.
    """

    parse: Callable[[Mapping[str, Any]], ObjectsSpec | ImagesSpec]
    written: Callable[[Mapping[str, Any]], dict[str, Any]]
    model: type[BaseModel]
    places: tuple[str, ...]
    free: frozenset[str] = frozenset()


def _objects(spec: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(spec)
    for side in _SIDES:
        fields[side] = _short(_reached(spec[side]))
    if "inventory" in spec:
        _inventory(spec, fields)
    for name in _AGES:
        age = fields.pop(f"{name}_given", "")
        if age:
            fields[name] = age
    return fields


def _reached(location: Mapping[str, Any]) -> dict[str, Any]:
    how = {name: value for name, value in location.items() if name not in _LOCATION}
    return {"url": Location.model_validate(location).url, **how}


def _inventory(spec: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """One URL, where it is reached as the source is."""
    at, source = (Location.model_validate(spec[name]) for name in ("inventory", "source"))
    reach = source if source.scheme == at.scheme else Location(scheme=at.scheme)
    where = {name: getattr(at, name) for name in ("bucket", "prefix", "path")}
    if at == reach.model_copy(update=where):
        fields["inventory"] = at.url.rstrip("/") + "/" + fields.pop("inventory_key")
    else:
        fields["inventory"] = _reached(spec["inventory"])


def _images(spec: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in spec.items() if name != "images_file_sha256"}
    for side in _SIDES:
        registry = RegistryLocation.model_validate(spec[side])
        text = RegistryLocation.parse(registry.url, field=side)
        how = {
            name: value
            for name, value in spec[side].items()
            if name not in _REGISTRY and value != getattr(text, name)
        }
        fields[side] = _short({"url": registry.url, **how})
    return fields


def _short(place: dict[str, Any]) -> str | dict[str, Any]:
    """A URL; with the fields that say how it is reached, where there are any."""
    return place if len(place) > 1 else str(place["url"])


KINDS: Mapping[str, SpecFile] = {
    "objects": SpecFile(
        parse=parse_objects,
        written=_objects,
        model=ObjectsSpec,
        places=("source", "destination", "inventory"),
    ),
    "images": SpecFile(
        parse=parse_images,
        written=_images,
        model=ImagesSpec,
        places=_SIDES,
        free=frozenset({"rename"}),
    ),
}
