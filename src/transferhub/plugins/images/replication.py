"""A task of the images plugin, opened: its registries and what to do between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from transferhub.engine.finder import ScanRecord
from transferhub.engine.groups import each
from transferhub.engine.replication import Copied
from transferhub.engine.retry import FATAL_CODES, MACHINE_CODES
from transferhub.engine.whole import WholeCopies
from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    TransferHubError,
    TransientError,
    UnsupportedError,
)
from transferhub.model.transfer import RunId, Shard, Transfer, TransferState
from transferhub.plugins.images.blobs import Blobs
from transferhub.plugins.images.carrier import Carrier
from transferhub.plugins.images.damage import is_damage
from transferhub.plugins.images.filler import LIGHT_BYTES, Filler, Heavy
from transferhub.plugins.images.load import GoneError, Load
from transferhub.plugins.images.manifests import Manifests
from transferhub.plugins.images.moved import Moved
from transferhub.plugins.images.plan import WORK, Plan, PlanRow, RowKind, row_of
from transferhub.plugins.images.sides import OpenSide, Side
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.survey import Survey
from transferhub.registries.manifest import Digest
from transferhub.registries.skopeo import Skopeo

_SHARD = "plan"
_ROWS_AT_ONCE = 1_000
_AT_ONCE = 8


class ImageReplication(WholeCopies):
    """Replication of images between registries, which it closes."""

    def __init__(
        self,
        spec: ImagesSpec,
        *,
        source: OpenSide,
        destination: OpenSide,
        skopeo: Callable[[], Awaitable[Skopeo]],
        time_limit: timedelta,
        list_text: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Args:
        skopeo: asked for when an image is heavy.
        time_limit: for one image of one platform, where skopeo carries it.
        list_text: what the parameter `images_parameter` holds.
        """
        self._spec = spec
        self._public = spec.source.scheme == "public"
        self._source = Side(source, public=self._public)
        self._destination = Side(destination)
        self._manifests = Manifests()
        self._heavy = Heavy(skopeo=skopeo, most=spec.concurrency, time_limit=time_limit)
        self._kept_blobs: Blobs | None = None
        self._kept_carrier: Carrier | None = None
        self._refusals: dict[str, StoreError] = {}
        self._survey = Survey(
            spec,
            source=self._source,
            destination=self._destination,
            manifests=self._manifests,
            blobs=self._blobs,
            list_text=list_text,
        )

    @property
    def fatal_codes(self) -> Collection[str]:
        """Of many registries, one that fails leaves the others."""
        return MACHINE_CODES if self._public else FATAL_CODES

    async def _blobs(self) -> Blobs:
        registry = (await self._destination.at()).registry
        if self._kept_blobs is None:
            self._kept_blobs = Blobs(registry)
        return self._kept_blobs

    async def _carrier(self) -> Carrier:
        destination, blobs = await self._destination.at(), await self._blobs()
        if self._kept_carrier is None:
            filler = Filler(destination, blobs, self._heavy)
            self._kept_carrier = Carrier(destination.registry, self._manifests, filler)
        return self._kept_carrier

    async def check(self) -> None:
        sides = [self._destination] if self._public else [self._source, self._destination]
        # At once, but it is the source of which a person hears first.
        for failure in await asyncio.gather(*map(_check, sides), return_exceptions=True):
            if failure is not None:
                raise failure

    async def survey(self) -> Plan:
        """What a run would do. Changes nothing."""
        return await self._survey.plan()

    async def find(
        self, run: RunId, record: ScanRecord, spool: Path, talk: Callable[[str], None]
    ) -> None:
        shards = await record.shards(run)
        if any(shard.done for shard in shards):
            return
        if shards:
            await record.reset(run)  # it died while it wrote: the sides are not what they were
        plan = await self.survey()
        for note in plan.notes:
            talk(note)
        if self._spec.create:
            for repository, error in zip(
                plan.create,
                await each(self._create, plan.create, limit=_AT_ONCE),
                strict=True,
            ):
                if error is not None:
                    talk(f"the repository {repository} could not be created: {error.message}")
        await _record(run, record, plan)

    async def _create(self, repository: str) -> StoreError | None:
        """Why the destination does not make a repository; None: it is there."""
        if repository not in self._refusals:
            try:
                await (await self._destination.at()).repositories.create(repository)
            except StoreError as error:
                if error.code in FATAL_CODES:
                    raise
                if not error.retryable:
                    self._refusals[repository] = error
                return error
        return self._refusals.get(repository)

    # Copying

    def weight(self, transfer: Transfer) -> int:
        return min(transfer.size, LIGHT_BYTES)

    async def copy(self, transfer: Transfer) -> Copied:
        row = row_of(transfer)
        match row.kind:
            case RowKind.CONFLICT:
                return _immutable(row.replaces)
            case RowKind.GONE | RowKind.UNLISTED:
                return await self._copy_again(row)
            case _:
                return await self._copy_one(row)

    async def _copy_again(self, row: PlanRow) -> Copied:
        """Looks once more, and copies what it finds; then raises what was met, if anything."""
        plan, failures = await self._survey.again(row)
        rows = [one for one in plan.rows if one.kind in WORK]
        ends = await each(self._end_of, rows, limit=_AT_ONCE)
        for failure in (*failures, *(end for end in ends if isinstance(end, TransferHubError))):
            raise failure
        done = [end for end in ends if isinstance(end, Copied)]
        if plan.of_kind(RowKind.GONE) and not done:
            if row.kind is RowKind.GONE:
                raise _unknown(row)
            return _gone(f"there is no {row.origin} any more")
        copied = sum(end.state is TransferState.DONE for end in done)
        return Copied(
            moved_bytes=sum(end.moved_bytes for end in done),
            etag=rows[0].digest if len(rows) == 1 else "",
            note=f"{copied} of {len(plan.rows)} images were copied",
        )

    async def _end_of(self, row: PlanRow) -> Copied | TransferHubError:
        try:
            return await self._copy_one(row)
        except TransferHubError as error:
            return error

    async def _copy_one(self, row: PlanRow) -> Copied:
        if refusal := self._refusals.get(row.repository):
            raise refusal
        try:
            moved = await self._carried(row)
            await self._verify(row)
        except GoneError as gone:
            return _gone(str(gone))
        except DeniedError as error:
            if error.code != "immutable_tag":
                raise
            digest = await self._digest_there(row)
            return _immutable(digest) if digest != row.digest else Copied(etag=digest)
        return Copied(moved_bytes=moved.sent_bytes, etag=row.digest, note=str(moved))

    async def _carried(self, row: PlanRow) -> Moved:
        """With a repository made where it is missing, and with a second look where blobs are not
        where they were seen."""
        try:
            return await self._carry(row)
        except NotFoundError as error:
            if error.code == "no_repository" and self._spec.create:
                if refusal := await self._create(row.repository):
                    raise refusal from error
            elif error.code != "no_blob":
                raise
        (await self._blobs()).forget(row.repository)
        try:
            return await self._carry(row)
        except NotFoundError as error:
            if error.code == "no_blob":
                raise TransientError(error.message, code=error.code) from error
            raise

    async def _carry(self, row: PlanRow) -> Moved:
        if row.kind is RowKind.RETAG and await self._retagged(row):
            return Moved()
        host, _, repository = row.source.partition("/")
        load = Load(
            source=await self._source.at(host),
            repository=repository,
            goes_to=row.repository,
            digest=Digest(row.digest),
            reference=row.tag or row.digest,
            near=tuple({place.partition("@")[0] for place in row.after} - {row.repository}),
        )
        return await (await self._carrier()).carry(load)

    async def _retagged(self, row: PlanRow) -> bool:
        """Whether the image was there, and has the tag now. A registry need not look whether a
        manifest has its blobs, so that this is for those that are known to have them."""
        carrier = await self._carrier()
        if row.after and not carrier.has_carried(row.repository, row.digest):
            return False
        registry = (await self._destination.at()).registry
        try:
            manifest = self._manifests.kept(row.digest) or await registry.manifest(
                row.repository, row.digest
            )
            await registry.put_manifest(row.repository, row.tag, manifest)
        except (NotFoundError, UnsupportedError):
            return False
        return True

    async def _verify(self, row: PlanRow) -> None:
        try:
            found = await self._digest_there(row)
        except StoreError as error:
            if not is_damage(error):
                raise
            raise TransientError(
                f"{row.key} was written, and the destination cannot give it ({error.status}): if"
                " that lasts, its storage is damaged, as a full disk leaves it; delete there what"
                " it holds of the image.",
                status=error.status,
            ) from error
        if found != row.digest:
            raise CorruptError(
                f"{row.key} has the digest {found or 'of nothing'} at the destination after it was"
                f" copied, and not {row.digest}; it is copied again.",
                code="not_verified",
            )

    async def _digest_there(self, row: PlanRow) -> str:
        """The digest that the destination has; "" for none."""
        registry = (await self._destination.at()).registry
        try:
            return (await registry.head(row.repository, row.tag or row.digest)).digest
        except NotFoundError:
            return ""

    # Deleting and looking again

    async def delete(self, transfers: Sequence[Transfer]) -> Mapping[str, TransferHubError]:
        failed = await each(self._delete, map(row_of, transfers), limit=_AT_ONCE)
        return {
            transfer.key: error
            for transfer, error in zip(transfers, failed, strict=True)
            if error is not None
        }

    async def _delete(self, row: PlanRow) -> TransferHubError | None:
        try:
            found = await self._digest_there(row)
            if found and found != row.digest:
                return StoreError(
                    f"{row.key} was moved to {found} after it was looked at, and is not deleted.",
                    code="changed",
                )
            if found:
                repositories = (await self._destination.at()).repositories
                await repositories.delete(
                    row.repository, row.tag, Digest(row.digest), shared=row.shared
                )
        except NotFoundError:
            return None
        except TransferHubError as error:
            return error
        return None

    async def refresh(self, transfer: Transfer) -> Transfer | None:
        row = row_of(transfer)
        host, _, repository = row.source.partition("/")
        registry = (await self._source.at(host)).registry
        try:
            found = await registry.head(repository, row.tag or row.digest)
        except NotFoundError:
            return None
        return transfer if self._spec.platform else transfer._replace(etag=found.digest)

    async def aclose(self) -> None:
        await self._source.aclose()
        await self._destination.aclose()


async def _check(side: Side) -> None:
    await (await side.at()).registry.check()


async def _record(run: RunId, record: ScanRecord, plan: Plan) -> None:
    """Records the rows; only the last of them make the shard done."""
    detail = json.dumps({"rows": len(plan.rows)})
    transfers = [*plan.transfers()]
    for start in range(0, len(transfers) or 1, _ROWS_AT_ONCE):
        done = start + _ROWS_AT_ONCE >= len(transfers)
        shard = Shard(ident=_SHARD, done=done, detail=detail, counts=plan.counts)
        await record.record(run, transfers[start : start + _ROWS_AT_ONCE], [shard])


def _immutable(digest: str) -> Copied:
    return Copied(
        state=TransferState.SKIPPED,
        code="immutable_tag",
        note=f"the tag is immutable at the destination, and stays {digest}",
    )


def _unknown(row: PlanRow) -> StoreError:
    """No NotFoundError, which would be of what was seen before."""
    return StoreError(
        f"The source has no image {row.origin}; check its name and tag, and that this login may see"
        " it.",
        code="not_found",
    )


def _gone(why: str) -> Copied:
    return Copied(state=TransferState.VANISHED, code="not_found", note=why)
