"""What a run tells while it works and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from transferhub.model.run import RunState
from transferhub.model.transfer import Action, RunId, ScanCounts, Totals, TransferState


class Phase(StrEnum):
    CHECKING = "checking"
    RECOVERING = "recovering"
    COPYING = "copying"  # and listing, while `Progress.listing`
    DELETING = "deleting"
    VERIFYING = "verifying"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of a run.

    Attributes:
        listing: the totals still grow: say "at least".
        part_bytes: copied already of objects that are not done.
        bytes_per_second, objects_per_second: over the last seconds.
        seconds_left: None while nobody can know.
    """

    run: RunId
    phase: Phase
    listing: bool
    totals: Totals
    seconds: float
    part_bytes: int = 0
    bytes_per_second: float = 0.0
    objects_per_second: float = 0.0
    seconds_left: float | None = None
    workers: int = 1


Observer = Callable[[Progress], None]
"""Called about four times a second, or as often as the ledger gathers ends of work, from the run's
own event loop; must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end of a run, in numbers. `status` and the counts are the JSON document that `dth`
    prints.

    new + changed = done + failed + vanished + skipped, and
    scanned_source = same + new + changed + filtered + archived: `faults` says where they do not,
    and a run with faults has failed.

    Attributes:
        failed: dead letters, of copies and deletes.
        bytes: moved by this run, of objects that are done.
        start_bytes: moved by this start of the run in `seconds`, also of parts of objects that are
            not done; None where it was cut off.
        noted: copies of which the destination could not keep everything; None where they were not
            counted, for the run is not at its end.
        report: path of the report (CSV.gz), "" where none was written.
        notes: what the user should know, a sentence each.
    """

    run: RunId
    status: RunState
    scan: ScanCounts = field(default_factory=ScanCounts)
    done: int = 0
    failed: int = 0
    vanished: int = 0
    skipped: int = 0
    deleted: int = 0
    delete_failed: int = 0
    waiting: int = 0
    bytes: int = 0
    start_bytes: int | None = None
    seconds: float = 0.0
    noted: int | None = None
    report: str = ""
    error_code: str = ""
    error: str = ""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: RunId, status: RunState, totals: Totals, *, seconds: float) -> Summary:
        copies, deletes = Action.COPY, Action.DELETE
        return cls(
            run=run,
            status=status,
            scan=totals.scan,
            done=totals.tally(copies, TransferState.DONE).count,
            failed=totals.tally(copies, TransferState.FAILED).count,
            vanished=totals.tally(copies, TransferState.VANISHED).count,
            skipped=totals.tally(copies, TransferState.SKIPPED).count,
            deleted=totals.tally(deletes, TransferState.DONE).count,
            delete_failed=totals.tally(deletes, TransferState.FAILED).count,
            waiting=totals.open,
            bytes=totals.moved_bytes,
            seconds=seconds,
        )
