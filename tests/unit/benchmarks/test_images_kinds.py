"""Which request to a registry is which."""

import pytest

from benchmarks.images.kinds import BLOBS, Kind, kind_of, uploaded

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("GET", "/v2/", Kind.HELLO),
        ("GET", "/v2/_catalog?n=1000&last=a", Kind.CATALOG),
        ("GET", "/v2/team/app/tags/list?n=1000", Kind.TAGS),
        ("HEAD", "/v2/team/app/manifests/1.0", Kind.MANIFEST_HEAD),
        ("GET", f"/v2/app/manifests/{DIGEST}", Kind.MANIFEST_GET),
        ("PUT", "/v2/app/manifests/1.0", Kind.MANIFEST_PUT),
        ("HEAD", f"/v2/app/blobs/{DIGEST}", Kind.BLOB_HEAD),
        ("GET", f"/v2/app/blobs/{DIGEST}", Kind.BLOB_GET),
        ("POST", "/v2/app/blobs/uploads/", Kind.UPLOAD_POST),
        ("POST", f"/v2/app/blobs/uploads/?mount={DIGEST}&from=team/app", Kind.MOUNT),
        ("PATCH", "/v2/app/blobs/uploads/1b4e28ba?_state=x", Kind.UPLOAD_PATCH),
        ("PUT", f"/v2/app/blobs/uploads/1b4e28ba?_state=x&digest={DIGEST}", Kind.UPLOAD_PUT),
        ("DELETE", "/v2/app/manifests/1.0", Kind.OTHER),
        ("DELETE", "/v2/app/blobs/uploads/1b4e28ba", Kind.OTHER),
        ("GET", f"/v2/app/referrers/{DIGEST}", Kind.OTHER),
        ("HEAD", "/v2/blobs/manifests/manifests/uploads", Kind.MANIFEST_HEAD),
    ],
)
def test_a_request_is_of_a_kind(method: str, target: str, kind: Kind) -> None:
    assert kind_of(method, target) is kind


def test_kinds_that_have_to_do_with_blobs_are_those_of_blobs_and_uploads() -> None:
    assert set(Kind) - BLOBS == {
        Kind.HELLO,
        Kind.CATALOG,
        Kind.TAGS,
        Kind.MANIFEST_HEAD,
        Kind.MANIFEST_GET,
        Kind.MANIFEST_PUT,
        Kind.OTHER,
    }


def test_the_end_of_an_upload_names_its_blob() -> None:
    assert uploaded("/v2/app/blobs/uploads/1b4e28ba?_state=x&digest=sha256%3Aab") == "sha256:ab"
    assert uploaded("/v2/app/blobs/uploads/1b4e28ba") == ""
