"""How far a run is, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from transferhub.engine.progress import Summary
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState
from transferhub.model.transfer import ScanCounts, Totals
from transferhub.state.base import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Attributes:
    listing: the numbers still grow: say "at least".
    bytes: copied, also of objects that are not done.
    waiting: transfers that are still to end.
    """

    scan: ScanCounts
    listing: bool = False
    done: int = 0
    failed: int = 0
    vanished: int = 0
    skipped: int = 0
    deleted: int = 0
    delete_failed: int = 0
    waiting: int = 0
    bytes: int = 0


async def standing_of(run: Run, ledger: Ledger) -> Standing:
    """Of a run that has ended, what its summary says: that asks nobody."""
    if run.summary and run.state not in UNDER_WAY_STATES:
        return _summed_up(run.summary)
    totals = await ledger.totals(run.ident)
    return _counted(run, totals, await ledger.part_bytes(run.ident))


def _summed_up(summary: Mapping[str, Any]) -> Standing:
    counts = {at.name: summary[at.name] for at in fields(Standing) if at.name in summary}
    scan = {at.name: summary[at.name] for at in fields(ScanCounts) if at.name in summary}
    return Standing(scan=ScanCounts(**scan), **counts)


def _counted(run: Run, totals: Totals, part_bytes: int) -> Standing:
    has_listed = 0 < totals.shards == totals.shards_done
    present = Summary.of(run.ident, run.state, totals, seconds=0.0)
    counts = {at.name: getattr(present, at.name) for at in fields(Standing) if at.name != "listing"}
    return Standing(
        **{**counts, "bytes": totals.moved_bytes + part_bytes},
        listing=run.state is RunState.RUNNING and not has_listed,
    )
