"""Which kind of request to a registry one is, by its method and target."""

import re
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qs


class Kind(StrEnum):
    """Of the OCI distribution protocol; a manifest's and a blob's HEAD, GET and PUT apart."""

    HELLO = "hello"
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST_HEAD = "manifest HEAD"
    MANIFEST_GET = "manifest GET"
    MANIFEST_PUT = "manifest PUT"
    BLOB_HEAD = "blob HEAD"
    BLOB_GET = "blob GET"
    MOUNT = "mount"
    UPLOAD_POST = "upload POST"
    UPLOAD_PATCH = "upload PATCH"
    UPLOAD_PUT = "upload PUT"
    OTHER = "other"


BLOBS = frozenset({Kind.BLOB_HEAD, Kind.BLOB_GET, Kind.MOUNT}) | {
    Kind.UPLOAD_POST,
    Kind.UPLOAD_PATCH,
    Kind.UPLOAD_PUT,
}
"""Those that have to do with a blob."""

_PART = re.compile(r"/v2/.+/(manifests|blobs)/(?:(uploads)/)?[^/]*$")


@lru_cache(maxsize=10_000)
def kind_of(method: str, target: str) -> Kind:
    path, _, query = target.partition("?")
    if path in {"/v2", "/v2/"}:
        return Kind.HELLO
    if path == "/v2/_catalog":
        return Kind.CATALOG
    if path.endswith("/tags/list"):
        return Kind.TAGS
    found = _PART.match(path)
    if found is None:
        return Kind.OTHER
    if found[2] and method == "POST" and "mount" in parse_qs(query):
        return Kind.MOUNT
    noun = "upload" if found[2] else found[1].removesuffix("s")
    try:
        return Kind(f"{noun} {method}")
    except ValueError:
        return Kind.OTHER


def uploaded(target: str) -> str:
    """The digest of the blob whose upload this ends; "" where it ends none."""
    return parse_qs(target.partition("?")[2]).get("digest", [""])[0]
