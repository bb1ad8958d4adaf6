"""Where the images of a repository go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.plugins.images.ecr import check_ecr_repository
from transferhub.plugins.images.reference import (
    DOCKER_HUB,
    OFFICIAL,
    Reference,
    check_repository,
    familiar_name,
)

MAX_FAULTS: Final = 100
"""Most faults that are told; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryMap:
    """Names repositories at the destination: the destination's prefix, then the name at the source
    without the source's prefix, renamed.

    Attributes:
        source_prefix: folder that all repositories of the source lie in, with its slash.
        prefix: folder at the destination, with its slash.
        rename: from a name, or a folder with its slash, to another; "" drops a folder. A whole
            name goes before a folder, a longer folder before a shorter one.
        host: of the destination; "" where it is not known yet.
        source_host: of the source; "" where each image names its own.
        ecr: the destination is Amazon ECR.
    """

    source_prefix: str = ""
    prefix: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    source_host: str = ""
    ecr: bool = False

    def name(self, repository: Reference) -> str:
        """What filters and `rename` call a repository of the source."""
        name = familiar_name(repository.host, repository.repository)
        return name.removeprefix(self.source_prefix)

    def destination(self, repository: Reference) -> str:
        """The repository at the destination; not checked."""
        found = self.prefix + self._renamed(self.name(repository))
        return f"{OFFICIAL}{found}" if self.host == DOCKER_HUB and "/" not in found else found

    def destinations(self, repositories: Iterable[Reference]) -> dict[Reference, str]:
        """The destination of each repository.

        Raises:
            InputError: two go to one, one goes to itself, or a name is not allowed; all of it, as
                InputErrors with up to MAX_FAULTS faults and the count of others.
        """
        found: dict[Reference, str] = {}
        taken: dict[str, Reference] = {}
        faults = []
        for repository in sorted(set(repositories)):
            goes_to = self.destination(repository)
            found[repository] = goes_to
            first = taken.setdefault(goes_to, repository)
            try:
                if first is not repository:
                    raise InputError(
                        "rename",
                        f"{first} and {repository} both go to {goes_to!r}; give one of them another"
                        " name",
                    )
                if (repository.host, repository.repository) == (self.host, goes_to):
                    raise InputError(
                        "rename", f"{repository} would go to itself; give it a prefix or a name"
                    )
                self._check(goes_to, "rename")
            except InputError as fault:
                faults.append(fault)
        raise_faults(_bounded(faults))
        return found

    def faults(self) -> list[InputError]:
        """What is wrong with prefix and rename, whatever the source holds."""
        checks = [
            partial(_check_folder, self.source_prefix, "source"),
            partial(_check_folder, self.prefix, "prefix"),
            *(partial(_check_rename, old, new) for old, new in self.rename.items()),
        ]
        found = []
        for check in checks:
            try:
                check()
            except InputError as fault:
                found.append(fault)
        return found

    def _renamed(self, name: str) -> str:
        if name in self.rename:
            return self.rename[name]
        at = len(name)
        while (at := name.rfind("/", 0, at)) >= 0:
            folder = name[: at + 1]
            if folder in self.rename:
                return self.rename[folder] + name[at + 1 :]
        return name

    def _check(self, name: str, field: str) -> None:
        check_repository(name, field=field, host=self.host)
        if self.ecr:
            check_ecr_repository(name, field=field)


def _check_folder(folder: str, field: str) -> None:
    if folder and not folder.endswith("/"):
        raise InputError(field, f"{folder!r} is a folder of repositories; write {folder + '/'!r}")
    if folder:
        check_repository(folder[:-1], field=field)


def _check_rename(old: str, new: str) -> None:
    if old.endswith("/") and new and not new.endswith("/"):
        raise InputError(
            "rename", f"{old!r} is a folder, and {new!r} is none; write {new + '/'!r} or nothing"
        )
    if not old.endswith("/") and (not new or new.endswith("/")):
        raise InputError(
            "rename", f"{old!r} is a repository, and {new!r} is no name for one; write a whole name"
        )
    for name in (old, new) if new else (old,):
        check_repository(name.removesuffix("/"), field="rename")


def _bounded(faults: list[InputError]) -> list[InputError]:
    others = len(faults) - MAX_FAULTS
    if others <= 0:
        return faults
    more = InputError("rename", f"and {others:,} more like these")
    return [*faults[:MAX_FAULTS], more]
