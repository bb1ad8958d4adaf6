import json

import pytest

from tests.servers import oci_images as oci
from transferhub.errors import CorruptError, UnsupportedError
from transferhub.registries.manifest import (
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Digest,
    Manifest,
    digest_of,
    index_content,
    is_digest,
    manifest_of,
    read_contents,
    read_descriptors,
)

SOME = Digest("sha256:" + "a" * 64)


def test_an_index_names_its_images_and_their_platforms() -> None:
    made = oci.multi_platform("a", attested=True)
    manifest = manifest_of(made.content)
    assert (manifest.media_type, manifest.digest) == (made.media_type, made.digest)
    contents = read_contents(manifest)
    assert [str(one.platform) for one in contents.manifests[:4]] == [
        "linux/amd64",
        "linux/arm64/v8",
        "linux/arm/v7",
        "unknown/unknown",
    ]
    assert [one.digest for one in contents.manifests] == [child.digest for child in made.children]
    assert contents.blobs == ()


@pytest.mark.parametrize("docker", [False, True])
def test_an_image_names_its_blobs(docker: bool) -> None:
    made = oci.image("a", docker=docker)
    contents = read_contents(manifest_of(made.content))
    assert [one.digest for one in contents.blobs] == [blob.digest for blob in made.blobs]
    assert contents.blobs[1].size == len(made.blobs[1].content)


def test_an_artifact_names_its_subject_and_kind() -> None:
    subject = oci.image("a")
    contents = read_contents(manifest_of(oci.artifact("b", subject).content))
    assert contents.subject is not None
    assert contents.subject.digest == subject.digest
    assert contents.artifact_type == "application/vnd.test.sbom"


def test_the_kind_of_an_artifact_without_one_is_that_of_its_config() -> None:
    contents = read_contents(manifest_of(oci.image("a").content))
    assert contents.artifact_type == oci.OCI_CONFIG


def test_a_layer_that_is_kept_elsewhere_need_not_be_in_the_registry() -> None:
    document = json.loads(oci.image("a").content)
    document["layers"][0]["urls"] = ["https://elsewhere.test/layer"]
    contents = read_contents(manifest_of(json.dumps(document).encode()))
    assert contents.blobs == (contents.config,)


def test_a_manifest_without_its_own_media_type_has_that_which_was_told() -> None:
    document = json.loads(oci.image("a").content)
    del document["mediaType"]
    content = json.dumps(document).encode()
    assert manifest_of(content, OCI_MANIFEST).media_type == OCI_MANIFEST
    assert manifest_of(b"no JSON", "x/y").media_type == "x/y"


@pytest.mark.parametrize(
    "kind", ["", "text/html", "application/vnd.docker.distribution.manifest.v1+prettyjws"]
)
def test_a_kind_of_the_past_or_of_another_world_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        read_contents(manifest_of(b"{}", kind))
    assert caught.value.code == "bad_manifest"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (OCI_MANIFEST, b"{"),
        (OCI_MANIFEST, b"[]"),
        (OCI_MANIFEST, b"{}"),
        (OCI_MANIFEST, b'{"config": {"digest": "sha256:x", "mediaType": "a", "size": 1}}'),
        (OCI_INDEX, b"{}"),
        (OCI_INDEX, b'{"manifests": [1]}'),
        (OCI_INDEX, b'{"manifests": [{"digest": "sha256:../..", "mediaType": "a", "size": 1}]}'),
    ],
)
def test_what_is_not_its_kind_is_corrupt(kind: str, content: bytes) -> None:
    with pytest.raises(CorruptError):
        read_contents(Manifest(media_type=kind, digest=SOME, content=content))


def test_an_index_that_is_written_reads_as_it_was() -> None:
    made = oci.multi_platform("a", attested=True)
    rows = read_contents(manifest_of(made.content)).manifests
    rows = (*rows, Descriptor(media_type="a/b", digest=SOME, size=1, artifact_type="c/d"))
    assert read_descriptors(index_content(rows)) == rows


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"manifests": 1}'])
def test_what_is_no_index_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no index|Expecting"):
        read_descriptors(content)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SOME, True),
        (digest_of(b"", "sha512"), True),
        ("sha256:" + "A" * 64, False),
        ("sha256:" + "a" * 63, False),
        ("sha256:" + "a" * 64 + "\n", False),
        ("md5:" + "a" * 32, False),
        ("latest", False),
    ],
)
def test_a_digest_is_one_that_can_be_checked(text: str, expected: bool) -> None:
    assert is_digest(text) is expected
