"""The images that are moved, and the registries that hold them."""

import gzip
import hashlib
import io
import os
import random
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.images.counter import Counted, Counts, counted
from benchmarks.usage import CommandError
from tests.servers.docker_registry import DockerRegistry
from tests.servers.oci_images import (
    AMD64,
    ARM,
    ARM64,
    OCI_LAYER,
    Blob,
    Manifest,
    digest_of,
    image,
    index,
)

_KIB, _MIB = 1 << 10, 1 << 20
_GARBAGE_PERCENT = "800"
_FOLDER = "team"
_REPOSITORIES = 40
_PLATFORMS = (AMD64, ARM64, ARM)
_BASES = 5
_BASE_SIZES = (8 * _MIB, 4 * _MIB, 2 * _MIB, 2 * _MIB)

MIXED = (False, True, False, True, False)
INDEXES = (True,)

Stock = Mapping[str, Mapping[str, Manifest]]
"""What is at each tag of each repository."""


def tagged(count: int, *, indexes: Sequence[bool] = MIXED) -> Stock:
    """So many tags in 40 repositories: indexes of three platforms, and images of one. Each image
    has a configuration and a layer of its own, and two layers that its repository shares.

    Args:
        indexes: whether a repository's first tag is an index, and the next, and so on in turn.
    """
    repositories = {f"{_FOLDER}/app-{n:02}": dict[str, Manifest]() for n in range(_REPOSITORIES)}
    names = [*repositories]
    for number in range(count):
        name = names[number % len(names)]
        held = repositories[name]
        is_index = indexes[len(held) % len(indexes)]
        base = [layer(f"{name} base {n}", 4 * _KIB) for n in range(2)]
        seed = f"{name} {len(held)}"
        images = [
            image(seed, layers=[*base, layer(f"{seed} {platform}", 4 * _KIB)], platform=platform)
            for platform in (_PLATFORMS if is_index else _PLATFORMS[:1])
        ]
        held[f"1.{len(held)}"] = index(images) if is_index else images[0]
    return repositories


def layered(count: int, own_bytes: int) -> Stock:
    """So many repositories of one image: the layers of one of five bases, 16 MiB in four, and one
    of its own."""
    bases = [
        [layer(f"base {base} {n}", size) for n, size in enumerate(_BASE_SIZES)]
        for base in range(_BASES)
    ]
    return {
        f"{_FOLDER}/service-{n:03}": {
            "1.0": image(
                f"service {n}",
                layers=[*bases[n % _BASES], layer(f"service {n} of {own_bytes}", own_bytes)],
            )
        }
        for n in range(count)
    }


def layer(seed: str, size: int) -> Blob:
    """As `oci_images.layer`, without trying in vain to make it smaller: that takes long."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(f"files/{hashlib.sha256(seed.encode()).hexdigest()[:12]}")
        entry.size = size
        tar.addfile(entry, io.BytesIO(random.Random(seed).randbytes(size)))
    plain = held.getvalue()
    return Blob(gzip.compress(plain, compresslevel=0, mtime=0), OCI_LAYER, digest_of(plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What both registries were asked, each of them by its proxy."""

    source: Counts
    destination: Counts

    def since(self, earlier: "Reading") -> "Reading":
        return Reading(
            source=self.source.since(earlier.source),
            destination=self.destination.since(earlier.destination),
        )

    @property
    def sides(self) -> tuple[Counts, Counts]:
        return self.source, self.destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """Two registries, and the proxies before them."""

    source: DockerRegistry
    destination: DockerRegistry
    source_counted: Counted
    destination_counted: Counted

    def read(self) -> Reading:
        return Reading(
            source=self.source_counted.read(), destination=self.destination_counted.read()
        )

    def check(self, client: str, stock: Stock) -> None:
        """Raises CommandError: the destination does not hold just what it should."""
        with self.destination.pusher() as pusher:
            for repository, tags in stock.items():
                found = pusher.tags(repository)
                if found != sorted(tags):
                    raise CommandError(
                        f"{client} left {len(found)} of {len(tags)} tags in {repository}"
                    )
                for tag, manifest in tags.items():
                    if pusher.digest(repository, tag) != manifest.digest:
                        raise CommandError(f"{client} left another image at {repository}:{tag}")


@contextmanager
def server() -> Iterator[DockerRegistry]:
    """An empty registry that seldom collects garbage, which would take much of its time."""
    before = os.environ.get("GOGC")
    os.environ["GOGC"] = _GARBAGE_PERCENT
    try:
        registry = DockerRegistry()
    finally:
        # For it alone: some clients are programs in Go too.
        os.environ.pop("GOGC")
        if before is not None:
            os.environ["GOGC"] = before
    with registry:
        yield registry


@contextmanager
def filled(stock: Stock) -> Iterator[DockerRegistry]:
    """A registry that holds it."""
    with server() as registry:
        push(registry, stock)
        yield registry


def push(registry: DockerRegistry, stock: Stock) -> None:
    with registry.pusher() as pusher:
        for repository, tags in stock.items():
            for tag, manifest in tags.items():
                pusher.push(manifest, repository, tag)


@contextmanager
def registries(
    source: DockerRegistry, folder: Path, *, equal: bool = False
) -> Iterator[Registries]:
    """The source and a new destination, which holds the same where they are to be equal."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as scope:
        destination = scope.enter_context(server())
        if equal:
            shutil.copytree(source.storage, destination.storage, dirs_exist_ok=True)
        yield Registries(
            source=source,
            destination=destination,
            source_counted=scope.enter_context(counted(source.host, folder, "source")),
            destination_counted=scope.enter_context(
                counted(destination.host, folder, "destination")
            ),
        )


def blobs_of(stock: Stock) -> dict[str, Blob]:
    """Each blob once, by its digest."""
    return {
        digest: blob
        for manifest in manifests_of(stock)
        for digest, blob in manifest.all_blobs.items()
    }


def manifests_of(stock: Stock) -> Iterable[Manifest]:
    return (manifest for tags in stock.values() for manifest in tags.values())
