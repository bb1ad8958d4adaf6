"""Multipart uploads of one bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transferhub.errors import NotFoundError
from transferhub.model.objects import (
    Attributes,
    PendingUpload,
    StartedUpload,
    UploadedPart,
    WriteOptions,
    Written,
)
from transferhub.stores.s3 import xml
from transferhub.stores.s3.errors import Operation
from transferhub.stores.s3.headers import content_md5, read_written, write_headers
from transferhub.stores.s3.listing import decode_key, parse_time
from transferhub.stores.s3.requests import Requests
from transferhub.stores.s3.transport import Response


class Uploads:
    """The multipart verbs of an ObjectStore."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def create(
        self, key: str, *, attributes: Attributes, options: WriteOptions
    ) -> StartedUpload:
        operation = Operation.CREATE_UPLOAD
        headers, not_kept = write_headers(attributes, options, self._requests.provider)
        response = await self._requests.send(
            operation, "POST", key, query={"uploads": ""}, headers=headers, body=b""
        )
        body = await self._requests.body_of(operation, key, response)
        with self._requests.xml_expected(operation, key):
            root = xml.parse(body, "InitiateMultipartUploadResult")
            upload_id = xml.required(root, "UploadId")
        return StartedUpload(upload_id=upload_id, not_kept=not_kept)

    async def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
    ) -> UploadedPart:
        response = await self._requests.send(
            Operation.UPLOAD_PART,
            "PUT",
            key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers=content_md5(md5) if md5 is not None else {},
            body=body,
        )
        written = read_written(response, response.header("etag"))
        return UploadedPart(
            number=number,
            etag=written.etag,
            size=len(body),
            encrypted_by_key=written.encrypted_by_key,
        )

    async def copy_part(
        self, key: str, upload_id: str, number: int, *, source: Mapping[str, str], size: int
    ) -> UploadedPart:
        """Args:
        source: the headers that name the source, its range and its version.
        """
        operation = Operation.COPY_PART
        response = await self._requests.send(
            operation,
            "PUT",
            key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers=dict(source),
            body=b"",
        )
        etag = await self._etag_in_body(operation, key, response, "CopyPartResult")
        return UploadedPart(number=number, etag=etag, size=size)

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> Written:
        operation = Operation.COMPLETE_UPLOAD
        response = await self._requests.send(
            operation,
            "POST",
            key,
            query={"uploadId": upload_id},
            headers={"content-type": "application/xml"},
            body=xml.complete_body(parts),
        )
        etag = await self._etag_in_body(operation, key, response, "CompleteMultipartUploadResult")
        return read_written(response, etag)

    async def _etag_in_body(
        self, operation: Operation, key: str, response: Response, root: str
    ) -> str:
        body = await self._requests.body_of(operation, key, response)
        with self._requests.xml_expected(operation, key):
            return xml.required(xml.parse(body, root), "ETag").strip('"')

    async def abort(self, key: str, upload_id: str) -> None:
        try:
            await self._requests.send(
                Operation.ABORT_UPLOAD, "DELETE", key, query={"uploadId": upload_id}
            )
        except NotFoundError as error:
            if error.code == "no_bucket":
                raise

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        operation, marker = Operation.LIST_PARTS, ""
        parts: dict[int, UploadedPart] = {}
        while True:
            query = {"uploadId": upload_id, "max-parts": "1000"}
            if marker:
                query["part-number-marker"] = marker
            page = await self._page(operation, key, query, "ListPartsResult", "Part")
            with self._requests.xml_expected(operation, key):
                # SeaweedFS lists a part that was sent again twice; the newer one counts.
                rows = sorted(page.rows, key=lambda row: row.get("LastModified", ""))
                parts |= {part.number: part for part in map(_part, rows)}
            # Not as the page says: rclone names the part that follows, which would be left out.
            before, marker = marker, str(max(parts, default=0))
            if not page.markers or marker == before:
                return [parts[number] for number in sorted(parts)]

    async def list_uploads(self, key: str) -> Sequence[PendingUpload]:
        try:
            return await self._list_uploads(key)
        except NotFoundError as error:
            if error.code != "no_upload":
                raise
            return []  # so rclone says that there is none

    async def _list_uploads(self, key: str) -> Sequence[PendingUpload]:
        query = {"uploads": "", "prefix": key}
        if self._requests.provider.url_encoding and not xml.can_hold(key):
            # Only then: SeaweedFS says that keys are encoded here, and does not encode them.
            query["encoding-type"] = "url"
        names = {key, xml.replaced(key)}
        found: list[PendingUpload] = []
        markers: Mapping[str, str] = {}
        while True:
            page = await self._page(
                Operation.LIST_UPLOADS,
                "",
                {**query, **markers},
                "ListMultipartUploadsResult",
                "Upload",
            )
            # All keys start with this one, so none but itself can be shown in a form of it.
            of_key = [row for row in page.rows if _is_of(row, key, names, encoded=page.encoded)]
            found += [_upload(row, key) for row in of_key]
            before, markers = markers, _upload_markers(page)
            # The exact key comes before those that only start with it.
            past = self._requests.provider.ordered and len(of_key) < len(page.rows)
            if past or not markers or markers == before:
                return found

    async def _page(
        self, operation: Operation, key: str, query: Mapping[str, str], root: str, row: str
    ) -> xml.RowsPage:
        response = await self._requests.send(operation, "GET", key, query=query)
        body = await self._requests.body_of(operation, key, response)
        with self._requests.xml_expected(operation, key):
            return xml.parse_rows(body, root, row)


def _part(row: Mapping[str, str]) -> UploadedPart:
    return UploadedPart(
        number=int(row.get("PartNumber", "")),
        etag=row.get("ETag", "").strip('"'),
        size=int(row.get("Size", "")),
    )


def _is_of(row: Mapping[str, str], key: str, names: set[str], *, encoded: bool) -> bool:
    shown = row.get("Key", "")
    return shown in names or (encoded and decode_key(shown) == key)


def _upload(row: Mapping[str, str], key: str) -> PendingUpload:
    return PendingUpload(
        key=key,
        upload_id=row.get("UploadId", ""),
        initiated_at=parse_time(row.get("Initiated", "")),
    )


def _upload_markers(page: xml.RowsPage) -> Mapping[str, str]:
    key = page.markers.get("NextKeyMarker", "")
    if not key:
        return {}
    return {
        "key-marker": decode_key(key) if page.encoded else key,
        "upload-id-marker": page.markers.get("NextUploadIdMarker", ""),
    }
