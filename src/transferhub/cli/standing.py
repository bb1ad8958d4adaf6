"""How far a run of a hub is, told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transferhub.cli.documents import Document, counts_document
from transferhub.cli.hub_lines import hub_run_document, run_words
from transferhub.cli.summary import balance_lines, group_lines
from transferhub.cli.text import NOTHING, counted, local_time, table, visible
from transferhub.engine.progress import Summary
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState
from transferhub.model.transfer import FailureGroup
from transferhub.model.units import format_bytes, format_count, format_seconds

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.hosts.hub_views import RunView


def standing_document(view: RunView) -> Document:
    return {**hub_run_document(view.run), "totals": totals_document(view)}


def totals_document(view: RunView) -> Document:
    """As `dth show` has them of a run on this machine, but for its key ranges."""
    counts = counts_document(_summary(view))
    return {**counts, "listing": view.standing.listing}


def standing_lines(
    view: RunView,
    groups: Sequence[FailureGroup] = (),
    task: str = "",
    *,
    noun: str = "object",
) -> list[str]:
    """Args:
    task: from where to where it moves, in words.
    noun: what it moves.
    """
    run, standing = view.run, view.standing
    rows = [
        ("run", run.ident),
        ("status", run_words(run)),
        ("task", task or run.task),
        ("started", local_time(run.started_at)),
        ("ended", _ended(view)),
    ]
    if run.keeper and run.ended_at is None:
        rows.append(("worker", visible(run.keeper)))
    if run.error:
        rows.append(("error", visible(run.error)))
    least = "at least " if standing.listing else ""
    copies = standing.scan.new + standing.scan.changed
    rows += [
        ("copied", f"{format_count(standing.done)} of {least}{counted(copies, noun)}"),
        ("moved", format_bytes(standing.bytes)),
    ]
    return [
        *table(rows),
        "",
        *balance_lines(_summary(view)),
        *group_lines(groups, noun),
        *hub_steps(run, failed=standing.failed + standing.delete_failed),
    ]


def _ended(view: RunView) -> str:
    run = view.run
    if run.ended_at is None:
        return NOTHING
    began = run.started_at or run.ended_at
    took = format_seconds((run.ended_at - began).total_seconds())
    return f"{local_time(run.ended_at)} ({took})"


def _summary(view: RunView) -> Summary:
    standing = view.standing
    return Summary(
        run=view.run.ident,
        status=view.run.state,
        scan=standing.scan,
        done=standing.done,
        failed=standing.failed,
        vanished=standing.vanished,
        skipped=standing.skipped,
        deleted=standing.deleted,
        delete_failed=standing.delete_failed,
        waiting=standing.waiting,
        bytes=standing.bytes,
    )


def hub_steps(run: Run, *, failed: int) -> list[str]:
    """What the user can do now with a run of a hub."""
    steps = []
    if failed:
        steps.append((f"dth failures {run.ident}", "shows each of them, with every attempt"))
    if run.state in (RunState.FAILED, RunState.CANCELLED):
        steps.append((f"dth task retry {run.task}", "goes on with what is left"))
    elif run.state in UNDER_WAY_STATES:
        steps.append((f"dth task stop {run.task}", "stops it"))
    elif failed:
        steps.append((f"dth task retry {run.task}", "tries them again"))
    return ["", "Next:", *(f"  {line}" for line in table(steps))] if steps else []
