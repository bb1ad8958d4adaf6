"""What comparing two places found, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferhub.model.transfer import Difference, ScanCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What comparing two places found.

    Attributes:
        differences: the first thousand.
        equal: everything of the source is at the destination (and nothing else, for a mirror).
    """

    scan: ScanCounts
    differences: Sequence[tuple[str, Difference]]
    seconds: float
    equal: bool


def verdict(found: Verification, *, mirror: bool) -> tuple[str, bool]:
    """A sentence on a verified run, and whether all is well: archived objects are not copied."""
    scan = found.scan
    wrong = [(scan.new, "missing"), (scan.changed, "different")]
    if mirror:
        wrong.append((scan.extra, "extra"))
    counts = ", ".join(f"{count:,} {word}" for count, word in wrong if count)
    if counts:
        names = ", ".join(f"{key!r} ({difference})" for key, difference in found.differences[:3])
        return f"verified: the sides differ, {counts}, such as {names}", False
    note = f"verified: {scan.same:,} {'object is' if scan.same == 1 else 'objects are'} the same"
    if scan.archived:
        note += f", {scan.archived:,} archived at the source and not copied"
    return note, True
