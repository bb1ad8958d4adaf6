"""A task of the images plugin, as a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from transferhub.engine.execution import DeleteGuard
from transferhub.errors import InputError
from transferhub.model.faults import InputErrors, flatten, raise_faults
from transferhub.model.field_faults import faults_of
from transferhub.plugins.images.conflicts import conflicts
from transferhub.plugins.images.image_list import ImageList, lines_of, open_list
from transferhub.plugins.images.parameters import Parameters
from transferhub.plugins.images.platforms import parse_platform
from transferhub.plugins.images.registry_location import Environment, RegistryLocation
from transferhub.plugins.images.repository_map import RepositoryMap
from transferhub.plugins.images.selection import ImageGlob, Selection, compile_tags
from transferhub.plugins.images.versions import VersionRange

__all__ = ["ImagesSpec", "InputErrors", "RegistryLocation", "parse_spec"]


class ImagesSpec(Parameters):
    """What to replicate, from where to where and how. Made by `parse_spec`; holds no secret."""

    kind: ClassVar[str] = "images"
    noun: ClassVar[str] = "image"

    @property
    def title(self) -> str:
        return f"{self.source.url} to {self.destination.url}"

    @property
    def reaches(self) -> dict[str, RegistryLocation]:
        """All places that it reaches, by their field."""
        return {"source": self.source, "destination": self.destination}

    @property
    def files(self) -> dict[str, str]:
        """Paths of the lists that it reads, "" for none, by their field."""
        return {"images_file": self.images_file}

    @property
    def places(self) -> tuple[str, ...]:
        """Where from and where to, however they are reached."""
        source, destination = self.source, self.destination
        return (*source.place, source.root, *destination.place, destination.root)

    @property
    def selection(self) -> Selection:
        return Selection(
            include=_globs(self.include, "include"),
            exclude=_globs(self.exclude, "exclude"),
            tags=compile_tags(self.tag_pattern, field="tag_pattern") if self.tag_pattern else None,
            versions=VersionRange.parse(self.semver, field="semver") if self.semver else None,
            newest=self.newest,
            platform=parse_platform(self.platform, field="platform") if self.platform else None,
            untagged=self.untagged,
            index_children=self.index_children,
            cosign=self.cosign,
            referrers=self.referrers,
        )

    @property
    def guard(self) -> DeleteGuard:
        return DeleteGuard(
            delete=self.prune,
            most=self.max_delete,
            most_percent=self.max_delete_percent,
            things="tags",
        )

    def repository_map(self, *, source_host: str = "", host: str = "") -> RepositoryMap:
        """Where repositories go.

        Args:
            source_host, host: of source and destination, where Amazon ECR was asked for them.
        """
        return RepositoryMap(
            source_prefix=self.source.prefix,
            prefix=self.destination.prefix + self.prefix,
            rename=self.rename,
            host=host or self.destination.host,
            source_host=source_host or self.source.host,
            ecr=self.destination.scheme == "ecr",
        )

    @contextmanager
    def listed(self, *, source_host: str = "", text: str = "") -> Iterator[ImageList | None]:
        """The list of images, read to its end; None where all are meant.

        Args:
            source_host: where Amazon ECR was asked for it.
            text: what the SSM parameter holds.

        Raises:
            InputError: what is wrong with the list, all of it.
        """
        if self.all:
            yield None
            return
        at = {"host": source_host or self.source.host, "prefix": self.source.prefix}
        if self.images_file:
            with open_list(self.images_file, field="images_file") as lines:
                found = ImageList.read(lines, field="images_file", **at)
        elif self.images_parameter:
            found = ImageList.read(lines_of(text), field="images_parameter", **at)
        else:
            found = ImageList.read(lines_of(self.images), field="images", **at)
        with found:
            yield found

    def as_of(self, _: datetime) -> ImagesSpec:
        """Itself: it holds no age."""
        return self

    def with_digests(self) -> ImagesSpec:
        """With the SHA-256 of its list file, so that its content is part of the fingerprint.

        Raises:
            InputError: the file cannot be read.
        """
        if not self.images_file:
            return self
        try:
            with Path(self.images_file).open("rb") as stream:
                digest = file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(
                "images_file", f"{self.images_file!r} cannot be read: {error.strerror or error}"
            ) from None
        return self.model_copy(update={"images_file_sha256": digest})

    def check_lists(self) -> None:
        """Reads its list to the end, but for one that AWS holds.

        Raises:
            InputError: what is wrong with it, all of it, or that it is not what it was when the
                spec was made.
        """
        if self.images_parameter:
            return
        if self.images_file_sha256 not in ("", self.with_digests().images_file_sha256):
            raise InputError(
                "images_file",
                f"{self.images_file!r} has changed since the run began; start again instead of"
                " going on with that run",
            )
        with self.listed() as found:
            if found is not None:
                self.repository_map().destinations(r.repository for r in found.repositories())

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of what makes the work the same.

        Left out are how places are reached (credentials, TLS, proxy), how fast and how often, and
        the delete guards. A list file counts by its content.
        """
        values = self.model_dump(mode="json", exclude=_NOT_THE_WORK)
        values["source"] = [*self.source.place, self.source.root]
        values["destination"] = [*self.destination.place, self.destination.root]
        if values["images_file_sha256"]:
            del values["images_file"]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """JSON values of all fields that are not their default; for `from_json`."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImagesSpec:
        """Raises InputError where it was not written by `to_json`."""
        return parse_spec(values)


_NOT_THE_WORK = {"max_delete", "max_delete_percent", "concurrency", "attempts"}
_NOWHERE = RegistryLocation(scheme="public")
_ENVIRONMENTS: Mapping[str, Environment] = {"source": "source", "destination": "destination"}
_READ = ("semver", "platform", "tag_pattern", "include", "exclude")
"""Fields that hold a small language."""


def parse_spec(
    values: Mapping[str, Any],
    *,
    complete: Callable[[RegistryLocation], RegistryLocation] = lambda location: location,
) -> ImagesSpec:
    """The spec of `values`, by field name.

    Args:
        values: `source` and `destination` are a RegistryLocation, its text or a mapping of its
            fields, where `url` may stand for scheme, host and prefix. `images` is text or a list
            of images. None counts as left out.
        complete: fills what the environment says into a location, before places are compared.

    Raises:
        InputError: what is wrong; InputErrors, naming each field, where it is more than one thing.
    """
    given = {name: value for name, value in values.items() if value is not None}
    faults: list[InputError] = []
    broken = _read_locations(given, faults, complete)
    _read_forms(given)
    spec = _validate(given, faults)
    faults.extend(_language_faults(spec))
    broken.update(fault.field for fault in faults)
    faults.extend(fault for names, fault in conflicts(spec) if broken.isdisjoint(names))
    if spec.images and broken.isdisjoint(("source", "images")):
        faults.extend(_list_faults(spec, mapped=broken.isdisjoint(("prefix", "rename"))))
    raise_faults(faults)
    return spec


def _read_locations(
    given: dict[str, Any],
    faults: list[InputError],
    complete: Callable[[RegistryLocation], RegistryLocation],
) -> set[str]:
    """Returns the fields whose location could not be read; another place stands in for it."""
    broken = set()
    for field, environment in _ENVIRONMENTS.items():
        try:
            if field not in given:
                raise InputError(field, "is missing")
            given[field] = complete(_location(given[field], field, environment))
        except InputError as fault:
            faults.extend(flatten([fault]))
            broken.add(field)
            given[field] = _NOWHERE
    return broken


def _location(value: Any, field: str, environment: Environment) -> RegistryLocation:  # noqa: ANN401 - the edge
    if isinstance(value, RegistryLocation):
        return value.model_copy(update={"environment": environment})
    if isinstance(value, str):
        return RegistryLocation.parse(value, field=field, environment=environment)
    if isinstance(value, Mapping):
        return RegistryLocation.of(value, field=field, environment=environment)
    raise InputError(field, "is no registry; write one such as ghcr.io/team or ecr://REGION")


def _read_forms(given: dict[str, Any]) -> None:
    """What people may write in more than one way."""
    if isinstance(given.get("prefix"), str):
        given["prefix"] = _as_folder(given["prefix"])
    images = given.get("images")
    if isinstance(images, list | tuple) and all(isinstance(image, str) for image in images):
        given["images"] = "\n".join(images)


def _as_folder(prefix: str) -> str:
    return f"{prefix}/" if prefix and not prefix.endswith("/") else prefix


def _validate(given: dict[str, Any], faults: list[InputError]) -> ImagesSpec:
    """The spec of what is right in `given`, so that the rest is checked all the same."""
    try:
        return ImagesSpec.model_validate(given)
    except ValidationError as error:
        found = faults_of(error, ImagesSpec.model_fields)
    faults.extend(found)
    for fault in found:
        given.pop(fault.field, None)
    return ImagesSpec.model_validate({"source": _NOWHERE, "destination": _NOWHERE, **given})


def _language_faults(spec: ImagesSpec) -> Iterator[InputError]:
    for field in _READ:
        alone = spec.model_copy(update={n: type(getattr(spec, n))() for n in _READ if n != field})
        try:
            _ = alone.selection
        except InputError as fault:
            yield fault
    yield from spec.repository_map().faults()


def _list_faults(spec: ImagesSpec, *, mapped: bool) -> list[InputError]:
    """Of the list, and where it is `mapped` of where its repositories would go."""
    try:
        with ImageList.read(
            lines_of(spec.images), field="images", host=spec.source.host, prefix=spec.source.prefix
        ) as found:
            if mapped:
                spec.repository_map().destinations(r.repository for r in found.repositories())
    except InputError as fault:
        return flatten([fault])
    return []


def _globs(patterns: tuple[str, ...], field: str) -> tuple[ImageGlob, ...]:
    return tuple(ImageGlob.parse(pattern, field=field) for pattern in patterns)
