"""Fills and inspects buckets with AWS's own client, apart from the code under test.

It uses botocore, which the package depends on anyway, so that the demo can use it too.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.endpoint import Endpoint

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    size: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An object to put: its bytes, and further PutObject parameters such as ContentType."""

    content: bytes
    options: Mapping[str, Any]


@cache
def _session() -> botocore.session.Session:
    # It keeps the service's description, whose reading is most of the time to make a client.
    return botocore.session.Session()


class Boto:
    """One S3 endpoint. `client` is a plain botocore client for all that has no method here."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        anonymous: bool = False,
        connections: int = 32,
        attempts: int = 4,
        timeout_s: float = 60,
    ) -> None:
        config = Config(
            s3={"addressing_style": "path"},
            signature_version=UNSIGNED if anonymous else "s3v4",
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=timeout_s,
            # Not every server here knows trailing checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self.client: Any = _session().create_client(
            "s3",
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
            verify=None if endpoint.ca_bundle is None else str(endpoint.ca_bundle),
            config=config,
        )
        self._connections = connections

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_bucket(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket)

    def delete_bucket(self, bucket: str) -> None:
        """Removes the bucket with all it holds; a bucket that is not there is fine."""
        try:
            self.delete_all(bucket)
            self.client.delete_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchBucket", "404"}:
                raise

    def put(self, bucket: str, key: str, content: bytes = b"", **options: Any) -> str:
        """Returns the ETag without its quotes."""
        answer = self.client.put_object(Bucket=bucket, Key=key, Body=content, **options)
        return str(answer["ETag"]).strip('"')

    def put_objects(
        self, bucket: str, objects: Mapping[str, bytes | Body], *, threads: int = 16
    ) -> None:
        def put(item: tuple[str, bytes | Body]) -> None:
            key, body = item
            if isinstance(body, Body):
                self.put(bucket, key, body.content, **body.options)
            else:
                self.put(bucket, key, body)

        with ThreadPoolExecutor(min(threads, self._connections)) as pool:
            for _ in pool.map(put, objects.items()):
                pass

    def put_multipart(
        self, bucket: str, key: str, content: bytes, *, part_bytes: int = 5 * _MIB, **options: Any
    ) -> str:
        """Uploads in parts; options go to CreateMultipartUpload. Returns the ETag."""
        upload_id = self.start_multipart(bucket, key, **options)
        parts = []
        for number, at in enumerate(range(0, len(content), part_bytes), start=1):
            etag = self.put_part(bucket, key, upload_id, number, content[at : at + part_bytes])
            parts.append({"PartNumber": number, "ETag": etag})
        answer = self.client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        return str(answer["ETag"]).strip('"')

    def start_multipart(self, bucket: str, key: str, **options: Any) -> str:
        """Leaves an upload open and returns its id."""
        answer = self.client.create_multipart_upload(Bucket=bucket, Key=key, **options)
        return str(answer["UploadId"])

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, content: bytes) -> str:
        answer = self.client.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=content
        )
        return str(answer["ETag"])

    def head(self, bucket: str, key: str) -> dict[str, Any]:
        return dict(self.client.head_object(Bucket=bucket, Key=key))

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def listing(self, bucket: str, prefix: str = "") -> dict[str, Listed]:
        """Every key in the order that the server gave."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {
            entry["Key"]: Listed(size=entry["Size"], etag=entry["ETag"].strip('"'))
            for page in pages
            for entry in page.get("Contents", ())
        }

    def uploads(self, bucket: str, prefix: str = "") -> list[tuple[str, str]]:
        """Key and id of every multipart upload that is open."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, Prefix=prefix
        )
        return [
            (upload["Key"], upload["UploadId"])
            for page in pages
            for upload in page.get("Uploads", ())
        ]

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        remaining = list(keys)
        for at in range(0, len(remaining), 1000):
            batch = [{"Key": key} for key in remaining[at : at + 1000]]
            self.client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})

    def delete_all(self, bucket: str) -> None:
        self.delete(bucket, self.listing(bucket))

    @contextmanager
    def bucket(self, name: str) -> Iterator[str]:
        """A bucket for as long as the scope lasts."""
        self.create_bucket(name)
        try:
            yield name
        finally:
            self.delete_bucket(name)
