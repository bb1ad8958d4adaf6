"""What a benchmark found: figures of each client, and how they stand to their targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from benchmarks.clients import DTH
from benchmarks.usage import Usage

_LARGE = 1_000


class Bound(StrEnum):
    """Which side of its limit a figure has to be."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number. Without a limit it is only told."""

    title: str
    value: float
    unit: str = "×"
    limit: float | None = None
    bound: Bound = Bound.AT_MOST

    @property
    def met(self) -> bool | None:
        if self.limit is None:
            return None
        if self.bound is Bound.AT_MOST:
            return self.value <= self.limit
        return self.value >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The medians of one client at one job. `objects`: of the job."""

    job: str
    client: str
    objects: int
    wall_s: float
    cpu_s: float
    peak_bytes: float
    peak_resident_bytes: float
    walls_s: Sequence[float]

    @property
    def cpu_ms_per_object(self) -> float:
        return 1000 * self.cpu_s / self.objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Attributes:
    name: of the benchmark, as the command line takes it.
    note: what a reader needs to judge the figures.
    cells: a table in place of that of clients; its first line is the head.
    """

    name: str
    title: str
    note: str
    rows: Sequence[Row]
    figures: Sequence[Figure]
    cells: Sequence[Sequence[str]] = ()


def summarise(job: str, objects: int, samples: Mapping[str, Sequence[Usage]]) -> list[Row]:
    """A row for each client."""
    return [
        Row(
            job=job,
            client=client,
            objects=objects,
            wall_s=median(usage.wall_s for usage in usages),
            cpu_s=median(usage.cpu_s for usage in usages),
            peak_bytes=median(usage.peak_bytes for usage in usages),
            peak_resident_bytes=median(usage.peak_resident_bytes for usage in usages),
            walls_s=[round(usage.wall_s, 3) for usage in usages],
        )
        for client, usages in samples.items()
    ]


def wall_ratio(rows: Sequence[Row], limit: float) -> Figure:
    """Our wall time by that of the peer that took least."""
    ours, best = _against_best([(row.client, row.wall_s) for row in rows])
    return Figure(title=f"{rows[0].job}: wall time / best peer's", value=ours / best, limit=limit)


def cpu_ratio(rows: Sequence[Row], limit: float | None) -> Figure:
    """Our processor time by that of the peer that took least."""
    ours, best = _against_best([(row.client, row.cpu_s) for row in rows])
    return Figure(title=f"{rows[0].job}: CPU time / best peer's", value=ours / best, limit=limit)


def speed_up(rows: Sequence[Row], limit: float) -> Figure:
    """How many times the fastest peer's wall time is ours."""
    ours, best = _against_best([(row.client, row.wall_s) for row in rows])
    return Figure(
        title=f"{rows[0].job}: times faster than the best peer",
        value=best / ours,
        limit=limit,
        bound=Bound.AT_LEAST,
    )


def _against_best(values: Sequence[tuple[str, float]]) -> tuple[float, float]:
    ours = next(value for client, value in values if client == DTH)
    return ours, min(value for client, value in values if client != DTH)


def render(result: Result) -> str:
    """The result as Markdown, which reads well in a terminal too."""
    lines = [f"### {result.title}", "", result.note, ""]
    lines += _table(result.cells or _row_cells(result.rows))
    lines += [""]
    lines += _table(
        [
            ["figure", "value", "target", "met"],
            *(_figure_cells(figure) for figure in result.figures),
        ]
    )
    return "\n".join([*lines, ""])


def _row_cells(rows: Sequence[Row]) -> list[list[str]]:
    watched = any(row.peak_bytes for row in rows)
    head = ["job", "client", "wall s", "CPU s", "CPU ms per object"]
    cells = [[*head, "peak MB (shared pages once)", "peak MB (resident)"] if watched else head]
    for row in rows:
        line = [
            row.job,
            row.client,
            f"{row.wall_s:.2f} ({min(row.walls_s):.2f} to {max(row.walls_s):.2f})",
            f"{row.cpu_s:.2f}",
            f"{row.cpu_ms_per_object:.3f}",
        ]
        if watched:
            line += [f"{row.peak_bytes / 1e6:.0f}", f"{row.peak_resident_bytes / 1e6:.0f}"]
        cells.append(line)
    return cells


def _figure_cells(figure: Figure) -> list[str]:
    target = "" if figure.limit is None else f"{figure.bound} {figure.limit:g} {figure.unit}"
    met = {None: "", True: "yes", False: "**no**"}[figure.met]
    return [figure.title, f"{_number(figure.value)} {figure.unit}", target, met]


def _number(value: float) -> str:
    return f"{value:.2f}" if value < _LARGE else f"{value:,.0f}"


def _table(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
