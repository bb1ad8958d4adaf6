"""The images that the demo replicates, the same each time."""

import json
from collections.abc import Mapping, Sequence

from tests.servers.oci_images import (
    AMD64,
    ARM64,
    Blob,
    Manifest,
    artifact,
    image,
    layer,
    multi_platform,
    referrers_index,
    referrers_tag,
)
from tests.servers.pusher import Pusher

LAYER_BYTES = 2 << 20
RELEASES = ("1.0", "1.1", "1.2")


def fill(pusher: Pusher) -> Mapping[str, int]:
    """Fills the registry and says with what."""
    for release in RELEASES:
        pusher.push(_release(release), "team/app", release)
    pusher.tag(_release(RELEASES[-1]), "team/app", "latest")
    web = [image(f"web {n}", layers=[*_base(), layer(f"web {n}")]) for n in range(8)]
    for number, built in enumerate(web):
        pusher.push(built, "team/web", f"build-{number}")
    described = artifact("sbom", web[-1])
    pusher.push(described, "team/web")
    pusher.push(referrers_index([described]), "team/web", referrers_tag(web[-1]))
    return {
        "releases for two platforms, one of them also tagged latest": len(RELEASES),
        "images that share their base layers with these": len(web),
        "SBOM that refers to one of them": 1,
    }


def change(pusher: Pusher) -> None:
    """Moves the tag latest back, and adds a release."""
    pusher.push(_release("1.3"), "team/app", "1.3")
    pusher.tag(_release(RELEASES[0]), "team/app", "latest")


def digests(pusher: Pusher) -> dict[str, str | None]:
    """Of every tag that the registry has."""
    _, _, body = pusher.ask("GET", "/v2/_catalog?n=1000")
    repositories: Sequence[str] = json.loads(body)["repositories"]
    return {
        f"{repository}:{tag}": pusher.digest(repository, tag)
        for repository in repositories
        for tag in pusher.tags(repository)
    }


def _release(number: str) -> Manifest:
    return multi_platform(f"app {number}", platforms=(AMD64, ARM64), base=_base())


def _base() -> list[Blob]:
    return [layer(f"base {number}", LAYER_BYTES) for number in range(3)]
