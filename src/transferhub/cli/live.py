"""Progress as a live display, for a terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import IO, cast

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.text import Text

from transferhub.cli.figures import Figures
from transferhub.cli.lines import Quiet
from transferhub.cli.streams import Stream
from transferhub.cli.text import counted
from transferhub.engine.progress import Phase, Progress
from transferhub.model.units import format_bytes, format_count, format_seconds

_BAR_WIDTH = 30
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARK_SAMPLES = 24
_TITLES = {
    Phase.CHECKING: "Checking both sides",
    Phase.RECOVERING: "Picking up what an earlier start left",
    Phase.COPYING: "Copying",
    Phase.DELETING: "Deleting",
    Phase.VERIFYING: "Verifying",
    Phase.REPORTING: "Writing the report",
}


class Live(Quiet):
    """Three lines that are drawn again at each moment, with sentences above them.

    It has no thread of its own: the host forks, and a lock held by a thread would stay held in the
    new process for ever.
    """

    talks = True

    def __init__(self, stream: Stream) -> None:
        self._console = terminal(stream)
        self._live: RichLive | None = None
        self._rates = Rates()

    def talk(self, sentence: str) -> None:
        self._console.print(Text(sentence), soft_wrap=True)

    def observe(self, progress: Progress) -> None:
        self.last = progress
        self._rates.add(progress)
        self._started().update(frame(progress, self._rates.values, self.noun), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _started(self) -> RichLive:
        if self._live is None:
            self._live = RichLive(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self._live


class Rates:
    """The last rates, one a second."""

    def __init__(self) -> None:
        self.values: deque[float] = deque(maxlen=_SPARK_SAMPLES)
        self._taken_at = -1.0

    def add(self, progress: Progress) -> None:
        if progress.seconds - self._taken_at >= 1:
            self.values.append(progress.bytes_per_second)
            self._taken_at = progress.seconds


def terminal(stream: Stream) -> Console:
    """What is printed is taken as it stands: a key may look like markup."""
    return Console(
        file=cast("IO[str]", stream), markup=False, highlight=False, emoji=False, stderr=True
    )


def frame(progress: Progress, rates: Iterable[float], noun: str = "object") -> Group:
    """What a terminal shows of one moment: lines that are cut, never wrapped."""
    figures = Figures.of(progress)
    lines = [
        _title(progress, figures, noun),
        _counts(progress, figures),
        _pace(progress, rates, noun),
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def sparkline(rates: Iterable[float]) -> str:
    """A bar for each rate, as high as it is; "" where nothing moved."""
    values = list(rates)
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return "".join(_SPARKS[round(value / top * (len(_SPARKS) - 1))] for value in values)


def _title(progress: Progress, figures: Figures, noun: str) -> Text:
    title = Text(_TITLES[progress.phase], style="bold")
    if progress.phase is Phase.COPYING and progress.listing:
        title.append(" while listing", style="not bold")
    if progress.phase in (Phase.COPYING, Phase.VERIFYING) and figures.fraction is not None:
        filled = int(figures.fraction * _BAR_WIDTH)
        title.append("  ").append("━" * filled, style="green")
        title.append("━" * (_BAR_WIDTH - filled), style="bright_black")
        title.append(f" {figures.fraction:4.0%}")
    if progress.phase is Phase.DELETING:
        title.append(f"  {figures.deleted:,} of {counted(figures.to_delete, noun)}")
    return title


def _counts(progress: Progress, figures: Figures) -> Text:
    least = "at least " if progress.listing else ""
    text = Text(
        f"  scanned {format_count(figures.scanned)}"
        f" · to copy {least}{format_count(figures.to_copy)}"
        f" · copied {format_count(figures.copied)}"
    )
    style = "bold red" if figures.failed else ""
    text.append(" · ").append(f"failed {format_count(figures.failed)}", style=style)
    return text.append(
        f" · {format_bytes(figures.copied_bytes)} of {least}{format_bytes(figures.to_copy_bytes)}"
    )


def _pace(progress: Progress, rates: Iterable[float], noun: str) -> Text:
    text = Text(f"  {format_bytes(progress.bytes_per_second)}/s ")
    text.append(sparkline(rates), style="cyan")
    text.append(f" · {progress.objects_per_second:,.0f} {noun}s/s")
    text.append(f" · {format_seconds(progress.seconds)} so far")
    if progress.seconds_left is not None:
        least = "at least " if progress.listing else ""
        text.append(f" · {least}{format_seconds(progress.seconds_left)} left")
    return text
