"""A task of the objects plugin, opened: two stores and what to do between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from transferhub.engine.compare import CompareMode, Comparison, is_md5
from transferhub.engine.finder import EntryPages, Finder, Scan, ScanRecord
from transferhub.engine.listing import Side
from transferhub.engine.merge import Selection
from transferhub.engine.multipart import (
    can_follow,
    is_untold,
    is_whole,
    part_size,
    parts_of,
)
from transferhub.engine.replication import Copied, PartPlan
from transferhub.engine.retry import FATAL_CODES
from transferhub.engine.verify import (
    md5_of,
    told_md5,
    verify_length,
    verify_md5,
)
from transferhub.errors import (
    ArchivedError,
    ChangedError,
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    TransferHubError,
    UnsupportedError,
)
from transferhub.model.clock import utc_now
from transferhub.model.objects import (
    Attributes,
    ObjectInfo,
    WriteOptions,
    Written,
)
from transferhub.model.transfer import NOT_KEPT, Part, RunId, Transfer, TransferState, Upload
from transferhub.plugins.objects.etags import Etags
from transferhub.plugins.objects.event_scan import EventScan, Following
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.manifest_scan import ManifestScan
from transferhub.plugins.objects.parts import Parts
from transferhub.stores.base import ObjectStore

_CLOCK_TOLERANCE = timedelta(seconds=90)
_CREATED_WITHIN = timedelta(minutes=10)
"""An upload whose id a crash left untold is known by its key and its time: not before the intent,
as far as clocks agree, and not long after it, for it may have waited for its turn."""
_BEARABLE_GROWTH = 1 << 20
"""Bytes that an object may have more than `weight` held memory for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How objects are written.

    Attributes:
        options: acl and encryption.
        storage_class_for: of the destination, by that of the source; "" leaves it open.
        keep_metadata: user metadata and headers go along.
        tags: tags go along.
        server_side: copies stay on the server.
        part_size: bytes; None is chosen by object.
    """

    options: WriteOptions
    storage_class_for: Callable[[str], str]
    keep_metadata: bool = True
    tags: bool = False
    server_side: bool = False
    part_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which objects: by listing the prefixes, by `keys` (relative), or by an inventory."""

    prefixes: Sequence[str]
    selection: Selection
    keys: Callable[[], AsyncIterator[list[str]]] | None = None
    inventory: EntryPages | None = None


