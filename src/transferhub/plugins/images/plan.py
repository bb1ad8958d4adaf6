"""What has to be done so that a destination has the images of a source.

Made of values alone: what both sides have, by repository and tag, as digests. The same values in
any order give the same plan.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from transferhub.engine.execution import DeleteGuard
from transferhub.errors import InputError
from transferhub.model.transfer import Action, Difference, ScanCounts, Transfer, TransferState
from transferhub.plugins.images.reference import Reference
from transferhub.plugins.images.selection import ImageEntry
from transferhub.registries.manifest import Contents
from transferhub.registries.repositories import MOVABLE, TagRule


class RowKind(StrEnum):
    """SKIP: the same digest is there. RETAG: the digest is in the repository under another name, or
    will be, by a COPY. COPY and REFERRER: it is not; a referrer belongs to another image. CONFLICT:
    the tag is another image and may not be moved. GONE: the source has not what was asked for.
    UNLISTED: what is meant could not be looked at; the worker looks again. EXTRA: the destination
    alone has the tag."""

    COPY = "copy"
    RETAG = "retag"
    REFERRER = "referrer"
    UNLISTED = "unlisted"
    CONFLICT = "conflict"
    GONE = "gone"
    EXTRA = "extra"
    SKIP = "skip"


WORK: Final = frozenset({RowKind.COPY, RowKind.RETAG, RowKind.REFERRER})
"""Rows that change the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSide:
    """What of a repository of the source is meant.

    Attributes:
        images: each with its digest.
        gone: was asked for by name and is not there.
        referrers: by the digest that they refer to.
        filtered: images that filters left out.
    """

    repository: Reference
    images: tuple[ImageEntry, ...] = ()
    gone: tuple[ImageEntry, ...] = ()
    referrers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    filtered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationSide:
    """What the destination has of what was looked for, in the repository that the source's goes to.

    Attributes:
        exists: false where the repository must be created.
        tags: digest by tag.
        digests: known to be there, with a tag or without.
        extra: those of `tags` that the source has not and the task would take, as
            `Selection.covers` tells.
    """

    repository: str
    exists: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    digests: Collection[str] = frozenset()
    rule: TagRule = MOVABLE
    extra: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One line of a plan: one tag, or one image without. A digest that is copied has one COPY in
    its repository; its other tags are each a RETAG after it.

    Attributes:
        source: host and repository; "" for EXTRA.
        repository: at the destination.
        tag: to set, to skip, or (EXTRA) to delete; "" for an image by its digest alone.
        replaces: digest that the tag has at the destination, where it is another one.
        digest: of the image at the source; for EXTRA, of the one at the destination.
        size: bytes to upload: of what several rows need, each blob is counted in one.
        after: `REPOSITORY@DIGEST` at the destination of rows that carry blobs, the subject or the
            image of this one. To begin when they are there spares uploads; it is no condition:
            where they do not come, a RETAG can do what a COPY does.
        wave: 0 where `after` is empty, else one more than the highest of these.
        subject: digest that a REFERRER refers to.
        shared: another tag of the destination, which stays, is this image too, so that only the
            tag may be deleted.
        pushed_at: when the source got it.
    """

    kind: RowKind
    repository: str
    digest: str = ""
    source: str = ""
    tag: str = ""
    replaces: str = ""
    size: int = 0
    after: tuple[str, ...] = ()
    wave: int = 0
    subject: str = ""
    shared: bool = False
    pushed_at: datetime | None = None

    @property
    def key(self) -> str:
        """Unique in a plan: `REPOSITORY:TAG`, `REPOSITORY@DIGEST`, or `REPOSITORY` where all of it
        is UNLISTED."""
        if self.tag:
            return f"{self.repository}:{self.tag}"
        return self.place if self.digest else self.repository

    @property
    def origin(self) -> str:
        """The image at the source, as people write it."""
        return f"{self.source}:{self.tag}" if self.tag else f"{self.source}@{self.digest}"

    @property
    def place(self) -> str:
        """The image at the destination."""
        return f"{self.repository}@{self.digest}"

    @property
    def difference(self) -> Difference:
        match self.kind:
            case RowKind.SKIP:
                return Difference.SAME
            case RowKind.EXTRA:
                return Difference.EXTRA
            case _:
                return Difference.CHANGED if self.replaces else Difference.NEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rows in the order in which they should begin: what carries blobs of others first.

    Attributes:
        create: repositories that the destination has to get.
        upload_bytes: of blobs that the destination has nowhere, each once.
        unmeasured: rows that copy and whose blobs are not known, so that `upload_bytes` is less
            than what will be.
        pulls: manifests that are read from the source, which some registries count.
        filtered: images of the source that filters left out.
        destination_tags: that were looked at.
        notes: what people should know of it, a sentence each.
    """

    rows: tuple[PlanRow, ...]
    create: tuple[str, ...]
    upload_bytes: int
    unmeasured: int
    pulls: int
    filtered: int = 0
    destination_tags: int = 0
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: RowKind) -> list[PlanRow]:
        return [row for row in self.rows if row.kind is kind]

    @property
    def counts(self) -> ScanCounts:
        """Of rows: `new` and `changed` are as many as there are transfers to copy, so GONE counts
        as new; it fails."""
        found = Counter(row.difference for row in self.rows)
        same, new, changed = (
            found[difference]
            for difference in (Difference.SAME, Difference.NEW, Difference.CHANGED)
        )
        return ScanCounts(
            scanned_source=same + new + changed + self.filtered,
            scanned_destination=self.destination_tags,
            same=same,
            new=new,
            changed=changed,
            extra=found[Difference.EXTRA],
            filtered=self.filtered,
            copy_bytes=self.upload_bytes,
        )

    def check_prune(self, guard: DeleteGuard, destination: str) -> None:
        """Raises GuardError where the EXTRA rows are more than may be deleted."""
        guard.check_count(self.counts.extra, self.destination_tags, destination)

    def transfers(self) -> Iterator[Transfer]:
        """For the ledger: all but SKIP."""
        return (transfer_of(row) for row in self.rows if row.kind is not RowKind.SKIP)


