"""Runs and what failed in them, as lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.cli.places import route
from transferhub.cli.summary import group_lines
from transferhub.cli.text import NOTHING, counted, local_time, status_words, table, visible
from transferhub.model.run import Run, Task
from transferhub.model.transfer import FailureGroup, RunId, TransferRecord
from transferhub.model.units import format_count, format_seconds

_HEADER = ("RUN", "STATUS", "STARTED", "DURATION", "COPIED", "FAILED", "SOURCE → DESTINATION")


def runs_table(runs: Sequence[tuple[Run, Task, bool]]) -> list[str]:
    """Each with whether a process works on it."""
    rows = [_row(run, task, at_work=at_work) for run, task, at_work in runs]
    return table([_HEADER, *rows], right=(3, 4, 5))


def _row(run: Run, task: Task, *, at_work: bool) -> tuple[str, ...]:
    return (
        run.ident,
        status_words(run.state, at_work=at_work),
        local_time(run.started_at),
        duration(run),
        count_of(run, "done"),
        count_of(run, "failed"),
        route(task),
    )


def duration(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return NOTHING
    return format_seconds((run.ended_at - run.started_at).total_seconds())


def count_of(run: Run, name: str) -> str:
    value = run.summary.get(name)
    return format_count(value) if isinstance(value, int) else NOTHING


def failures_lines(
    run: RunId,
    groups: Sequence[FailureGroup],
    records: Sequence[TransferRecord],
    *,
    limit: int,
    again: str,
    noun: str = "object",
) -> list[str]:
    """Args:
    again: the command that tries them again.
    noun: what the run moved.
    """
    if not groups:
        return [f"Nothing failed in run {run}."]
    lines = [f"Run {run}", *group_lines(groups, noun), ""]
    if not records:
        return [*lines, "None of them matches --code and --key."]
    for record in records:
        lines += failure_lines(record)
    if len(records) == limit:
        lines += ["", f"These are the first {len(records):,}; more with --limit."]
    steps = [(again, "tries them again; --code and --key choose")]
    return [*lines, "", "Next:", *(f"  {line}" for line in table(steps))]


def failure_lines(record: TransferRecord) -> list[str]:
    """A key, why it failed, and its attempts before that."""
    earlier = record.history[:-1] if record.history else ()
    return [
        f"{record.transfer.action.value} {visible(record.transfer.key)}",
        f"  {record.code} after {counted(record.attempts, 'attempt')}: {visible(record.message)}",
        *(
            f"  {local_time(attempt.at)}  {attempt.code}: {visible(attempt.message)}"
            for attempt in earlier
        ),
    ]
