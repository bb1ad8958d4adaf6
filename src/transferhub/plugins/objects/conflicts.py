"""Parameters that do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from transferhub.errors import InputError
from transferhub.plugins.objects.location import WITHOUT_TAGS
from transferhub.plugins.objects.parameters import Parameters

Conflict = tuple[tuple[str, ...], InputError]
"""The fields that take part, and the fault, which names one of them."""


def conflicts(spec: Parameters) -> Iterator[Conflict]:
    return chain(
        _limits(spec), _listings(spec), _mirror(spec), _places(spec), _writing(spec), _tags(spec)
    )


def _limits(spec: Parameters) -> Iterator[Conflict]:
    if spec.min_size is not None and spec.max_size is not None and spec.min_size > spec.max_size:
        yield _conflict("min_size", "is above max_size, which selects nothing", "max_size")
    if spec.newer_than and spec.older_than and spec.newer_than >= spec.older_than:
        yield _conflict(
            "newer_than", "is not before older_than, which selects nothing", "older_than"
        )


def _listings(spec: Parameters) -> Iterator[Conflict]:
    if spec.manifest and spec.prefix_list:
        yield _conflict("prefix_list", "a manifest names each key; give only one", "manifest")
    if spec.manifest and spec.inventory:
        yield _conflict("inventory", "a manifest names each key; give only one", "manifest")
    if spec.prefix_list and spec.inventory:
        yield _conflict(
            "prefix_list", "an inventory is read whole; use include instead", "inventory"
        )
    if spec.inventory and not spec.inventory_key:
        yield _conflict("inventory_key", "is missing", "inventory")
    if spec.inventory and spec.source.scheme == "file":
        yield _conflict("inventory", "a file:// source has none", "source")
    if spec.prefix_list_sha256 and not spec.prefix_list:
        yield _conflict("prefix_list_sha256", "needs prefix_list", "prefix_list")
    if spec.manifest_sha256 and not spec.manifest:
        yield _conflict("manifest_sha256", "needs manifest", "manifest")


def _mirror(spec: Parameters) -> Iterator[Conflict]:
    if spec.mirror and spec.manifest:
        yield _conflict(
            "manifest", "mirror deletes by whole listings, which a manifest is not", "mirror"
        )
    if spec.mirror and spec.inventory:
        yield _conflict(
            "inventory", "is hours old, and mirror would delete what was written since", "mirror"
        )
    if spec.max_delete is not None and not spec.mirror:
        yield _conflict("max_delete", "needs mirror", "mirror")


def _places(spec: Parameters) -> Iterator[Conflict]:
    involved = ("source", "destination_prefix")
    segments = spec.destination_prefix.split("/")[:-1]
    if spec.destination.scheme == "file" and not {"", ".", ".."}.isdisjoint(segments):
        yield _conflict(
            "destination_prefix",
            'a folder has no segment that is empty, "." or ".."',
            "destination",
        )
        return
    if spec.source.place != spec.destination.place:
        return
    source, destination = spec.source.root, spec.destination.root + spec.destination_prefix
    if source == destination:
        yield _conflict("destination", "is the source", *involved)
    elif destination.startswith(source):
        yield _conflict(
            "destination", "lies in the source, so that a run would copy its own copies", *involved
        )
    elif source.startswith(destination):
        yield _conflict("destination", "holds the source, which would be written over", *involved)


def _writing(spec: Parameters) -> Iterator[Conflict]:
    if spec.kms_key and spec.sse != "aws:kms":
        yield _conflict("kms_key", "needs sse aws:kms", "sse")
    if spec.destination.scheme == "file":
        for name, default in (("storage_class", ""), ("acl", ""), ("sse", "none")):
            if getattr(spec, name) not in (default, {}):
                yield _conflict(name, "a file:// destination has none", "destination")
    if spec.copy_mode != "server":
        return
    if "file" in (spec.source.scheme, spec.destination.scheme):
        yield _conflict("copy_mode", "a disk does not copy by itself", "source", "destination")
    elif spec.source.server != spec.destination.server:
        yield _conflict(
            "copy_mode",
            "server needs both sides on one endpoint; take auto or stream",
            "source",
            "destination",
        )


def _tags(spec: Parameters) -> Iterator[Conflict]:
    if not spec.tags:
        return
    for field, location in (("source", spec.source), ("destination", spec.destination)):
        if location.provider_name in WITHOUT_TAGS:
            yield _conflict("tags", f"the {field} ({location.provider_name}) has none", field)


def _conflict(field: str, sentence: str, *others: str) -> Conflict:
    return (field, *others), InputError(field, sentence)
