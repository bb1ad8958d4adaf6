"""Buckets as the tests see them: filled and read with AWS's own client, apart from our code."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers.boto import Body, Boto, Listed
from tests.servers.endpoint import Endpoint

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket on a server."""

    endpoint: Endpoint
    bucket: str
    boto: Boto

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def __str__(self) -> str:
        return self.url

    def put(self, key: str, content: bytes = b"", **options: Any) -> str:
        return self.boto.put(self.bucket, key, content, **options)

    def fill(self, objects: Mapping[str, bytes | Body]) -> None:
        self.boto.put_objects(self.bucket, objects)

    def put_multipart(self, key: str, content: bytes, **options: Any) -> str:
        return self.boto.put_multipart(self.bucket, key, content, **options)

    def delete(self, *keys: str) -> None:
        self.boto.delete(self.bucket, keys)

    def delete_unprintable(self) -> None:
        """Deletes the keys that the XML of DeleteObjects cannot name."""
        for key in self.listing():
            if not key.isprintable():
                self.boto.client.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        """In byte order, whatever order the server has."""
        return sorted(self.listing(prefix), key=str.encode)

    def listing(self, prefix: str = "") -> dict[str, Listed]:
        return self.boto.listing(self.bucket, prefix)

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """Every object, read whole."""
        return {key: self.get(key) for key in self.keys(prefix)}

    def get(self, key: str) -> bytes:
        return self.boto.get(self.bucket, key)

    def head(self, key: str) -> dict[str, Any]:
        return self.boto.head(self.bucket, key)

    def tags(self, key: str) -> dict[str, str]:
        answer = self.boto.client.get_object_tagging(Bucket=self.bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def uploads(self) -> list[tuple[str, str]]:
        """Multipart uploads that are open."""
        return self.boto.uploads(self.bucket)


def content_of(key: str, size: int) -> bytes:
    """Bytes that belong to this key alone.

    >>> content_of("a", 3) == content_of("b", 3)
    False
    """
    seed = hashlib.sha256(key.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]
