"""Manifests and digests, as the OCI image and distribution specifications write them.

Source: OCI image-spec 1.1, "manifest.md", "image-index.md", "descriptor.md"; Docker's "Image
Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from transferhub.errors import CorruptError, UnsupportedError

Digest = NewType("Digest", str)
"""Such as sha256:<64 hex digits>."""

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

INDEX_TYPES = frozenset({DOCKER_LIST, OCI_INDEX})
IMAGE_TYPES = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
"""A registry converts, or does not find, what is not accepted."""

MOST_MANIFEST_BYTES = 4 << 20
"""The specification lets registries refuse more."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Attributes:
    variant: such as v8; "" where there is none.
    """

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a manifest, or a registry, says of content.

    Attributes:
        size: bytes; 0 where nobody told.
        artifact_type: as the referrers API tells it; "" where there is none.
        urls: places to fetch it from instead; registries need not hold such a blob.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest as its bytes are; `digest` is that of `content`."""

    media_type: str
    digest: Digest
    content: bytes = field(repr=False)

    @property
    def descriptor(self) -> Descriptor:
        size = len(self.content)
        return Descriptor(media_type=self.media_type, digest=self.digest, size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a manifest names.

    Attributes:
        manifests: of an index.
        config: of an image.
        subject: what it refers to, as a signature does to an image.
        artifact_type: its own, or that of its config.
    """

    manifests: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What must be there before the manifest can be; none of an index."""
        own = tuple(layer for layer in self.layers if not layer.urls)
        return own if self.config is None else (self.config, *own)


def is_digest(text: str) -> bool:
    """Whether it is a digest that can be checked."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(content: bytes, algorithm: str = "sha256") -> Digest:
    return Digest(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")


def manifest_of(content: bytes, media_type: str = "") -> Manifest:
    """A manifest of its bytes; its own media type comes before the one that is given."""
    return Manifest(
        media_type=_own_type(content) or media_type, digest=digest_of(content), content=content
    )


def _own_type(content: bytes) -> str:
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    own = document.get("mediaType") if isinstance(document, dict) else None
    return own if isinstance(own, str) else ""


def read_contents(manifest: Manifest) -> Contents:
    """Raises:
    UnsupportedError: code "bad_manifest", it is of a kind that is not known.
    CorruptError: it is not what its media type says.
    """
    if manifest.media_type not in INDEX_TYPES | IMAGE_TYPES:
        raise UnsupportedError(
            f"The manifest {manifest.digest} is of the kind {manifest.media_type!r}, which cannot"
            " be copied; build the image anew with a current tool.",
            code="bad_manifest",
        )
    try:
        return _contents(json.loads(manifest.content), of_index=manifest.descriptor.is_index)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptError(
            f"The manifest {manifest.digest} is not what its kind {manifest.media_type} says"
            f" ({error!r}); push the image again."
        ) from error


def read_descriptors(content: bytes) -> tuple[Descriptor, ...]:
    """What an index names.

    Raises:
        ValueError: it is none.
    """
    try:
        document = json.loads(content)
        return tuple(_descriptor(one) for one in document["manifests"] or ())
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no index: {error!r}") from error


def index_content(descriptors: tuple[Descriptor, ...]) -> bytes:
    """The bytes of an index that names these."""
    rows = [_row(one) for one in descriptors]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}
    return json.dumps(document, separators=(",", ":")).encode()


def _contents(document: Mapping[str, Any], *, of_index: bool) -> Contents:
    subject, config = document.get("subject"), document.get("config")
    if not of_index and config is None:
        raise ValueError("it names no config")
    own_type = str(document.get("artifactType") or "")
    return Contents(
        manifests=tuple(_descriptor(one) for one in document["manifests"]) if of_index else (),
        config=None if of_index or config is None else _descriptor(config),
        layers=() if of_index else tuple(_descriptor(one) for one in document.get("layers") or ()),
        subject=_descriptor(subject) if subject else None,
        artifact_type=own_type or (str(config["mediaType"]) if config else ""),
        annotations=_texts(document.get("annotations")),
    )


def _descriptor(row: Mapping[str, Any]) -> Descriptor:
    digest, platform = str(row["digest"]), row.get("platform")
    if not is_digest(digest):
        raise ValueError(f"{digest!r} is no digest")
    return Descriptor(
        media_type=str(row["mediaType"]),
        digest=Digest(digest),
        size=int(row["size"]),
        platform=_platform(platform) if platform else None,
        artifact_type=str(row.get("artifactType") or ""),
        annotations=_texts(row.get("annotations")),
        urls=tuple(str(url) for url in row.get("urls") or ()),
    )


def _platform(row: Mapping[str, Any]) -> Platform:
    return Platform(
        os=str(row.get("os") or ""),
        architecture=str(row.get("architecture") or ""),
        variant=str(row.get("variant") or ""),
    )


def _texts(row: Mapping[str, Any] | None) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in (row or {}).items()}


def _row(one: Descriptor) -> dict[str, Any]:
    row: dict[str, Any] = {
        "mediaType": one.media_type,
        "digest": one.digest,
        "size": one.size,
    }
    if one.platform is not None:
        platform = {"architecture": one.platform.architecture, "os": one.platform.os}
        row["platform"] = platform | (
            {"variant": one.platform.variant} if one.platform.variant else {}
        )
    if one.artifact_type:
        row["artifactType"] = one.artifact_type
    if one.annotations:
        row["annotations"] = dict(one.annotations)
    if one.urls:
        row["urls"] = list(one.urls)
    return row
