"""Real OCI images, made offline: the same seed gives the same bytes and digests.

A `Manifest` is an image, an index or an artifact, with everything that it names. Push one with
`tests.servers.pusher.Pusher`, or write it as an OCI layout with `write_layout`.
"""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"

_CREATED = "2024-01-01T00:00:00Z"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Blob:
    """A layer, a configuration, or what else an image names by digest.

    Attributes:
        diff_id: the digest of a layer before it was compressed, or "".
    """

    content: bytes
    media_type: str
    diff_id: str = ""

    @cached_property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def descriptor(self) -> dict[str, object]:
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def document(self) -> dict[str, object]:
        document: dict[str, object] = {"architecture": self.architecture, "os": self.os}
        if self.variant:
            document["variant"] = self.variant
        return document


AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64", "v8")
ARM = Platform("linux", "arm", "v7")
NOWHERE = Platform("unknown", "unknown")
"""What an attestation runs on."""


@dataclass(frozen=True)
class Manifest:
    """The bytes of a manifest, and all that it names: push `blobs` and `children` first."""

    content: bytes
    media_type: str
    blobs: tuple[Blob, ...] = ()
    children: tuple["Manifest", ...] = ()
    platform: Platform | None = None
    annotations: Mapping[str, str] | None = None

    @cached_property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def descriptor(self) -> dict[str, object]:
        """As an index names it."""
        descriptor: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }
        if self.platform is not None:
            descriptor["platform"] = self.platform.document
        if self.annotations:
            descriptor["annotations"] = dict(self.annotations)
        return descriptor

    @property
    def tree(self) -> Iterator["Manifest"]:
        """This and every manifest below it, the lowest first."""
        for child in self.children:
            yield from child.tree
        yield self

    @property
    def all_blobs(self) -> dict[str, Blob]:
        """Each blob of the tree once, by digest."""
        return {blob.digest: blob for manifest in self.tree for blob in manifest.blobs}


def layer(seed: str, size: int = 4096, *, docker: bool = False) -> Blob:
    """A compressed tar with one file of so many bytes, which do not compress."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(f"files/{hashlib.sha256(seed.encode()).hexdigest()[:12]}")
        entry.size = size
        tar.addfile(entry, io.BytesIO(random.Random(seed).randbytes(size)))
    plain = held.getvalue()
    return Blob(
        gzip.compress(plain, compresslevel=1, mtime=0),
        DOCKER_LAYER if docker else OCI_LAYER,
        digest_of(plain),
    )


def image(
    seed: str,
    *,
    layers: Sequence[Blob] | None = None,
    platform: Platform = AMD64,
    docker: bool = False,
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An image of one platform.

    Args:
        layers: one of its own where not given.
        docker: as Docker's schema 2, with its media types; give layers of that kind.
    """
    held = tuple(layers) if layers is not None else (layer(f"{seed} {platform}", docker=docker),)
    configuration = {
        **platform.document,
        "created": _CREATED,
        "config": {"Env": ["PATH=/bin"], "Labels": {"seed": seed}},
        "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in held]},
        "history": [{"created": _CREATED, "created_by": f"layer {n}"} for n in range(len(held))],
    }
    config = Blob(_json(configuration), DOCKER_CONFIG if docker else OCI_CONFIG)
    return _image(config, held, platform, docker=docker, subject=subject, annotations=annotations)


def _image(
    config: Blob,
    layers: tuple[Blob, ...],
    platform: Platform | None,
    *,
    docker: bool = False,
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
    artifact_type: str = "",
    listed_annotations: Mapping[str, str] | None = None,
) -> Manifest:
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        **({"artifactType": artifact_type} if artifact_type else {}),
        "config": config.descriptor,
        "layers": [blob.descriptor for blob in layers],
        **({"subject": _bare(subject)} if subject is not None else {}),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Manifest(
        _json(document),
        media_type,
        blobs=(config, *layers),
        platform=platform,
        annotations=listed_annotations,
    )


def index(
    children: Sequence[Manifest],
    *,
    docker: bool = False,
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An index of images, or of indexes; Docker's manifest list where asked."""
    media_type = DOCKER_LIST if docker else OCI_INDEX
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [child.descriptor for child in children],
        **({"subject": _bare(subject)} if subject is not None else {}),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Manifest(_json(document), media_type, children=tuple(children))


def attestation(of: Manifest) -> Manifest:
    """What BuildKit puts beside an image in its index: where it came from."""
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "image", "digest": {"sha256": of.digest.partition(":")[2]}}],
    }
    proof = Blob(_json(statement), IN_TOTO, digest_of(_json(statement)))
    configuration = {
        **NOWHERE.document,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [proof.diff_id]},
    }
    return _image(
        Blob(_json(configuration), OCI_CONFIG),
        (proof,),
        NOWHERE,
        listed_annotations={
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of.digest,
        },
    )


def multi_platform(
    seed: str,
    *,
    platforms: Sequence[Platform] = (AMD64, ARM64, ARM),
    base: Sequence[Blob] = (),
    attested: bool = False,
    docker: bool = False,
) -> Manifest:
    """An index with an image for each platform, each with the base's layers and one of its own."""
    images = [
        image(
            seed,
            layers=[*base, layer(f"{seed} {platform}", docker=docker)],
            platform=platform,
            docker=docker,
        )
        for platform in platforms
    ]
    proofs = [attestation(of) for of in images] if attested else []
    return index([*images, *proofs], docker=docker)


def nested_index(seed: str) -> Manifest:
    """An index of an index of two platforms, and an image of a third."""
    inner = multi_platform(f"{seed} inner", platforms=(AMD64, ARM64))
    return index([inner, image(f"{seed} outer", platform=ARM)])


def artifact(
    seed: str, subject: Manifest | None = None, *, kind: str = "application/vnd.test.sbom"
) -> Manifest:
    """An OCI 1.1 artifact, such as an SBOM, that refers to its subject."""
    content = Blob(_json({"sbom": seed}), kind)
    return _image(Blob(b"{}", OCI_EMPTY), (content,), None, subject=subject, artifact_type=kind)


def referrers_tag(subject: Manifest) -> str:
    """The tag at which registries without the referrers API keep the list."""
    return subject.digest.replace(":", "-")


def referrers_index(referrers: Sequence[Manifest]) -> Manifest:
    """What belongs at `referrers_tag`: an index of all that refers to the subject."""
    listed = []
    for referrer in referrers:
        document = json.loads(referrer.content)
        kind = document.get("artifactType") or document["config"]["mediaType"]
        listed.append({**_bare(referrer), "artifactType": kind})
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    return Manifest(_json(document), OCI_INDEX, children=tuple(referrers))


def family(seed: str, count: int, *, layers: int = 3, layer_bytes: int = 65_536) -> list[Manifest]:
    """Images with the same base layers and one small layer of their own each."""
    base = [layer(f"{seed} base {n}", layer_bytes) for n in range(layers)]
    return [
        image(f"{seed} {n}", layers=[*base, layer(f"{seed} own {n}", 1024)]) for n in range(count)
    ]


def write_layout(manifest: Manifest, folder: Path, *, tag: str = "latest") -> Path:
    """Writes it as an OCI image layout, which `skopeo copy oci:FOLDER:TAG` reads."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    contents = {
        **{digest: blob.content for digest, blob in manifest.all_blobs.items()},
        **{below.digest: below.content for below in manifest.tree},
    }
    for digest, content in contents.items():
        (blobs / digest.partition(":")[2]).write_bytes(content)
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    named = {
        **_bare(manifest),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [named]}))
    return folder


def _bare(manifest: Manifest) -> dict[str, object]:
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
    }


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
