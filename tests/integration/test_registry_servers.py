"""The registries that tests use, and the images that they put there, are what they promise."""

import subprocess
import uuid
from pathlib import Path

import pytest

from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import (
    DOCKER_LIST,
    Manifest,
    artifact,
    family,
    image,
    index,
    layer,
    multi_platform,
    nested_index,
    referrers_index,
    referrers_tag,
    write_layout,
)
from tests.servers.pusher import Pusher, RegistryAnswerError

pytestmark = pytest.mark.registries

KINDS = {
    "image": image("one"),
    "docker": image("one", docker=True),
    "index": multi_platform("many"),
    "docker list": multi_platform("many", docker=True),
    "attested": multi_platform("proven", attested=True),
    "nested": nested_index("deep"),
    "artifact": artifact("sbom"),
    "empty index": index([]),
}


@pytest.fixture
def repository() -> str:
    return f"test/{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_kept_as_it_was_pushed(
    kind: str, pusher: Pusher, repository: str
) -> None:
    made = KINDS[kind]
    pusher.push(made, repository, "latest")
    held = pusher.manifest(repository, "latest")
    assert held is not None
    assert (held.content, held.media_type, held.digest) == (
        made.content,
        made.media_type,
        made.digest,
    )
    assert all(pusher.digest(repository, part.digest) == part.digest for part in made.tree)
    assert all(pusher.has_blob(repository, digest) for digest in made.all_blobs)


def test_the_same_seed_gives_the_same_digest_and_another_one_another() -> None:
    assert multi_platform("a", attested=True).digest == multi_platform("a", attested=True).digest
    assert multi_platform("a").digest != multi_platform("b").digest
    assert multi_platform("a", docker=True).media_type == DOCKER_LIST


def test_a_family_shares_its_base() -> None:
    first, second = family("base", 2)
    assert len(first.all_blobs.keys() & second.all_blobs.keys()) == 3


def test_hundreds_of_tags_are_cheap(pusher: Pusher, repository: str) -> None:
    names = [f"v{n}" for n in range(300)]
    made = image("tagged")
    pusher.push(made, repository, *names)
    assert pusher.tags(repository) == sorted(names)


def test_a_referrer_is_listed_at_the_fallback_tag(pusher: Pusher, repository: str) -> None:
    subject = image("subject")
    listed = referrers_index([artifact("sbom", subject)])
    pusher.push(subject, repository, "latest")
    pusher.push(listed, repository, referrers_tag(subject))
    assert pusher.digest(repository, referrers_tag(subject)) == listed.digest


def test_a_blob_is_mounted_from_where_it_was_pushed_first(pusher: Pusher, repository: str) -> None:
    blob = layer("shared")
    pusher.push_blob(blob, repository)
    pusher.push_blob(blob, f"{repository}/other")
    assert pusher.has_blob(f"{repository}/other", blob.digest)


def test_what_is_deleted_is_gone(pusher: Pusher, repository: str) -> None:
    made = image("short-lived")
    pusher.push(made, repository, "latest")
    pusher.delete_manifest(repository, made.digest)
    assert pusher.digest(repository, "latest") is None


def test_two_registries_share_nothing(pusher: Pusher, pusher_b: Pusher, repository: str) -> None:
    pusher.push(image("here"), repository, "latest")
    assert pusher_b.digest(repository, "latest") is None


def test_a_registry_with_an_account_refuses_others(registry_https: DockerRegistry) -> None:
    for user, secret in (("", ""), (ACCOUNT.user, "wrong")):
        with (
            Pusher(registry_https.url, user=user, secret=secret, ca=registry_https.ca) as stranger,
            pytest.raises(RegistryAnswerError, match="401"),
        ):
            stranger.push(image("refused"), "some/where", "latest")
    with registry_https.pusher() as owner:
        owner.push(image("accepted"), "some/where", "latest")
        assert owner.tags("some/where") == ["latest"]


@pytest.mark.parametrize("kind", ["image", "index", "attested"])
def test_skopeo_reads_the_layout_and_keeps_its_digest(
    kind: str, registry: DockerRegistry, pusher: Pusher, repository: str, tmp_path: Path
) -> None:
    made: Manifest = KINDS[kind]
    folder = write_layout(made, tmp_path / "layout", tag="v1")
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]
    places = [f"oci:{folder}:v1", f"docker://{registry.host}/{repository}:v1"]
    subprocess.run([*words, "--dest-tls-verify=false", *places], check=True, capture_output=True)
    assert pusher.digest(repository, "v1") == made.digest
