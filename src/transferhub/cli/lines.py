"""Progress as plain lines, for a pipe or a log."""

from __future__ import annotations

from transferhub.cli.figures import Figures
from transferhub.cli.streams import Stream
from transferhub.cli.text import counted
from transferhub.engine.progress import Phase, Progress
from transferhub.model.units import format_bytes, format_count, format_seconds

INTERVAL_SECONDS = 10.0


class Quiet:
    """Shows nothing; remembers the last moment, so that a failed run can be named."""

    talks = False
    noun = "object"
    """What the run moves."""

    last: Progress | None = None

    def talk(self, sentence: str) -> None:
        return

    def observe(self, progress: Progress) -> None:
        self.last = progress

    def close(self) -> None:
        return


class Lines(Quiet):
    """A line for every phase, and one every ten seconds of the run."""

    talks = True

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shown: Progress | None = None

    def talk(self, sentence: str) -> None:
        self._stream.line(sentence)

    def observe(self, progress: Progress) -> None:
        self.last = progress
        if self._due(progress):
            self._shown = progress
            self._stream.line(progress_line(progress, self.noun))

    def _due(self, progress: Progress) -> bool:
        shown = self._shown
        if shown is None or (shown.run, shown.phase) != (progress.run, progress.phase):
            return True
        return progress.seconds - shown.seconds >= INTERVAL_SECONDS


def progress_line(progress: Progress, noun: str = "object") -> str:
    figures = Figures.of(progress)
    match progress.phase:
        case Phase.CHECKING | Phase.RECOVERING | Phase.REPORTING:
            return f"{progress.phase.value}, {format_seconds(progress.seconds)} so far"
        case Phase.DELETING:
            parts = [f"{figures.deleted:,} of {counted(figures.to_delete, noun)} deleted"]
        case Phase.COPYING if progress.listing and not figures.scanned:
            return "listing both sides"
        case _:
            parts = [
                f"{counted(figures.scanned, noun)} scanned",
                *copied_parts(progress, figures),
            ]
    return ", ".join(
        [f"{progress.phase.value}: {parts[0]}", *parts[1:], *_outlook(progress, figures)]
    )


def copied_parts(progress: Progress, figures: Figures) -> list[str]:
    least = "at least " if progress.listing else ""
    return [
        f"{format_count(figures.copied)} of {least}{format_count(figures.to_copy)} copied",
        f"{format_bytes(figures.copied_bytes)} of {least}{format_bytes(figures.to_copy_bytes)}",
        f"{format_bytes(progress.bytes_per_second)}/s",
    ]


def _outlook(progress: Progress, figures: Figures) -> list[str]:
    parts = [f"{format_count(figures.failed)} failed"]
    if progress.seconds_left is not None:
        least = "at least " if progress.listing else ""
        parts.append(f"{least}{format_seconds(progress.seconds_left)} left")
    return parts
