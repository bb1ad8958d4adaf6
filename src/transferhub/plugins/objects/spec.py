"""A task of the objects plugin, as a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import ValidationError

from transferhub.engine.execution import DeleteGuard
from transferhub.errors import InputError
from transferhub.model.faults import InputErrors, raise_faults
from transferhub.model.field_faults import faults_of
from transferhub.model.globs import Glob
from transferhub.model.units import is_duration, parse_moment
from transferhub.plugins.objects.conflicts import conflicts
from transferhub.plugins.objects.key_lists import refuse_bad_lists, with_digests
from transferhub.plugins.objects.location import Environment, Location, as_folder
from transferhub.plugins.objects.parameters import Parameters

__all__ = ["InputErrors", "Location", "ObjectsSpec", "parse_spec"]


class ObjectsSpec(Parameters):
    """What to move, from where to where and how. Made by `parse_spec`; holds no secret."""

    kind: ClassVar[str] = "objects"
    noun: ClassVar[str] = "object"

    @property
    def title(self) -> str:
        return f"{self.source.url} to {self.destination.url}"

    @property
    def reaches(self) -> dict[str, Location]:
        """All places that it reaches, by their field."""
        found = {"source": self.source, "destination": self.destination}
        return found if self.inventory is None else {**found, "inventory": self.inventory}

    @property
    def places(self) -> tuple[str, ...]:
        """Where from and where to, however they are reached."""
        source, destination = self.source, self.destination
        return (*source.place, source.root, *destination.place, destination.root)

    @property
    def files(self) -> dict[str, str]:
        """Paths of the lists that it reads, "" for none, by their field."""
        return {"prefix_list": self.prefix_list, "manifest": self.manifest}

    @property
    def guard(self) -> DeleteGuard:
        return DeleteGuard(
            delete=self.mirror, most=self.max_delete, most_percent=self.max_delete_percent
        )

    @property
    def destination_base(self) -> str:
        """What stands before each relative key in the destination's store."""
        return self.destination.prefix + self.destination_prefix

    def storage_class_for(self, source_class: str) -> str:
        """The class to write an object of `source_class` ("": STANDARD) with; "" leaves it open."""
        if isinstance(self.storage_class, str):
            return self.storage_class
        name = source_class or "STANDARD"
        return self.storage_class.get(name, self.storage_class.get("*", ""))

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of what makes the work the same.

        Left out are how places are reached (credentials, TLS, proxy), how copies are made (parts,
        copy mode) and the delete guards. A list counts by its content, an age such as 7d as typed:
        so the same command, typed again, finds the run that it began.
        """
        values = self.model_dump(mode="json", exclude=_NOT_THE_WORK)
        values["source"] = [*self.source.place, self.source.root]
        values["destination"] = [*self.destination.place, self.destination.root]
        if self.inventory is not None:
            values["inventory"] = [*self.inventory.place, self.inventory.root]
        for name in ("newer_than", "older_than"):
            if values[f"{name}_given"]:
                del values[name]
        for name in ("prefix_list", "manifest"):
            if values[f"{name}_sha256"]:
                del values[name]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """JSON values of all fields that are not their default; for `from_json`."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def as_of(self, now: datetime) -> ObjectsSpec:
        """With ages such as 7d counted from `now`: each run of a task counts them anew."""
        ages = {
            field: parse_moment(text, field=field, now=now)
            for field in ("newer_than", "older_than")
            if (text := getattr(self, f"{field}_given"))
        }
        return self.model_copy(update=ages)

    def with_digests(self) -> ObjectsSpec:
        """With the SHA-256 of the lists that it names, so that their content is part of its
        fingerprint. Raises InputError where one cannot be read."""
        return with_digests(self)

    def check_lists(self) -> None:
        """Reads its lists to their ends.

        Raises:
            InputError: one cannot be read, names nothing, or is not what it was when the spec was
                made.
        """
        refuse_bad_lists(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ObjectsSpec:
        """Raises InputError where it was not written by `to_json`."""
        return parse_spec(values)


_NOT_THE_WORK = {"part_size", "copy_mode", "max_delete", "max_delete_percent"}
_NOWHERE = Location(scheme="file", path="/")


def parse_spec(
    values: Mapping[str, Any],
    *,
    now: datetime | None = None,
    complete: Callable[[Location], Location] = lambda location: location,
) -> ObjectsSpec:
    """The spec of `values`, by field name.

    Args:
        values: `source`, `destination` and `inventory` are a Location, a URL or a mapping of
            Location's fields, where `url` may stand for scheme, bucket, prefix and path.
            `newer_than` and `older_than` may be text: an age such as 7d or an ISO time. None counts
            as left out.
        now: what ages are counted from.
        complete: fills what the environment says into a location, before places are compared:
            endpoints decide whether two are one.

    Raises:
        InputError: what is wrong; InputErrors, naming each field, where it is more than one thing.
    """
    given = {name: value for name, value in values.items() if value is not None}
    faults: list[InputError] = []
    broken = _read_locations(given, faults, complete)
    _read_moments(given, now or datetime.now(UTC), faults)
    _read_globs(given, faults)
    if isinstance(given.get("destination_prefix"), str):
        given["destination_prefix"] = as_folder(given["destination_prefix"])
    spec = _validate(given, faults)
    broken.update(fault.field for fault in faults)
    faults.extend(fault for names, fault in conflicts(spec) if broken.isdisjoint(names))
    raise_faults(faults)
    return spec


def _validate(given: dict[str, Any], faults: list[InputError]) -> ObjectsSpec:
    """The spec of what is right in `given`, so that the rest is checked all the same."""
    try:
        return ObjectsSpec.model_validate(given)
    except ValidationError as error:
        found = faults_of(error, ObjectsSpec.model_fields)
    faults.extend(found)
    for fault in found:
        given.pop(fault.field, None)
    return ObjectsSpec.model_validate({"source": _NOWHERE, "destination": _NOWHERE, **given})


def _read_locations(
    given: dict[str, Any], faults: list[InputError], complete: Callable[[Location], Location]
) -> set[str]:
    """Returns the fields whose location could not be read; another place stands in for it."""
    broken = set()
    for field, environment in _ENVIRONMENTS.items():
        try:
            if field not in given:
                raise InputError(field, "is missing")
            given[field] = complete(_location(given[field], field, environment))
        except InputError as fault:
            faults.append(fault)
            broken.add(field)
            given[field] = _NOWHERE
    if "inventory" in given:
        try:
            given["inventory"], given["inventory_key"] = _inventory(given)
        except InputError as fault:
            faults.append(fault)
            del given["inventory"]
    return broken


_ENVIRONMENTS: Mapping[str, Environment] = {"source": "source", "destination": "destination"}


def _location(value: Any, field: str, environment: Environment) -> Location:  # noqa: ANN401 - the edge
    if isinstance(value, Location):
        return value.model_copy(update={"environment": environment})
    if isinstance(value, str):
        return Location.parse(value, field=field, environment=environment)
    if isinstance(value, Mapping):
        return Location.of(value, field=field, environment=environment)
    raise InputError(field, "is no location; write one such as s3://BUCKET/PREFIX")


def _inventory(given: Mapping[str, Any]) -> tuple[Location, str]:
    """The bucket or folder of the inventory's manifest.json, and its key there.

    A URL is reached as the source is: S3 writes an inventory into a bucket of the same region.
    """
    value = given["inventory"]
    if not isinstance(value, str):
        return _location(value, "inventory", "source"), str(given.get("inventory_key", ""))
    url = f"file://{value}" if value.startswith("/") else value
    folder, _, name = url.rpartition("/")
    if not name.endswith(".json"):
        raise InputError(
            "inventory",
            f"{value!r} is not the manifest.json of an S3 Inventory; give its URL or path",
        )
    at = Location.parse(f"{folder}/", field="inventory")
    if at.scheme == "file":
        return at, name
    update = {"bucket": at.bucket, "prefix": ""}
    source: Location = given["source"]
    reach = source if source.scheme == at.scheme else at
    return reach.model_copy(update=update), at.prefix + name


def _read_moments(given: dict[str, Any], now: datetime, faults: list[InputError]) -> None:
    for field in ("newer_than", "older_than"):
        text = given.get(field)
        if not isinstance(text, str):
            continue
        try:
            given[field] = parse_moment(text, field=field, now=now)
        except InputError as fault:
            faults.append(fault)
            del given[field]
        else:
            if is_duration(text):
                given[f"{field}_given"] = text


def _read_globs(given: Mapping[str, Any], faults: list[InputError]) -> None:
    for field in ("include", "exclude"):
        patterns = given.get(field, ())
        if not isinstance(patterns, list | tuple):
            continue  # a fault that pydantic finds
        for pattern in patterns:
            try:
                Glob.parse(str(pattern), field=field)
            except InputError as fault:
                faults.append(fault)
