"""Many images of every kind, and whether a registry has them all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from tests.acceptance.images import Side
from tests.servers.oci_images import (
    AMD64,
    ARM64,
    Manifest,
    artifact,
    family,
    image,
    index,
    layer,
    multi_platform,
    nested_index,
)

HEAVY_BYTES = 17 << 20
"""More than our own client carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An image in a repository, at each of these tags; at its digest alone where there are none."""

    repository: str
    manifest: Manifest
    tags: tuple[str, ...] = ()


@cache
def heavy(seed: str, size: int = HEAVY_BYTES) -> Manifest:
    """An image that skopeo carries, with a light layer beside the heavy one."""
    return image(seed, layers=[layer(f"{seed} heavy", size), layer(f"{seed} light")])


@cache
def heavy_index(seed: str) -> Manifest:
    """An index of two platforms, one of which is heavy."""
    large = image(seed, layers=[layer(f"{seed} large", HEAVY_BYTES)], platform=AMD64)
    return index([large, image(seed, platform=ARM64)])


@cache
def every_kind() -> tuple[Held, ...]:
    """66 tags: families with layers in common, indexes with attestations, nested ones, Docker's
    kinds, artifacts, signatures, several tags of one image, and two heavy ones."""
    signed = image("signed")
    signature = artifact("signature", kind="application/vnd.dev.cosign.simplesigning.v1+json")
    return (
        *(
            Held(repository=f"base/{kin}", manifest=made, tags=(f"v{n}",))
            for kin in ("web", "api", "job")
            for n, made in enumerate(family(f"base {kin}", 10))
        ),
        *(
            Held(
                repository=f"app/{n % 3}",
                manifest=multi_platform(f"app {n}", attested=n % 2 == 0),
                tags=(f"1.{n}", f"stable-{n}"),
            )
            for n in range(8)
        ),
        *(
            Held(repository="nested", manifest=nested_index(f"nested {n}"), tags=(f"{n}",))
            for n in range(3)
        ),
        *(
            Held(repository=f"docker/{n}", manifest=image(f"docker {n}", docker=True), tags=("1",))
            for n in range(4)
        ),
        Held(repository="docker/0", manifest=multi_platform("list", docker=True), tags=("list",)),
        *(
            Held(repository="charts", manifest=artifact(f"chart {n}"), tags=(f"{n}",))
            for n in range(4)
        ),
        Held(repository="signed", manifest=signed, tags=("1", "latest")),
        Held(
            repository="signed",
            manifest=signature,
            tags=(f"{signed.digest.replace(':', '-')}.sig",),
        ),
        Held(repository="large/one", manifest=heavy("one"), tags=("1", "2")),
        Held(repository="large/two", manifest=heavy_index("two"), tags=("1",)),
        *(Held(repository=f"single/{n}", manifest=image(f"s{n}"), tags=("1",)) for n in range(2)),
    )


def count_tags(held: Iterable[Held]) -> int:
    return sum(len(one.tags) for one in held)


def push_all(side: Side, held: Iterable[Held]) -> None:
    for one in held:
        side.push(one.manifest, one.repository, *one.tags)


def assert_holds(side: Side, held: Sequence[Held]) -> None:
    """Every tag has its digest, every manifest is byte for byte what it was, and no blob lacks."""
    wrong = [
        f"{one.repository}:{tag}"
        for one in held
        for tag in one.tags
        if side.digest(one.repository, tag) != one.manifest.digest
    ]
    assert wrong == []
    for one in held:
        repository = f"{side.folder}/{one.repository}"
        for manifest in one.manifest.tree:
            found = side.pusher.manifest(repository, manifest.digest)
            assert found is not None, f"{repository}@{manifest.digest} is not there"
            assert found.content == manifest.content
            assert found.media_type == manifest.media_type
        lacking = [d for d in one.manifest.all_blobs if not side.pusher.has_blob(repository, d)]
        assert lacking == [], f"{repository} lacks blobs"
