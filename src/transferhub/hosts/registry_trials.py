"""Tries what a task of images would do at a registry, and leaves nothing there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from transferhub.control.places import Outcome, Step, Trial
from transferhub.errors import NotFoundError, UnsupportedError
from transferhub.hosts.trials import skipped, tried
from transferhub.plugins.images.registry_location import PUBLIC, RegistryLocation
from transferhub.plugins.images.sides import OpenRegistry, OpenSide
from transferhub.registries.manifest import Digest

REPOSITORY = "dth-connection-test"
"""Where an upload is begun in a registry that has no repository yet, after the prefix."""

_MOST_NAMES = 1_000
_MOST_LOOKED_AT = 5
"""Repositories in which a tag is looked for."""

_RIGHTS: Mapping[Trial, str] = {
    Trial.LIST: "registry:catalog:*",
    Trial.WRITE: "push",
    Trial.READ: "pull",
    Trial.DELETE: "delete",
}
"""As tokens of registries call them."""

_ECR_RIGHTS: Mapping[Trial, str] = {
    Trial.LIST: "ecr:DescribeRepositories",
    Trial.WRITE: "ecr:PutImage",
    Trial.READ: "ecr:BatchGetImage",
    Trial.DELETE: "ecr:BatchDeleteImage",
}
_ECR_WRITES = (
    "Amazon ECR keeps uploads that are begun, so none is; a run takes ecr:PutImage,"
    " ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and"
    " ecr:BatchCheckLayerAvailability, and ecr:CreateRepository where repositories are missing"
)
_ECR_DELETES = "it is not tried; only a task that prunes takes ecr:BatchDeleteImage"
_EACH = "each image names its own registry: there is none to try before"
_NOTHING = "there is no image that is known by name"


async def registry_steps(open_side: OpenSide, location: RegistryLocation) -> list[Step]:
    """One for each trial. Of a destination they are LIST, WRITE, READ and DELETE; of a source, LIST
    and READ."""
    if location.scheme == PUBLIC:
        return [skipped(trial, _EACH) for trial in (Trial.LIST, Trial.READ)]
    attempt = _Attempt(open_side, location)
    try:
        return await attempt.steps()
    finally:
        await attempt.aclose()


class _Attempt:
    def __init__(self, open_side: OpenSide, location: RegistryLocation) -> None:
        self._open = open_side
        self._location = location
        self._is_ecr = location.scheme == "ecr"
        self._rights = _ECR_RIGHTS if self._is_ecr else _RIGHTS
        self._opened: OpenRegistry | None = None
        self._names: list[str] = []

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def steps(self) -> list[Step]:
        at_destination = self._location.environment == "destination"
        others = [Trial.WRITE, Trial.READ, Trial.DELETE] if at_destination else [Trial.READ]
        listed = await tried(Trial.LIST, self._list(), permission=self._rights[Trial.LIST])
        opened = self._opened
        if opened is None or listed.outcome is Outcome.FAILED:
            return [listed, *(skipped(trial, "listing failed") for trial in others)]
        if not at_destination:
            return [listed, await self._read(opened)]
        return [
            listed,
            await self._write(opened),
            await self._read(opened),
            await self._delete(opened),
        ]

    async def _list(self) -> str:
        self._opened = opened = await self._open("")
        await opened.registry.check()
        prefix = self._location.prefix
        try:
            self._names = await self._first_names(opened, prefix)
        except UnsupportedError as error:
            if error.code != "no_catalog":
                raise
            return "it lets us in, and lists no repositories: name the images of the task"
        if self._names:
            return "there are repositories"
        return f"there is no repository below {prefix!r}" if prefix else "there are no repositories"

    async def _first_names(self, opened: OpenRegistry, prefix: str) -> list[str]:
        found: list[str] = []
        looked_at = 0
        async for name in opened.repositories.names():
            looked_at += 1
            if name.startswith(prefix):
                found.append(name)
            if len(found) == _MOST_LOOKED_AT or looked_at == _MOST_NAMES:
                break
        return found

    async def _read(self, opened: OpenRegistry) -> Step:
        right = self._rights[Trial.READ]
        if not self._names:
            return skipped(Trial.READ, _NOTHING, permission=right)
        step = await tried(Trial.READ, self._head(opened, self._names), permission=right)
        return replace(step, outcome=Outcome.SKIPPED) if step.message == _NOTHING else step

    async def _head(self, opened: OpenRegistry, names: Sequence[str]) -> str:
        for name in names:
            with suppress(NotFoundError):  # of one that is listed and empty
                async for tag in opened.registry.tags(name):
                    await opened.registry.head(name, tag)
                    return f"{name}:{tag} was looked at"
        return _NOTHING

    async def _write(self, opened: OpenRegistry) -> Step:
        right = self._rights[Trial.WRITE]
        if self._is_ecr:
            return skipped(Trial.WRITE, _ECR_WRITES, permission=right)
        return await tried(Trial.WRITE, self._upload(opened), permission=right)

    async def _upload(self, opened: OpenRegistry) -> str:
        """Asks for a blob that nobody has from where it is not: an upload is begun in its place,
        and is cancelled."""
        await opened.registry.mount(self._target, _nobodys(), source=self._target)
        return f"an upload to {self._target!r} was begun and cancelled"

    async def _delete(self, opened: OpenRegistry) -> Step:
        right = self._rights[Trial.DELETE]
        if self._is_ecr:
            return skipped(Trial.DELETE, _ECR_DELETES, permission=right)
        step = await tried(Trial.DELETE, self._delete_nothing(opened), permission=right)
        if step.outcome is Outcome.FAILED:
            return replace(step, message=f"{step.message} Only a task that prunes deletes.")
        return step

    async def _delete_nothing(self, opened: OpenRegistry) -> str:
        try:
            await opened.registry.delete_manifest(self._target, _nobodys())
        except NotFoundError:
            return "an image that is not there was asked to be deleted, and nothing speaks against"
        raise AssertionError("nobody has such an image")

    @property
    def _target(self) -> str:
        return next(iter(self._names), f"{self._location.prefix}{REPOSITORY}")


def _nobodys() -> Digest:
    """Of what is nowhere."""
    return Digest(f"sha256:{sha256(os.urandom(32)).hexdigest()}")