def make_plan(
    sides: Iterable[tuple[SourceSide, DestinationSide]],
    *,
    manifests: Mapping[str, Contents] | None = None,
    blobs: Collection[str] = frozenset(),
    unlisted: Iterable[PlanRow] = (),
) -> Plan:
    """The plan for pairs of repositories, of which no two have one destination.

    Args:
        manifests: what manifests and indexes of both sides name, by their digest, as far as it is
            known.
        blobs: digests of blobs that are known to be at the destination, in any repository.
        unlisted: rows of what could not be looked at.

    Raises:
        InputError: one tag is asked for as two images.
    """
    pairs = sorted(sides, key=lambda pair: pair[1].repository)
    tree = _Tree(manifests or {})
    rows = [*unlisted]
    for source, destination in pairs:
        rows += _Repository(source, destination, tree).rows()
    there = {d for _, side in pairs for d in (*side.digests, *side.tags.values())}
    held = tree.blobs_of_all(there) | set(blobs)
    needs = {row.place: tree.blobs(row.digest) for row in rows if row.kind in _UPLOADS}
    rows, upload_bytes = _carried(rows, needs, held)
    targets = {row.repository for row in rows if row.kind in _UPLOADS}
    return Plan(
        rows=tuple(sorted(rows, key=_order)),
        create=tuple(d.repository for _, d in pairs if not d.exists and d.repository in targets),
        upload_bytes=upload_bytes,
        unmeasured=sum(needed is None for needed in needs.values()),
        pulls=sum(len(tree.closure(r.digest)) for r in rows if r.kind in _UPLOADS)
        + sum(row.kind is RowKind.RETAG for row in rows),
        filtered=sum(source.filtered for source, _ in pairs),
        destination_tags=sum(len(destination.tags) for _, destination in pairs),
    )


def transfer_of(row: PlanRow) -> Transfer:
    """A row for the ledger. An EXTRA is held until a guard lets it go; CONFLICT and GONE are for
    the worker to end, as skipped and as failed."""
    extra = row.kind is RowKind.EXTRA
    values = {name: getattr(row, name) for name in _DETAIL}
    told = {name: value for name, value in values.items() if value != _DETAIL[name]}
    return Transfer(
        key=row.key,
        difference=row.difference,
        size=row.size,
        etag=row.digest,
        modified_at=row.pushed_at,
        action=Action.DELETE if extra else Action.COPY,
        state=TransferState.HELD if extra else TransferState.WAITING,
        detail=json.dumps({"kind": row.kind, **told}, sort_keys=True, separators=(",", ":")),
    )


def row_of(transfer: Transfer) -> PlanRow:
    """What `transfer_of` made a transfer of."""
    values: dict[str, Any] = json.loads(transfer.detail)
    values["after"] = tuple(values.get("after", ()))
    return PlanRow(
        kind=RowKind(values.pop("kind")),
        digest=transfer.etag,
        size=transfer.size,
        pushed_at=transfer.modified_at,
        **values,
    )