class ObjectReplication:
    """Replication of objects between two stores, which it closes."""

    fatal_codes = FATAL_CODES

    def __init__(
        self,
        *,
        source: ObjectStore,
        destination: ObjectStore,
        keys: KeyMap,
        scope: Scope,
        compare: CompareMode,
        writing: Writing,
        listers: int,
    ) -> None:
        self._source = source
        self._destination = destination
        self._keys = keys
        self._scope = scope
        self._compare = compare
        self._writing = writing
        self._listers = listers
        self._etags = Etags(source, destination, sse=writing.options.sse)
        self._parts = Parts(source, destination, self._etags, server_side=writing.server_side)

    @property
    def server_side(self) -> bool:
        """Whether copies stay on the server."""
        return self._writing.server_side

    async def check(self) -> None:
        # At once, but it is the source of which a person hears first.
        checks = await asyncio.gather(
            self._check(self._source), self._check(self._destination), return_exceptions=True
        )
        for failure in checks:
            if failure is not None:
                raise failure

    async def _check(self, store: ObjectStore) -> None:
        try:
            await store.check()
        except DeniedError as error:
            # Who names each key needs no right to list.
            if self._scope.keys is None or error.vendor_code != "AccessDenied":
                raise

    async def find(
        self, run: RunId, record: ScanRecord, spool: Path, talk: Callable[[str], None]
    ) -> None:
        if self._scope.keys is not None:
            await ManifestScan(
                run=run,
                ledger=record,
                source=self._source,
                destination=self._destination,
                keys=self._keys,
                selection=self._scope.selection,
                comparison=Comparison(self._compare, self._source, self._destination),
                concurrency=self._listers,
            ).find(self._scope.keys())
            return
        await Finder(run, record, self._scan(spool), talk=talk).find()

    async def follow(self, run: RunId, following: Following) -> None:
        """Finds as `find` does, but looks only at the keys that events name, as they come."""
        await EventScan(
            following,
            run=run,
            source=self._source,
            destination=self._destination,
            keys=self._keys,
            prefixes=self._scope.prefixes,
            selection=self._scope.selection,
            comparison=Comparison(self._compare, self._source, self._destination, strict=True),
            concurrency=self._listers,
        ).find()

    def _scan(self, spool: Path) -> Scan:
        return Scan(
            source=Side(store=self._source, base=self._keys.source_base),
            destination=Side(store=self._destination, base=self._keys.destination_base),
            prefixes=self._scope.prefixes,
            comparison=Comparison(self._compare, self._source, self._destination),
            selection=self._scope.selection,
            spool=spool,
            listers=self._listers,
            inventory=self._scope.inventory,
        )

    # Copying whole objects

    async def plan(self, transfer: Transfer) -> PartPlan | None:
        capable = self._destination.capabilities
        largest = capable.max_put_bytes
        chosen = self._writing.part_size
        if self._writing.server_side and chosen is None and transfer.size <= largest:
            return None
        if not capable.multipart:
            return None
        if (
            chosen is None
            and is_untold(transfer.size, transfer.etag)
            and self._etags.may_prove_parts
        ):
            chosen = await self._first_part_size(transfer)
        if is_whole(transfer.size, transfer.etag, largest, chosen):
            return None
        each = part_size(transfer.size, transfer.etag, chosen)
        parts = parts_of(transfer.size, each)
        if len(parts) == 1 and not capable.md5_etags:
            return None  # one part is for the sake of the etag
        return PartPlan(key=self._keys.landing(transfer.key), parts=parts)

    async def _first_part_size(self, transfer: Transfer) -> int | None:
        """As the source tells it; None where it cannot be followed."""
        try:
            each = await self._source.first_part_size(transfer.key)
        except StoreError as error:
            if error.retryable:
                raise
            return None  # the copy will meet the cause and say it
        return each if can_follow(each, transfer.size, transfer.etag) else None

    def weight(self, transfer: Transfer) -> int:
        return 0 if self._writing.server_side else transfer.size

    async def copy(self, transfer: Transfer) -> Copied:
        try:
            if self._writing.server_side:
                return await self._copy_on_server(transfer)
            return await self._copy_through(transfer)
        except _GoneError as gone:
            return gone.copied

    async def _copy_through(self, transfer: Transfer) -> Copied:
        key = self._keys.landing(transfer.key)
        info, body = await self._read(transfer)
        verify_length(info, body, where=self._source.location)
        attributes, options = await self._written_as(info)
        told = told_md5(info, md5_etags=self._source.capabilities.md5_etags)
        if told is not None and not self._etags.prove_writes:
            await self._verify_bytes(info, body)
        try:
            # Of bytes that are not those of the source's etag, the destination says so.
            md5 = told or await md5_of(body)
            written = await self._destination.put(
                key, body, attributes=attributes, options=options, md5=md5
            )
            self._etags.verify(key, written, md5.hex())
        except CorruptError:
            if told is not None:
                await self._verify_bytes(info, body)
            raise
        if told is not None and self._etags.prove_writes and not _tells(written):
            self._etags.tell = False
            await self._verify_bytes(info, body)
        return Copied(moved_bytes=len(body), etag=written.etag, note=_note(written.not_kept))

    async def _verify_bytes(self, info: ObjectInfo, body: bytes) -> None:
        verify_md5(info, await md5_of(body), where=self._source.location)

    async def _read(self, transfer: Transfer) -> tuple[ObjectInfo, bytes]:
        """The object as it is now, whole; one that outgrew its listing starts over instead."""
        try:
            async with self._source.get(transfer.key) as reader:
                grown = reader.info.size - transfer.size
                if grown > _BEARABLE_GROWTH or (grown > 0 and self._is_large(reader.info)):
                    raise ChangedError(
                        f"{transfer.key!r} at {self._source.location} grew from {transfer.size} to"
                        f" {reader.info.size} bytes after it was listed; it starts over"
                    )
                self._refuse_cut_off(transfer, reader.info)
                return reader.info, await reader.read()
        except (NotFoundError, ArchivedError) as error:
            raise _gone(error) from error

    def _refuse_cut_off(self, transfer: Transfer, info: ObjectInfo) -> None:
        """One etag is one version, and so one size: this holds where no MD5 tells."""
        if transfer.etag and info.etag == transfer.etag and info.size != transfer.size:
            raise CorruptError(
                f"{transfer.key!r} at {self._source.location} is given with {info.size} bytes, but"
                f" was listed with {transfer.size} and the same etag; it is read again",
                code="short_read",
            )

    def _is_large(self, info: ObjectInfo) -> bool:
        chosen = self._writing.part_size
        return not is_whole(
            info.size, info.etag, self._destination.capabilities.max_put_bytes, chosen
        )

    async def _copy_on_server(self, transfer: Transfer) -> Copied:
        key = self._keys.landing(transfer.key)
        info = await self._head(transfer)
        attributes, options = await self._written_as(info, told_tags=False)
        written = await self._destination.copy(
            self._source,
            transfer.key,
            key,
            if_match=info.etag,
            attributes=attributes,
            options=options,
        )
        if is_md5(info.etag) and not info.encrypted_by_key:
            self._etags.verify(key, written, info.etag)
        return Copied(etag=written.etag, note=_note(written.not_kept))

    async def _head(self, transfer: Transfer) -> ObjectInfo:
        try:
            return await self._source.head(transfer.key)
        except NotFoundError as error:
            raise _gone(error) from error

    # Copying in parts

    async def begin(self, transfer: Transfer, intent: Upload) -> Upload | Copied:
        try:
            info = await self._head(transfer)
        except _GoneError as gone:
            return gone.copied
        if info.size != transfer.size or (transfer.etag and info.etag != transfer.etag):
            raise ChangedError(
                f"{transfer.key!r} at {self._source.location} changed after it was listed;"
                " it starts over"
            )
        attributes, options = await self._written_as(info, told_tags=False)
        started = await self._destination.create_upload(
            intent.key, attributes=attributes, options=options
        )
        return intent._replace(upload_id=started.upload_id, note=_note(started.not_kept))

    async def copy_part(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        return await self._parts.copy(transfer, upload, part)

    def finish_weight(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        return self._parts.weight_of_proof(transfer, parts)

    async def finish(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Copied:
        written = await self._parts.join(transfer, upload, parts)
        moved = 0 if self._writing.server_side else transfer.size
        return Copied(moved_bytes=moved, etag=written.etag, note=upload.note)

    async def abort(self, upload: Upload) -> None:
        if upload.upload_id:
            await self._destination.abort_upload(upload.key, upload.upload_id)
            return
        started_at = upload.started_at + self._clock_difference()
        earliest, latest = started_at - _CLOCK_TOLERANCE, started_at + _CREATED_WITHIN
        for pending in await self._destination.list_uploads(upload.key):
            if pending.initiated_at is not None and earliest <= pending.initiated_at <= latest:
                await self._destination.abort_upload(upload.key, pending.upload_id)

    def _clock_difference(self) -> timedelta:
        """The destination's clock minus ours; zero where it does not tell."""
        theirs: datetime | None = getattr(self._destination, "server_time", None)
        return timedelta(0) if theirs is None else theirs - utc_now()

    # Deleting and looking again

    async def delete(self, transfers: Sequence[Transfer]) -> Mapping[str, TransferHubError]:
        by_key = {self._keys.landing(t.key): t.key for t in transfers}
        failed = await self._destination.delete(list(by_key))
        return {by_key[key]: error for key, error in failed.items()}

    async def refresh(self, transfer: Transfer) -> Transfer | None:
        try:
            info = await self._source.head(transfer.key)
        except NotFoundError:
            return None
        return transfer._replace(
            size=info.size,
            etag=info.etag,
            modified_at=info.modified_at,
            storage_class=info.storage_class,
        )

    async def aclose(self) -> None:
        await self._source.aclose()
        await self._destination.aclose()

    # What goes along

    async def _written_as(
        self, info: ObjectInfo, *, told_tags: bool = True
    ) -> tuple[Attributes, WriteOptions]:
        """Args:
        told_tags: `info` is of a GET, which says whether there are tags; a HEAD does not.
        """
        attributes = info.attributes if self._writing.keep_metadata else Attributes()
        options = self._writing.options
        storage_class = self._writing.storage_class_for(info.storage_class)
        ask = self._writing.tags and (info.tag_count > 0 or not told_tags)
        tags = await self._source.get_tags(info.key) if ask else {}
        if storage_class or tags:
            options = replace(options, storage_class=storage_class, tags=tags)
        return attributes, options


class _GoneError(Exception):
    """The source cannot be read and never could: an end, not a failure."""

    def __init__(self, copied: Copied) -> None:
        super().__init__(copied.code)
        self.copied = copied


def _gone(error: StoreError) -> Exception:
    if isinstance(error, ArchivedError):
        return _GoneError(Copied(state=TransferState.SKIPPED, code=error.code, note=error.message))
    if isinstance(error, NotFoundError) and error.code == "not_found":
        return _GoneError(Copied(state=TransferState.VANISHED, code=error.code))
    return error


def _tells(written: Written) -> bool:
    """Whether the etag of a write is the MD5 of what was written."""
    return bool(written.etag) and not written.encrypted_by_key


def _note(not_kept: Sequence[str]) -> str:
    return f"{NOT_KEPT}{', '.join(not_kept)}" if not_kept else ""


def server_side(source: ObjectStore, destination: ObjectStore, mode: str) -> bool:
    """Whether copies stay on the server.

    Raises:
        UnsupportedError: the user asked for it and it cannot be.
    """
    ours, theirs = source.capabilities, destination.capabilities
    able = (
        theirs.server_copy
        and bool(theirs.endpoint)
        and (ours.endpoint, ours.principal) == (theirs.endpoint, theirs.principal)
    )
    if mode == "server" and not able:
        raise UnsupportedError(
            f"--copy server needs one endpoint and one credential on both sides, but"
            f" {source.location} and {destination.location} have not; use --copy stream or auto",
            code="no_server_copy",
        )
    return able and mode != "stream"
