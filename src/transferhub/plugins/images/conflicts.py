"""Parameters that do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from transferhub.errors import InputError
from transferhub.plugins.images.parameters import Parameters

Conflict = tuple[tuple[str, ...], InputError]
"""The fields that take part, and the fault, which names one of them."""

_LISTS = ("images", "images_file", "images_parameter")
_WHOSE = ("credential", "credentials_file", "profile", "endpoint")
_CREATION = ("tag_mutability", "scan_on_push", "encryption")


def conflicts(spec: Parameters) -> Iterator[Conflict]:
    return chain(_lists(spec), _places(spec), _filters(spec), _prune(spec), _creation(spec))


def _lists(spec: Parameters) -> Iterator[Conflict]:
    given = [name for name in ("all", *_LISTS) if getattr(spec, name)]
    if not given:
        yield _conflict(
            "images", "is missing; name images such as nginx:1.27, or ask for all", "all", *_LISTS
        )
    for name in given[1:]:
        yield _conflict(name, f"{given[0]} is given too; leave one of them out", given[0])
    if spec.images_file_sha256 and not spec.images_file:
        yield _conflict("images_file_sha256", "needs images_file", "images_file")


def _places(spec: Parameters) -> Iterator[Conflict]:
    source, destination = spec.source, spec.destination
    if destination.scheme == "public":
        yield _conflict("destination", "is no registry; write one such as registry.example.com")
    if source.scheme == "public":
        if spec.all:
            yield _conflict("all", "no registry is named to list; name images", "source")
        return
    involved = ("source", "prefix")
    if source.place != destination.place or not spec.all or _by_others(spec):
        return
    unnamed = source.scheme == "ecr" and not source.account
    advice = "; name its account where that is another one" if unnamed else ""
    root = destination.root + spec.prefix
    if root == source.root and not spec.rename:
        yield _conflict("destination", f"is the source{advice}", *involved)
    elif root.startswith(source.root) and root != source.root:
        yield _conflict(
            "destination",
            f"lies in the source, so that a run would copy its own copies{advice}",
            *involved,
        )


def _by_others(spec: Parameters) -> bool:
    """Whether each side in Amazon ECR has credentials, and so maybe an account, of its own."""
    source, destination = spec.source, spec.destination
    return (
        source.scheme == "ecr"
        and not source.account
        and any(getattr(source, name) != getattr(destination, name) for name in _WHOSE)
    )


def _filters(spec: Parameters) -> Iterator[Conflict]:
    if spec.platform and spec.index_children:
        yield _conflict("index_children", "platform takes one image of an index", "platform")


def _prune(spec: Parameters) -> Iterator[Conflict]:
    if spec.prune and not spec.all:
        yield _conflict("prune", "needs all: a list does not say what the source has", "all")
    if spec.max_delete is not None and not spec.prune:
        yield _conflict("max_delete", "needs prune", "prune")


def _creation(spec: Parameters) -> Iterator[Conflict]:
    if spec.kms_key and spec.encryption == "AES256":
        yield _conflict("kms_key", "needs encryption KMS or KMS_DSSE", "encryption")
    for name in _CREATION:
        if getattr(spec, name) == Parameters.model_fields[name].default:
            continue
        if spec.destination.scheme != "ecr":
            yield _conflict(name, "only Amazon ECR has such repositories", "destination")
        elif not spec.create:
            yield _conflict(name, "needs create", "create")


def _conflict(field: str, sentence: str, *others: str) -> Conflict:
    return (field, *others), InputError(field, sentence)
