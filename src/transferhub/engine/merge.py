"""The verdict over one window of keys that both sides have listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from transferhub.engine.compare import Compare
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Action, Difference, ScanCounts, Transfer, TransferState

ARCHIVED_CLASSES = frozenset(
    {"GLACIER", "DEEP_ARCHIVE", "ARCHIVE", "COLDARCHIVE", "DEEPCOLDARCHIVE", "COLD", "COLD_ARCHIVE"}
)
"""Storage classes, in capitals, whose objects must be restored before they can be read: Amazon S3's
two (GLACIER_IR needs no restore), OSS's Archive family, COS's ARCHIVE and DEEP_ARCHIVE, OBS's
COLD."""

Keys = Sequence[str]
Entries = Sequence[ObjectEntry]
Pair = tuple[ObjectEntry, ObjectEntry]
SameAtAGlance = Callable[[Entries, Entries], bool]
"""True only where the compare says SAME of every pair; False tells nothing."""


class Selection(Protocol):
    """What the user asked for. `trivial`: everything."""

    @property
    def trivial(self) -> bool: ...

    def selects_key(self, key: str) -> bool:
        """By the relative key alone; a key that is not selected is no EXTRA either."""

    def selects(self, key: str, entry: ObjectEntry) -> bool:
        """By everything that a source listing says."""


class Everything:
    """The selection of a user who asked for nothing special."""

    trivial = True

    def selects_key(self, key: str) -> bool:
        return True

    def selects(self, key: str, entry: ObjectEntry) -> bool:
        return True


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What one window gives.

    Attributes:
        transfers: to record; EXTRA keys are HELD and archived objects ARCHIVED.
        unsure: pairs that the listings find SAME and that a closer look must confirm.
    """

    transfers: list[Transfer] = field(default_factory=list)
    unsure: list[Pair] = field(default_factory=list)
    scanned_source: int = 0
    scanned_destination: int = 0
    same: int = 0
    new: int = 0
    changed: int = 0
    extra: int = 0
    filtered: int = 0
    archived: int = 0
    source_bytes: int = 0
    copy_bytes: int = 0

    @property
    def counts(self) -> ScanCounts:
        return ScanCounts(
            scanned_source=self.scanned_source,
            scanned_destination=self.scanned_destination,
            same=self.same,
            new=self.new,
            changed=self.changed,
            extra=self.extra,
            filtered=self.filtered,
            archived=self.archived,
            source_bytes=self.source_bytes,
            copy_bytes=self.copy_bytes,
        )

    def differs(self, entry: ObjectEntry, difference: Difference) -> None:
        """Counts and records a NEW or CHANGED object."""
        state = TransferState.WAITING
        if entry.storage_class and entry.storage_class.upper() in ARCHIVED_CLASSES:
            state = TransferState.ARCHIVED
            self.archived += 1
        else:
            if difference is Difference.NEW:
                self.new += 1
            else:
                self.changed += 1
            self.copy_bytes += entry.size
        key, size, etag, modified_at, storage_class = entry
        self.transfers.append(
            Transfer(key, difference, size, etag, modified_at, storage_class, Action.COPY, state)
        )

    def is_extra(self, key: str, entry: ObjectEntry) -> None:
        """Counts and records what only the destination has; `key` is that of the source."""
        self.extra += 1
        _, size, etag, modified_at, storage_class = entry
        self.transfers.append(
            Transfer(
                key,
                Difference.EXTRA,
                size,
                etag,
                modified_at,
                storage_class,
                Action.DELETE,
                TransferState.HELD,
            )
        )


def decide(
    source: tuple[Keys, Entries],
    destination: tuple[Keys, Entries],
    *,
    base: str,
    compare: Compare,
    same_at_a_glance: SameAtAGlance,
    selection: Selection,
    confirm: bool,
) -> Verdict:
    """Compares two windows that hold all keys of one interval.

    Args:
        source, destination: relative keys and their entries.
        base: what to put before the relative key of an EXTRA object to get its source key.
        confirm: pairs found SAME go to `unsure` instead.
    """
    verdict = Verdict(scanned_source=len(source[0]), scanned_destination=len(destination[0]))
    everything = selection.trivial
    equal_keys = everything and not confirm and source[0] == destination[0]
    if equal_keys and same_at_a_glance(source[1], destination[1]):
        verdict.same = len(source[0])
        verdict.source_bytes = sum([entry.size for entry in source[1]])
        return verdict
    others = dict(zip(*destination, strict=True))
    same = 0
    for key, entry in zip(*source, strict=True):
        other = others.pop(key, None)
        verdict.source_bytes += entry.size
        if not everything and not selection.selects(key, entry):
            verdict.filtered += 1
        elif other is None:
            verdict.differs(entry, Difference.NEW)
        elif compare(entry, other) is Difference.CHANGED:
            verdict.differs(entry, Difference.CHANGED)
        elif confirm:
            verdict.unsure.append((entry, other))
        else:
            same += 1
    verdict.same = same
    for key, other in others.items():
        if everything or selection.selects_key(key):
            verdict.is_extra(base + key, other)
    return verdict
