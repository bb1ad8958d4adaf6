"""What a store says of its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple, cast

NO_METADATA: Mapping[str, str] = {}


class ObjectEntry(NamedTuple):
    """One object of a listing. A tuple because a run makes billions of them.

    Python compares `str` by code point, which is the order of UTF-8 bytes; so keys are `str` here
    and are compared directly.
    """

    key: str
    size: int
    etag: str  # without quotes; "" where the store has none
    modified_at: datetime | None
    storage_class: str = ""  # "" where the store has none


_new_entry = cast(
    "Callable[[tuple[str, int, str, datetime | None, str]], ObjectEntry]",
    partial(tuple.__new__, ObjectEntry),
)


def entries_of(
    keys: Iterable[str],
    sizes: Iterable[int],
    etags: Iterable[str],
    times: Iterable[datetime | None],
    classes: Iterable[str],
) -> list[ObjectEntry]:
    """The entries of these columns, made without a call of Python code for each.

    Raises:
        ValueError: the columns are not of one length.
    """
    return list(map(_new_entry, zip(keys, sizes, etags, times, classes, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a listing, in the store's own order.

    Attributes:
        entries: may be empty although more follow.
        next_token: hand it back to get the page that follows; "" at the end of the listing.
    """

    entries: list[ObjectEntry]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is kept of an object beside its bytes. Empty string: not set."""

    content_type: str = ""
    content_encoding: str = ""
    content_language: str = ""
    content_disposition: str = ""
    cache_control: str = ""
    expires: str = ""  # as the store gave it; HTTP date
    metadata: Mapping[str, str] = field(default_factory=dict)  # user metadata, names lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How an object is written. Empty string: the store's default.

    Attributes:
        storage_class: the destination's storage class.
        acl: a canned ACL.
        sse: "", "AES256" or "aws:kms".
        kms_key: key id or ARN for "aws:kms".
        tags: object tags to set with the write.
    """

    storage_class: str = ""
    acl: str = ""
    sse: str = ""
    kms_key: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object as HEAD or GET tells it.

    Attributes:
        size: of the whole object in bytes, also where a range was asked for.
        version: version id, "" where the bucket is not versioned.
        tag_count: as the response said; 0 where it said nothing.
        checksums: algorithm ("crc32", "crc32c", "crc64nvme", "sha1", "sha256", "md5") to its base64
            value; only those of the whole object, and only when they were asked for.
        parts: number of parts it was uploaded in, 0 where unknown.
        encrypted_by_key: true where the etag is not an MD5 because of SSE-KMS or SSE-C.
    """

    key: str
    size: int
    etag: str
    modified_at: datetime | None
    attributes: Attributes
    storage_class: str = ""
    version: str = ""
    tag_count: int = 0
    checksums: Mapping[str, str] = field(default_factory=dict)
    parts: int = 0
    encrypted_by_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a store says of a write. `etag` is "" where it has none; `not_kept` names the attributes
    and options that it could not keep, such as "content_type" or "metadata"."""

    etag: str
    version: str = ""
    not_kept: tuple[str, ...] = ()
    encrypted_by_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedUpload:
    """A multipart upload that was begun; `not_kept` as of `Written`."""

    upload_id: str
    not_kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedPart:
    """A part of a multipart upload that the store holds.

    Attributes:
        encrypted_by_key: told when it was uploaded: its etag is no MD5, whatever it looks like.
    """

    number: int
    etag: str
    size: int
    encrypted_by_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    initiated_at: datetime | None
