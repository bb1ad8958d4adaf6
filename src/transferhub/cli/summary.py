"""The end of a run, told to a person."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.cli.text import counted, status_words, table, visible
from transferhub.engine.progress import Summary
from transferhub.model.run import RunState
from transferhub.model.transfer import FailureGroup, RunId
from transferhub.model.units import format_bytes, format_count, format_seconds

_LONGEST_MESSAGE = 300
_GUARDS = ("max_delete", "max_delete_percent")


def summary_lines(
    summary: Summary, groups: Sequence[FailureGroup], noun: str = "object"
) -> list[str]:
    """Args:
    noun: what the run moved.
    """
    if _never_began(summary):
        return [f"Run {summary.run} failed before anything was listed; nothing was changed."]
    return [
        _headline(summary, noun),
        "",
        *balance_lines(summary),
        *noted_lines(summary.noted, noun),
        *_report_line(summary),
        *_sentences("Note: ", summary.notes),
        *_sentences("Fault: ", summary.faults),
        *group_lines(groups, noun),
        *next_lines(
            summary.run,
            summary.status,
            failed=summary.failed + summary.delete_failed,
            noted=summary.noted,
            code=summary.error_code,
        ),
    ]


def _never_began(summary: Summary) -> bool:
    scan = summary.scan
    listed = scan.scanned_source or scan.scanned_destination
    return summary.status is RunState.FAILED and not listed and not summary.faults


def balance_lines(summary: Summary) -> list[str]:
    """The two equations of a run, and what became of the destination."""
    scan = summary.scan
    rows = [
        ("source", format_count(scan.scanned_source), f"= {_scan_parts(summary)}"),
        ("to copy", format_count(scan.new + scan.changed), f"= {_copy_parts(summary)}"),
        ("destination", format_count(scan.scanned_destination), _destination_parts(summary)),
    ]
    return [f"  {line}" for line in table(rows, right=(1,))]


def noted_lines(noted: int | None, noun: str = "object") -> list[str]:
    """That the destination could not keep everything of some."""
    if not noted:
        return []
    return [f"  not kept: something of {counted(noted, noun)}, such as metadata or tags"]


def group_lines(groups: Sequence[FailureGroup], noun: str = "object") -> list[str]:
    """What failed, by error code, each with one example."""
    if not groups:
        return []
    lines = ["", "Failures:"]
    for group in groups:
        lines.append(f"  {group.code}: {counted(group.count, noun)}, {format_bytes(group.size)}")
        lines.append(f"    such as {visible(group.example_key)}")
        lines.append(f"    {_short(group.example_message)}")
    return lines


def next_lines(
    run: RunId, status: RunState, *, failed: int, noted: int | None = None, code: str = ""
) -> list[str]:
    """What the user can do now. `code` is that of the error that ended the run."""
    steps: list[tuple[str, str]] = []
    if noted:
        # The words of the report's column `note`.
        steps.append((f'zcat "$(dth report {run})" | grep "not keep"', "shows what was not kept"))
    if failed:
        steps.append((f"dth failures {run}", "shows each of them, with every attempt"))
        steps.append((f"dth redrive {run}", "tries them again"))
    match status:
        case RunState.CANCELLED | RunState.RUNNING:
            steps.append((f"dth resume {run}", "goes on; so does the same command again"))
        case RunState.FAILED if code in _GUARDS:
            steps.append((f'zcat "$(dth report {run})"', "shows what is extra"))
            flag = code.replace("_", "-")
            steps.append(("the same command", f"deletes it, with a higher --{flag}"))
        case RunState.FAILED:
            steps.append((f"dth resume {run}", "goes on, once the cause is mended"))
    if not steps:
        return []
    return ["", "Next:", *(f"  {line}" for line in table(steps))]


def _headline(summary: Summary, noun: str) -> str:
    moved = f"{counted(summary.done, noun)} copied, {_moved(summary)}"
    if summary.deleted:
        moved += f", {format_count(summary.deleted)} deleted"
    words = (
        "was interrupted" if summary.status is RunState.CANCELLED else status_words(summary.status)
    )
    return f"Run {summary.run} {words}: {moved}{_pace(summary)}."


def _moved(summary: Summary) -> str:
    if summary.done and summary.scan.copy_bytes and not summary.bytes:
        return "all by the server itself"
    return format_bytes(summary.bytes)


def _pace(summary: Summary) -> str:
    """The time and the rate of the last start, and what it moved where that is less or more."""
    size = summary.bytes if summary.start_bytes is None else summary.start_bytes
    moved = ""
    if size < summary.bytes:
        moved = f"; {format_bytes(size)} of it since it was resumed,"
    elif size > summary.bytes:
        moved = f"; {format_bytes(size)} with parts of unfinished objects,"
    rate = f" ({format_bytes(size / summary.seconds)}/s)" if size and summary.seconds > 0 else ""
    return f"{moved} in {format_seconds(summary.seconds)}{rate}"


def _scan_parts(summary: Summary) -> str:
    scan = summary.scan
    return (
        f"{format_count(scan.same)} same + {format_count(scan.new)} new"
        f" + {format_count(scan.changed)} changed + {format_count(scan.filtered)} filtered"
        f" + {format_count(scan.archived)} archived"
    )


def _copy_parts(summary: Summary) -> str:
    text = (
        f"{format_count(summary.done)} done + {format_count(summary.failed)} failed"
        f" + {format_count(summary.vanished)} vanished + {format_count(summary.skipped)} skipped"
    )
    return f"{text} + {format_count(summary.waiting)} waiting" if summary.waiting else text


def _destination_parts(summary: Summary) -> str:
    text = f"  {format_count(summary.scan.extra)} extra, {format_count(summary.deleted)} deleted"
    if summary.delete_failed:
        text += f", {format_count(summary.delete_failed)} could not be deleted"
    return text


def _report_line(summary: Summary) -> list[str]:
    return [f"  report: {visible(summary.report)}"] if summary.report else []


def _sentences(start: str, sentences: Sequence[str]) -> list[str]:
    return [f"{start}{visible(sentence)}" for sentence in sentences]


def _short(message: str) -> str:
    text = visible(" ".join(message.split()))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
