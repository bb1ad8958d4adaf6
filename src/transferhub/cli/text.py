"""Words, tables and times for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from transferhub.model.run import RunState

NOTHING = "-"
"""Stands in a table where there is no value."""

_STATUS = {
    RunState.QUEUED: "queued",
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "succeeded",
    RunState.COMPLETED_WITH_FAILURES: "completed with failures",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
}


_NOUNS = {"images": "image"}


def noun_of(kind: str) -> str:
    """What tasks of a kind move."""
    return _NOUNS.get(kind, "object")


def visible(text: str) -> str:
    """Shows control characters as escapes: a key must not move the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def status_words(status: RunState, *, at_work: bool = True) -> str:
    """Args:
    at_work: a process works on the run.
    """
    if status is RunState.RUNNING and not at_work:
        return "interrupted"
    return _STATUS[status]


def counted(count: int, noun: str, many: str = "") -> str:
    """Such as "1 object" and "2,000 objects"; `many` where an s does not make it many."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or f'{noun}s'}"


def local_time(moment: datetime | None) -> str:
    """In the machine's own time zone, as people compare it with their clock."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else NOTHING


def iso_time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Aligned columns, two spaces apart; `right` are the columns of numbers."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