_UPLOADS = frozenset({RowKind.COPY, RowKind.REFERRER})
_DETAIL: Mapping[str, object] = {
    "source": "",
    "repository": "",
    "tag": "",
    "replaces": "",
    "after": (),
    "wave": 0,
    "subject": "",
    "shared": False,
}
"""What stands in a transfer's detail, and is left out where it is this."""

_RANKS = {kind: rank for rank, kind in enumerate(RowKind)}


def _order(row: PlanRow) -> tuple[object, ...]:
    return (_RANKS[row.kind], row.wave, row.repository, row.tag, row.digest)


class _Tree:
    """What indexes name and manifests need."""

    def __init__(self, manifests: Mapping[str, Contents]) -> None:
        self._manifests = manifests

    def closure(self, digest: str) -> set[str]:
        """The digest and all that its indexes name, as far as they are known."""
        found: set[str] = set()
        rest = [digest]
        while rest:
            if (one := rest.pop()) not in found:
                found.add(one)
                known = self._manifests.get(one)
                rest += [member.digest for member in known.manifests] if known else []
        return found

    def closures(self, digests: Iterable[str]) -> set[str]:
        return {one for digest in digests for one in self.closure(digest)}

    def blobs(self, digest: str) -> dict[str, int] | None:
        """Size by digest; None where they are not all known."""
        closure = self.closure(digest)
        if not all(one in self._manifests for one in closure):
            return None
        return {b.digest: b.size for one in closure for b in self._manifests[one].blobs}

    def blobs_of_all(self, digests: Iterable[str]) -> set[str]:
        """Of these, as far as they are known."""
        known = (self._manifests.get(one, Contents()) for one in self.closures(digests))
        return {blob.digest for manifest in known for blob in manifest.blobs}


class _Repository:
    """The rows of one repository."""

    def __init__(self, source: SourceSide, destination: DestinationSide, tree: _Tree) -> None:
        self._source = source
        self._destination = destination
        self._tree = tree
        self._present = tree.closures({*destination.digests, *destination.tags.values()})
        self._wanted = _by_tag(source)
        self._entries: dict[str, ImageEntry] = {}
        for entry in source.images:
            self._entries.setdefault(entry.digest, entry)
        self._copies: dict[str, list[str]] = {}

    def rows(self) -> list[PlanRow]:
        rows = [*self._tagged(), *self._untagged()]
        rows += self._copied()
        rows += self._referrers()
        rows += self._gone()
        rows += self._extra(rows)
        return rows

    def _tagged(self) -> Iterator[PlanRow]:
        """What need not be copied; the rest goes to `copies`."""
        side = self._destination
        for tag, digest in sorted(self._wanted.items()):
            was = side.tags.get(tag, "")
            if was == digest:
                yield self._row(RowKind.SKIP, digest, tag)
            elif was and side.rule.is_immutable(tag):
                yield self._row(RowKind.CONFLICT, digest, tag)
            elif digest in self._present:
                yield self._row(RowKind.RETAG, digest, tag)
            else:
                self._copies.setdefault(digest, []).append(tag)

    def _untagged(self) -> Iterator[PlanRow]:
        digests = {entry.digest for entry in self._source.images if not entry.tag}
        for digest in sorted(digests):
            if digest in self._present:
                yield self._row(RowKind.SKIP, digest)
            else:
                self._copies.setdefault(digest, [])

    def _copied(self) -> Iterator[PlanRow]:
        """An index takes its images along: those need no row of their own but for a tag."""
        members = {one for digest in self._copies for one in self._tree.closure(digest) - {digest}}
        for digest, tags in sorted(self._copies.items()):
            if tags or digest not in members:
                first, *others = tags or [""]
                yield self._row(RowKind.COPY, digest, first)
                yield from (self._row(RowKind.RETAG, digest, tag) for tag in others)

    def _referrers(self) -> Iterator[PlanRow]:
        """Of all that is at the destination, or will be, and of the referrers themselves."""
        there = {*self._present, *self._copies}
        taken = there.intersection(self._entries)
        rest = sorted(self._tree.closures(taken))
        seen = set(rest)
        while rest:
            subject = rest.pop(0)
            for digest in sorted(set(self._source.referrers.get(subject, ())) - seen):
                seen.add(digest)
                rest.append(digest)
                if digest in self._present:
                    yield self._row(RowKind.SKIP, digest)
                else:
                    row = self._row(RowKind.REFERRER, digest)
                    yield replace(row, subject=subject)

    def _gone(self) -> Iterator[PlanRow]:
        for entry in sorted(set(self._source.gone), key=lambda e: (e.tag, e.digest)):
            yield self._row(RowKind.GONE, entry.digest, entry.tag)

    def _extra(self, rows: Sequence[PlanRow]) -> Iterator[PlanRow]:
        side = self._destination
        extra = set(side.extra) & side.tags.keys() - self._wanted.keys()
        final = {tag: digest for tag, digest in side.tags.items() if tag not in extra}
        final |= {row.tag: row.digest for row in rows if row.kind in WORK and row.tag}
        tagged = set(final.values())
        stay = {row.digest for row in rows if row.kind in WORK or row.kind is RowKind.SKIP} | tagged
        kept = self._tree.closures(stay)
        for tag in sorted(extra):
            digest = side.tags[tag]
            if digest in kept and digest not in tagged:
                continue  # with its last tag the image would go, and it is needed
            yield PlanRow(
                kind=RowKind.EXTRA,
                repository=side.repository,
                digest=digest,
                tag=tag,
                shared=digest in kept,
            )

    def _row(self, kind: RowKind, digest: str, tag: str = "") -> PlanRow:
        entry = self._entries.get(digest)
        was = self._destination.tags.get(tag, "")
        return PlanRow(
            kind=kind,
            source=str(self._source.repository),
            repository=self._destination.repository,
            digest=digest,
            tag=tag,
            replaces=was if was != digest else "",
            size=entry.size if entry and kind in _UPLOADS else 0,
            pushed_at=entry.pushed_at if entry else None,
        )


