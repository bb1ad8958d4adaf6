"""The numbers of a moment of a run, as its progress shows them."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.engine.progress import Progress
from transferhub.model.transfer import Action, Tally, TransferState

_ENDED = (
    TransferState.DONE,
    TransferState.FAILED,
    TransferState.VANISHED,
    TransferState.SKIPPED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """As progress shows them.

    Attributes:
        to_copy, to_copy_bytes: what is known so far; more may come while `listing`.
        fraction: of the work known so far, 0 to 1; None while there is none.
    """

    scanned: int
    to_copy: int
    to_copy_bytes: int
    copied: int
    copied_bytes: int
    failed: int
    deleted: int
    to_delete: int
    fraction: float | None

    @classmethod
    def of(cls, progress: Progress) -> Figures:
        totals = progress.totals
        scan = totals.scan
        done = totals.tally(Action.COPY, TransferState.DONE)
        ended = totals.tally(Action.COPY, *_ENDED)
        to_copy, deletes = scan.new + scan.changed, totals.tally(Action.DELETE, *TransferState)
        copied_bytes = done.size + progress.part_bytes
        return cls(
            scanned=scan.scanned_source,
            to_copy=to_copy,
            to_copy_bytes=scan.copy_bytes,
            copied=done.count,
            copied_bytes=copied_bytes,
            failed=totals.tally(Action.COPY, TransferState.FAILED).count
            + totals.tally(Action.DELETE, TransferState.FAILED).count,
            deleted=totals.tally(Action.DELETE, TransferState.DONE).count,
            to_delete=deletes.count,
            fraction=_fraction(
                Tally(ended.count, ended.size + progress.part_bytes), to_copy, scan.copy_bytes
            ),
        )


def _fraction(ended: Tally, count: int, size: int) -> float | None:
    """By bytes, which tell more of the time left; by objects where there are no bytes."""
    if size:
        return min(1.0, ended.size / size)
    return min(1.0, ended.count / count) if count else None
