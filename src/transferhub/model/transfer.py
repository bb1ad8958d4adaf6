"""Transfers, leases and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

RunId = NewType("RunId", str)
WorkerId = NewType("WorkerId", str)


class Difference(StrEnum):
    """The verdict of a compare."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    EXTRA = "extra"


class Action(StrEnum):
    COPY = "copy"
    DELETE = "delete"


class TransferState(StrEnum):
    """Where a transfer stands.

    WAITING -> LEASED -> DONE | FAILED | VANISHED | SKIPPED, back to WAITING for another attempt, or
    IN_PARTS while its parts are leased instead of itself. HELD is an EXTRA key that nobody may
    delete (yet). ARCHIVED was never queued: its object must be restored first. FAILED is a dead
    letter.
    """

    WAITING = "waiting"
    LEASED = "leased"
    IN_PARTS = "in_parts"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    VANISHED = "vanished"
    SKIPPED = "skipped"
    ARCHIVED = "archived"


NOT_KEPT = "the destination did not keep: "
"""How the note of a transfer begins of which the destination could not keep everything."""

OPEN_STATES = frozenset({TransferState.WAITING, TransferState.LEASED, TransferState.IN_PARTS})
"""A run is not over while a transfer is in one of these."""


class Transfer(NamedTuple):
    """One object or image to copy or delete; `key` is unique in its run."""

    key: str
    difference: Difference
    size: int = 0
    etag: str = ""  # of the source, as listed
    modified_at: datetime | None = None
    storage_class: str = ""
    action: Action = Action.COPY
    state: TransferState = TransferState.WAITING  # to start in: WAITING, HELD or ARCHIVED
    detail: str = ""  # the plugin's own, JSON


class WorkKind(StrEnum):
    TRANSFER = "transfer"  # a whole object, image or delete
    PART = "part"
    FINISH = "finish"  # all parts are there: make the object of them


class Part(NamedTuple):
    """One part of a transfer in parts. `etag` is "" until it is uploaded; `proven` tells that its
    bytes were held against an MD5 of their own: else the etag of the whole object must prove them.
    """

    number: int
    offset: int
    size: int
    etag: str = ""
    proven: bool = False


class Upload(NamedTuple):
    """A multipart upload of ours.

    `upload_id` is "" for an intent: the worker is about to create the upload and does not know its
    id yet. An intent that outlives its worker names the only uploads that may be looked for.
    """

    key: str  # at the destination
    upload_id: str
    started_at: datetime
    note: str = ""  # for people: what its object will not keep


class UploadRecord(NamedTuple):
    """An upload that the ledger knows of. `abandoned`: its transfer does not need it any more, it
    waits to be aborted and forgotten."""

    transfer_key: str
    upload: Upload
    abandoned: bool


class Lease(NamedTuple):
    """Temporary ownership of a piece of work.

    `ident` and `token` belong to the ledger; the token fences: a stale one changes nothing.
    `parts` are all parts with their etags and is set for FINISH only.
    """

    run: RunId
    ident: int | str
    token: int | str
    kind: WorkKind
    transfer: Transfer
    attempt: int = 1
    part: Part | None = None
    upload: Upload | None = None
    parts: tuple[Part, ...] = ()


class Outcome(NamedTuple):
    """The end of a leased TRANSFER or FINISH. `state` is DONE, VANISHED or SKIPPED."""

    lease: Lease
    state: TransferState
    moved_bytes: int = 0
    etag: str = ""  # of the destination
    code: str = ""  # why it was skipped
    note: str = ""  # for people: what the destination could not keep, or what was done


class PartOutcome(NamedTuple):
    """The end of a leased PART."""

    lease: Lease
    etag: str
    proven: bool = False


class Failure(NamedTuple):
    """A failed attempt of any kind of work.

    retry_at: not before; None makes the transfer (of a part: its whole transfer) a dead letter.
    counted: false where the attempt is not to be held against it (throttled).
    fresh: the source changed: start over with this identity; upload and parts are given up.
    """

    lease: Lease
    code: str
    message: str
    retry_at: datetime | None
    counted: bool = True
    fresh: Transfer | None = None


class Attempt(NamedTuple):
    """One line of a dead letter's history."""

    at: datetime
    code: str
    message: str


class TransferRecord(NamedTuple):
    """What the ledger holds of one transfer."""

    transfer: Transfer
    state: TransferState
    attempts: int
    moved_bytes: int
    destination_etag: str
    code: str
    message: str
    note: str
    ended_at: datetime | None
    history: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class FailureGroup:
    code: str
    count: int
    size: int
    example_key: str
    example_message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCounts:
    """What a finder saw, in objects, and in bytes where the name says so.

    scanned_source = same + new + changed + filtered + archived.

    Attributes:
        fallbacks: objects that could not be compared as asked and were compared by size and time.
    """

    scanned_source: int = 0
    scanned_destination: int = 0
    same: int = 0
    new: int = 0
    changed: int = 0
    extra: int = 0
    filtered: int = 0
    archived: int = 0
    fallbacks: int = 0
    source_bytes: int = 0
    copy_bytes: int = 0

    def __add__(self, other: ScanCounts) -> ScanCounts:
        return ScanCounts(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def __sub__(self, other: ScanCounts) -> ScanCounts:
        return ScanCounts(
            **{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The progress of one key range of a scan.

    Attributes:
        ident: chosen by the finder, unique in the run.
        done: both listings of the range are complete.
        detail: the finder's cursors, JSON.
        counts: all that this range has given so far (not what was added).
    """

    ident: str
    done: bool
    detail: str
    counts: ScanCounts = field(default_factory=ScanCounts)


@dataclass(frozen=True, slots=True)
class Tally:
    count: int = 0
    size: int = 0  # bytes of the source objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Exact sums of a run: of its shards and of its transfers."""

    scan: ScanCounts
    shards: int
    shards_done: int
    tallies: Mapping[tuple[Action, TransferState], Tally]
    moved_bytes: int
    uploads: int  # neither completed nor forgotten

    def tally(self, action: Action, *states: TransferState) -> Tally:
        found = [self.tallies.get((action, state), Tally()) for state in states]
        return Tally(sum(t.count for t in found), sum(t.size for t in found))

    @property
    def open(self) -> int:
        """Transfers that are still to end."""
        return sum(t.count for (_, state), t in self.tallies.items() if state in OPEN_STATES)