def _by_tag(source: SourceSide) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for entry in source.images:
        if entry.tag and wanted.setdefault(entry.tag, entry.digest) != entry.digest:
            raise InputError(
                "images",
                f"{source.repository}:{entry.tag} is asked for as two images,"
                f" {wanted[entry.tag]} and {entry.digest}; keep one",
            )
    return wanted


def _carried(
    rows: Sequence[PlanRow], needs: Mapping[str, dict[str, int] | None], held: Collection[str]
) -> tuple[list[PlanRow], int]:
    """The rows with `size`, `after` and `wave`, and the bytes of all uploads.

    Each blob that several rows need is carried by one of them, and the others come after it: first
    those that carry most for others, so that few have to wait for long.
    """
    missing = {
        place: {digest: size for digest, size in (blobs or {}).items() if digest not in held}
        for place, blobs in needs.items()
    }
    users = Counter(digest for blobs in missing.values() for digest in blobs)
    carrier: dict[str, str] = {}
    waves: dict[str, int] = {}
    done: dict[str, PlanRow] = {}
    for row in _carriers_first(rows, missing, users):
        blobs = missing[row.place]
        after = {carrier[digest] for digest in blobs if digest in carrier}
        subject = f"{row.repository}@{row.subject}"
        if row.subject and subject in waves:
            after.add(subject)
        fresh = {digest: size for digest, size in blobs.items() if digest not in carrier}
        carrier.update(dict.fromkeys(fresh, row.place))
        waves[row.place] = 1 + max((waves[place] for place in after), default=-1)
        known = needs[row.place] is not None
        done[row.place] = replace(
            row,
            size=sum(fresh.values()) if known else row.size,
            after=tuple(sorted(after)),
            wave=waves[row.place],
        )
    found = [done[row.place] if row.kind in _UPLOADS else _tagged_after(row, waves) for row in rows]
    sizes = {digest: size for blobs in missing.values() for digest, size in blobs.items()}
    return found, sum(sizes.values())


def _tagged_after(row: PlanRow, waves: Mapping[str, int]) -> PlanRow:
    if row.kind is not RowKind.RETAG or row.place not in waves:
        return row
    return replace(row, after=(row.place,), wave=waves[row.place] + 1)


def _carriers_first(
    rows: Sequence[PlanRow], missing: Mapping[str, Mapping[str, int]], users: Counter[str]
) -> list[PlanRow]:
    def rank(row: PlanRow) -> tuple[object, ...]:
        shared = [size for d, size in missing[row.place].items() if users[d] > 1]
        return (-sum(shared), -len(shared), row.place)

    copies = sorted((row for row in rows if row.kind is RowKind.COPY), key=rank)
    return [*copies, *(row for row in rows if row.kind is RowKind.REFERRER)]
