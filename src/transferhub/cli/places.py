"""Where a task moves things from and to, in words."""

from __future__ import annotations

from collections.abc import Mapping

from transferhub.cli.text import visible
from transferhub.model.run import Task


def route(task: Task) -> str:
    """`s3://a/x/ → s3://b/`; the task's name where its spec has no such places."""
    source, destination = task.spec.get("source"), task.spec.get("destination")
    if not isinstance(source, Mapping) or not isinstance(destination, Mapping):
        return visible(task.name)
    if task.kind == "images":
        below = _below(str(task.spec.get("prefix", "")))
        return f"{_registry(source)} → {_registry(destination)}{below}"
    below = visible(str(task.spec.get("destination_prefix", "")))
    return f"{_url(source)} → {_url(destination)}{below}"


def _registry(place: Mapping[str, object]) -> str:
    """As people write it."""
    host, scheme = str(place.get("host", "")), place.get("scheme")
    if scheme == "ecr" and not host:
        host = f"ecr://{place.get('region', '')}"
    return visible(host or "public") + _below(str(place.get("prefix", "")))


def _below(prefix: str) -> str:
    return visible(f"/{prefix}".removesuffix("/"))


def _url(place: Mapping[str, object]) -> str:
    scheme = place.get("scheme", "s3")
    if scheme == "file":
        return visible(f"file://{place.get('path', '/')}")
    return visible(f"{scheme}://{place.get('bucket', '')}/{place.get('prefix', '')}")
