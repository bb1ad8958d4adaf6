"""What the user typed, as a spec and settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from transferhub.cli.options import SIDE_FIELDS
from transferhub.errors import InputError
from transferhub.model.units import parse_bytes, parse_count

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.hosts.hub_settings import HubSettings
    from transferhub.hosts.settings import Settings
    from transferhub.plugins.images.registry_location import RegistryLocation
    from transferhub.plugins.objects.spec import Location, ObjectsSpec

    Place = Location | RegistryLocation

Params = Mapping[str, Any]
"""A command's parameters by name, as click gives them."""

Value = TypeVar("Value")

_PLAIN = (
    "include",
    "exclude",
    "newer_than",
    "older_than",
    "destination_prefix",
    "acl",
    "sse",
    "kms_key",
    "keep_metadata",
    "tags",
    "mirror",
    "compare",
    "copy_mode",
)
_FILES = ("prefix_list", "manifest")
SETTING_FLAGS = (
    "config",
    "state",
    "database",
    "ledger",
    "processes",
    "concurrency",
    "listers",
    "memory",
    "attempts",
    "bandwidth",
    "requests",
    "prices",
)
"""Flags that are settings, which variables and files may give as well."""

HUB_FLAGS = (
    "host",
    "port",
    "public_url",
    "tls_certificate",
    "tls_key",
    "behind_proxy",
    "runs",
    "name",
    "log_format",
)
"""The same of a hub."""


class Faults:
    """Collects what is wrong, so that the user hears of all of it at once."""

    def __init__(self) -> None:
        self.found: list[InputError] = []

    def read(self, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except InputError as fault:
            self.found.append(fault)
            return None

    def parsed(self, params: Params, field: str, parse: Callable[..., Value]) -> Value | None:
        text = params.get(field)
        return None if text is None else self.read(lambda: parse(text, field=field))

    def raise_all(self) -> None:
        from transferhub.model.faults import raise_faults

        raise_faults(self.found)


def read_all(read: Callable[[Faults], Value | None]) -> Value:
    """What `read` gives, where it found nothing wrong.

    Raises:
        InputError: InputErrors, where more than one thing is wrong.
    """
    faults = Faults()
    value = read(faults)
    faults.raise_all()
    if value is None:
        raise AssertionError("what cannot be read has a fault")
    return value


def read_job(params: Params) -> tuple[ObjectsSpec, Settings]:
    """The spec and the settings of a command that has both; all of their faults at once."""

    def read(faults: Faults) -> tuple[ObjectsSpec, Settings] | None:
        spec, settings = read_spec(params, faults), read_settings(params, faults)
        return None if spec is None or settings is None else (spec, settings)

    return read_all(read)


def read_spec(params: Params, faults: Faults) -> ObjectsSpec | None:
    """The spec; None where `faults` now holds what is wrong with it."""
    from transferhub.plugins.objects.spec import parse_spec

    before = len(faults.found)
    values = spec_values(params, faults)
    spec = faults.read(lambda: parse_spec(values))
    return spec if len(faults.found) == before else None


def spec_values(params: Params, faults: Faults) -> dict[str, Any]:
    """The fields of an ObjectsSpec that the user gave; sizes and counts are numbers."""
    values: dict[str, Any] = {name: params.get(name) for name in _PLAIN}
    values |= {name: absolute(params.get(name)) for name in _FILES}
    values["source"] = _place(params, "source", faults)
    values["destination"] = _place(params, "destination", faults)
    for field in ("min_size", "max_size", "part_size"):
        values[field] = faults.parsed(params, field, parse_bytes)
    values["inventory"] = _inventory(params.get("inventory"))
    values["max_delete"] = faults.parsed(params, "max_delete", parse_count)
    values["max_delete_percent"] = faults.parsed(params, "max_delete_percent", parse_percent)
    values["storage_classes_in"] = faults.parsed(params, "storage_classes_in", _names)
    values["storage_class"] = faults.parsed(params, "storage_class", _storage_class)
    return {name: value for name, value in values.items() if value not in (None, ())}


def read_settings(params: Params, faults: Faults) -> Settings | None:
    """The settings: flags, then variables, files, defaults. None where `faults` has more."""
    from transferhub.hosts.settings import Settings

    flags = {name: params.get(name) for name in SETTING_FLAGS}
    return faults.read(lambda: Settings.load(**flags))


def read_hub_settings(params: Params, faults: Faults) -> HubSettings | None:
    """The same of a hub."""
    from transferhub.hosts.hub_settings import HubSettings

    flags = {name: params.get(name) for name in (*SETTING_FLAGS, *HUB_FLAGS)}
    flags["behind_proxy"] = "true" if params.get("behind_proxy") else None
    return faults.read(lambda: HubSettings.load(**flags))


def read_locations(texts: Sequence[str], faults: Faults) -> list[Place]:
    """What `dth doctor` looks at: the first with the source's variables, the others with the
    destination's."""
    from transferhub.plugins.images.registry_location import RegistryLocation
    from transferhub.plugins.objects.spec import Location

    def parsed(text: str, environment: Literal["source", "destination"]) -> Place:
        parse = RegistryLocation.parse if _names_registry(text) else Location.parse
        return parse(text, field="locations", environment=environment)

    found = [
        faults.read(partial(parsed, text, "destination" if position else "source"))
        for position, text in enumerate(texts)
    ]
    return [location for location in found if location is not None]


_REGISTRY = re.compile(
    r"public|ecr://.*|(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+:\d+|\[.*)(?:/.*)?"
)


def _names_registry(text: str) -> bool:
    """What has another scheme, or begins as a path does, is a place of objects, or a fault of
    one."""
    return _REGISTRY.fullmatch(text) is not None


def _place(params: Params, side: Literal["source", "destination"], faults: Faults) -> object:
    """The location with its environment; its fields where `parse_spec` will find a fault."""
    from transferhub.hosts.stores import with_environment
    from transferhub.plugins.objects.spec import Location

    fields = {"url": params[side], **_side(params, side)}
    try:
        location = Location.of(fields, field=side, environment=side)
    except InputError:
        return fields
    return faults.read(lambda: with_environment(location, os.environ)) or location


def _side(params: Params, side: str) -> dict[str, Any]:
    names = (*SIDE_FIELDS.values(), "credential")
    values = {field: params.get(f"{side}_{field}") for field in names}
    for field in ("credentials_file", "ca_bundle"):
        values[field] = absolute(values[field])
    return {field: value for field, value in values.items() if value not in (None, False)}


def absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().absolute())


def _inventory(given: str | None) -> str | None:
    return given if given is None or "://" in given else absolute(given)


def parse_percent(text: str, *, field: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        raise InputError(field, f"{text!r} is not a percentage such as 10") from None
    if not 0 <= percent <= 100:  # noqa: PLR2004 - that is what a percentage is
        raise InputError(field, f"{text!r} is not between 0 and 100")
    return percent


def _names(text: str, *, field: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(field, "names nothing; write STANDARD,STANDARD_IA")
    return names


def _storage_class(text: str, *, field: str) -> str | dict[str, str]:
    if "=" not in text:
        return text
    pairs = [pair.partition("=") for pair in _names(text, field=field)]
    if not all(source.strip() and target.strip() for source, _, target in pairs):
        raise InputError(field, f"{text!r} is no map; write STANDARD=STANDARD_IA,*=STANDARD")
    return {source.strip(): target.strip() for source, _, target in pairs}
