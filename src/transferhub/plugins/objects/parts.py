"""The parts of large objects: how they are sent, proven and joined."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.engine.compare import is_md5
from transferhub.engine.multipart import is_followed
from transferhub.engine.verify import md5_of
from transferhub.errors import ChangedError, CorruptError, NotFoundError, StoreError
from transferhub.model.objects import UploadedPart, Written
from transferhub.model.transfer import Part, Transfer, Upload
from transferhub.plugins.objects.etags import Etags
from transferhub.stores.base import ObjectStore


class Parts:
    """Copies the parts of uploads that were begun, and makes objects of them."""

    def __init__(
        self, source: ObjectStore, destination: ObjectStore, etags: Etags, *, server_side: bool
    ) -> None:
        self._source = source
        self._destination = destination
        self._etags = etags
        self._server_side = server_side
        self._need_md5 = False  # what this process has learned, as `Etags.tell`

    async def copy(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        """Returns the part with its etag, and whether that proves its bytes."""
        if self._server_side:
            copied = await self._destination.copy_part(
                self._source,
                transfer.key,
                upload.key,
                upload.upload_id,
                part.number,
                offset=part.offset,
                length=part.size,
                if_match=transfer.etag,
            )
            return part._replace(etag=copied.etag, proven=True)
        body = await self._read_part(transfer, part)
        if (
            not self._need_md5
            and self._etags.may_prove_parts
            and is_followed(part, transfer.size, transfer.etag)
        ):
            sent = await self._send_unhashed(upload, part, body)
            if sent is not None:
                return sent
        return await self._send_hashed(upload, part, body, await md5_of(body))

    async def _send_unhashed(self, upload: Upload, part: Part, body: bytes) -> Part | None:
        """Uploads a part whose etag `join` holds against the source's; None where it tells
        nothing, or where the destination wants an MD5."""
        try:
            uploaded = await self._destination.upload_part(
                upload.key, upload.upload_id, part.number, body, md5=None
            )
        except StoreError as error:
            # A bucket that locks objects takes no part without one.
            if error.vendor_code != "InvalidRequest":
                raise
            self._need_md5 = True
            return None
        if uploaded.encrypted_by_key or not is_md5(uploaded.etag):
            self._etags.tell = False
            return None
        return part._replace(etag=uploaded.etag)

    async def _send_hashed(self, upload: Upload, part: Part, body: bytes, md5: bytes) -> Part:
        uploaded = await self._destination.upload_part(
            upload.key, upload.upload_id, part.number, body, md5=md5
        )
        if uploaded.encrypted_by_key or not is_md5(uploaded.etag):
            self._etags.tell = False
        else:
            self._etags.verify(upload.key, Written(etag=uploaded.etag), md5.hex())
        return part._replace(etag=uploaded.etag, proven=True)

    async def _read_part(self, transfer: Transfer, part: Part) -> bytes:
        try:
            async with self._source.get(
                transfer.key, offset=part.offset, length=part.size, if_match=transfer.etag
            ) as reader:
                body = await reader.read()
        except NotFoundError as error:
            raise ChangedError(
                f"{transfer.key!r} vanished from {self._source.location} while it was copied"
            ) from error
        if len(body) != part.size:
            raise CorruptError(
                f"{transfer.key!r} at {self._source.location} gave {len(body)} bytes for part"
                f" {part.number} instead of {part.size}",
                code="short_read",
            )
        return body

    async def join(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Written:
        """Makes the object of its parts once all are proven."""
        parts = await self._proven(transfer, upload, parts)
        uploaded = [UploadedPart(number=p.number, etag=p.etag, size=p.size) for p in parts]
        expected = self._etags.expected(parts)
        try:
            written = await self._destination.complete_upload(
                upload.key, upload.upload_id, uploaded
            )
        except NotFoundError as error:
            if error.code != "no_upload":
                raise
            written = await self._completed_before(transfer, upload, expected, error)
        self._etags.verify(upload.key, written, expected)
        return written

    async def _completed_before(
        self, transfer: Transfer, upload: Upload, expected: str, error: NotFoundError
    ) -> Written:
        """Whether the object of the parts stands there: its completion's answer was lost then."""
        try:
            found = await self._destination.head(upload.key)
        except NotFoundError:
            raise error from None
        same = found.etag == expected if expected else found.size == transfer.size
        if not same:
            raise error
        return Written(etag=found.etag, encrypted_by_key=found.encrypted_by_key)

    def weight_of_proof(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        """Bytes of memory that `join` needs: it reads one part at a time again."""
        return max((part.size for part in self._unproven(transfer, parts)), default=0)

    def _unproven(self, transfer: Transfer, parts: Sequence[Part]) -> Sequence[Part]:
        """The parts that may hold other bytes than the source has, whatever process sent them.

        None where the etags of all together are that of the source. Else the part size was a wrong
        guess, the destination's etags stopped telling, or a part was damaged on its way.
        """
        unproven = [part for part in parts if not part.proven]
        return unproven if unproven and self._etags.expected(parts) != transfer.etag else ()

    async def _proven(
        self, transfer: Transfer, upload: Upload, parts: Sequence[Part]
    ) -> Sequence[Part]:
        """The parts, none of which holds other bytes than the source has."""
        doubted = set(self._unproven(transfer, parts))
        if not doubted:
            return parts
        self._need_md5 = True
        return [
            await self._read_again(transfer, upload, part) if part in doubted else part
            for part in parts
        ]

    async def _read_again(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        """The part; sent once more where it holds other bytes than two readings give."""
        md5 = await md5_of(await self._read_part(transfer, part))
        if md5.hex() == part.etag:
            return part
        body = await self._read_part(transfer, part)
        if await md5_of(body) != md5:
            raise CorruptError(
                f"part {part.number} of {transfer.key!r} at {self._source.location} comes with"
                " other bytes each time; the way from there is damaged"
            )
        return await self._send_hashed(upload, part, body, md5)
