"""Multipart uploads as folders of part files, which survive a restart.

.dth-tmp/uploads/<upload id>/upload.json
                             <number of a part>
"""

# os.path, because pathlib tidies paths up and a key is exact:
# ruff: noqa: PTH104, PTH118, PTH119, PTH123, PTH208

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from transferhub.errors import CorruptError, NotFoundError, UnsupportedError
from transferhub.model.objects import PendingUpload, UploadedPart
from transferhub.stores.base import MAX_PARTS
from transferhub.stores.local.faults import mapped
from transferhub.stores.local.paths import etag_of
from transferhub.stores.local.threads import in_thread
from transferhub.stores.local.writing import NewFile, Scratch

JOIN_STEP_BYTES = 64 << 20

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "upload.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """What is remembered of an upload."""

    key: str
    initiated_at: str


class Uploads:
    """The open uploads under one root. Its methods block, but for `join`."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch

    def create(self, record: UploadRecord) -> str:
        def make(folder: str) -> None:
            # Whole or not at all: an upload without its record would be nobody's to give up.
            begun = self._scratch.within("new", os.mkdir)
            with open(os.path.join(begun, _RECORD), "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)
            os.rename(begun, folder)

        with mapped("create_upload", self._scratch.folder("uploads")):
            return os.path.basename(self._scratch.within("uploads", make))

    def record(self, key: str, upload_id: str) -> UploadRecord:
        """Raises NotFoundError "no_upload" where it is not an open upload of this very key."""
        record = self._read(upload_id)
        if record is None or record.key != key:
            raise _no_upload(key, upload_id)
        return record

    def pending(self, key: str) -> list[PendingUpload]:
        try:
            ids = sorted(os.listdir(self._scratch.folder("uploads")))
        except FileNotFoundError:
            return []
        found = ((upload_id, self._read(upload_id)) for upload_id in ids)
        return [
            PendingUpload(
                key=key,
                upload_id=upload_id,
                initiated_at=datetime.fromisoformat(record.initiated_at),
            )
            for upload_id, record in found
            if record is not None and record.key == key
        ]

    def write_part(self, key: str, upload_id: str, number: int, body: bytes) -> UploadedPart:
        self.record(key, upload_id)
        if not 1 <= number <= MAX_PARTS:
            raise UnsupportedError(f"upload_part {key!r}: there is no part number {number}.")
        with NewFile(self._scratch) as file:
            file.write(body)
            with mapped("upload_part", key):
                try:
                    etag = file.move_to(self._part_path(upload_id, number))
                except FileNotFoundError:
                    raise _no_upload(key, upload_id) from None
        return UploadedPart(number=number, etag=etag, size=len(body))

    def parts(self, key: str, upload_id: str) -> list[UploadedPart]:
        self.record(key, upload_id)
        folder = self._folder(upload_id)
        with mapped("list_parts", folder), os.scandir(folder) as found:
            parts = [_part(one) for one in found if one.name != _RECORD]
        return sorted(parts, key=lambda part: part.number)

    async def join(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart], file: NewFile
    ) -> None:
        """Appends the parts to `file`; they stay until `drop`, so that a crash loses none."""
        for part in parts:
            source = _PartFile(self._part_path(upload_id, part.number))
            try:
                await in_thread(partial(source.open, key, part))
                left = part.size
                while left:
                    step = min(left, JOIN_STEP_BYTES)
                    left -= await in_thread(partial(_append, file, source, step))
            finally:
                source.close()

    def drop(self, upload_id: str) -> bool:
        """Forgets an upload and its parts; false where it was not there."""
        if not _UPLOAD_ID.fullmatch(upload_id):
            return False
        return self._scratch.retire(self._folder(upload_id))

    def _folder(self, upload_id: str) -> str:
        return os.path.join(self._scratch.folder("uploads"), upload_id)

    def _part_path(self, upload_id: str, number: int) -> str:
        return os.path.join(self._folder(upload_id), str(number))

    def _read(self, upload_id: str) -> UploadRecord | None:
        if not _UPLOAD_ID.fullmatch(upload_id):
            return None
        path = os.path.join(self._folder(upload_id), _RECORD)
        try:
            with mapped("read", path), open(path, encoding="utf-8") as file:
                fields = json.load(file)
        except (NotFoundError, ValueError):
            # Not there, or its creator was killed before it told anyone the id.
            return None
        return UploadRecord(key=fields["key"], initiated_at=fields["initiated_at"])


class _PartFile:
    def __init__(self, path: str) -> None:
        self._path = path
        self.descriptor = -1

    def open(self, key: str, part: UploadedPart) -> None:
        fault = f"complete_upload {key!r}: part {part.number} is not as it was uploaded."
        try:
            with mapped("complete_upload", self._path):
                self.descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                status = os.fstat(self.descriptor)
        except NotFoundError:
            raise CorruptError(fault) from None
        if (etag_of(status), status.st_size) != (part.etag, part.size):
            raise CorruptError(fault)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _append(file: NewFile, source: _PartFile, size: int) -> int:
    copied = file.append(source.descriptor, size)
    if not copied:
        raise CorruptError("complete_upload: a part ended before its size.")
    return copied


def _part(one: os.DirEntry[str]) -> UploadedPart:
    status = one.stat(follow_symlinks=False)
    return UploadedPart(number=int(one.name), etag=etag_of(status), size=status.st_size)


def _no_upload(key: str, upload_id: str) -> NotFoundError:
    return NotFoundError(f"upload {upload_id!r} of {key!r} is not open.", code="no_upload")
