"""The everyday run: nothing has changed, and that has to be found out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.clients import DTH
from benchmarks.images.copiers import Copier, Dth, SkopeoLoop, SkopeoSync
from benchmarks.images.kinds import Kind
from benchmarks.images.rounds import (
    Round,
    Rounds,
    asked_of,
    cells_of,
    copied,
    faster,
    in_turn,
    most,
    proxy_figure,
    rows_of,
)
from benchmarks.images.stock import INDEXES, MIXED, Stock, filled, registries, tagged
from benchmarks.results import Bound, Figure, Result, Row
from benchmarks.rounds import Setting

_TAGS = 1_000
_LOOP_EVERY = 3


def measure(setting: Setting) -> Result:
    count = setting.scaled(_TAGS)
    jobs = {f"{count:,} mixed tags": MIXED, f"{count:,} indexes": INDEXES}
    found = [_compare(setting, job, tagged(count, indexes=kinds)) for job, kinds in jobs.items()]
    return Result(
        name="tags",
        title="Unchanged tags",
        note=f"{count:,} tags of 40 repositories that both registries hold: two in five are indexes"
        " of three images and the others images, then all of them are such indexes."
        " `skopeo sync --all` goes through them in one process, the loop runs `skopeo copy --all`"
        f" for each, ten at once, in one round of {_LOOP_EVERY}. Requests are those to both"
        " registries.",
        rows=[row for compared in found for row in compared.rows],
        figures=[
            *(figure for compared in found for figure in compared.figures),
            proxy_figure(
                [one for compared in found for ones in compared.rounds.values() for one in ones]
            ),
        ],
        cells=cells_of([(compared.rows, compared.rounds) for compared in found]),
    )


class _Compared(NamedTuple):
    rows: Sequence[Row]
    rounds: Rounds
    figures: Sequence[Figure]


def _compare(setting: Setting, job: str, stock: Stock) -> _Compared:
    count = sum(map(len, stock.values()))
    folder = setting.folder / job.replace(" ", "-")
    ours = Dth(folder)
    copiers: list[Copier] = [ours, SkopeoSync(folder), SkopeoLoop(folder)]
    setting.say(f"{job} in each registry")
    with filled(stock) as source, registries(source, folder / "registries", equal=True) as held:
        copied(ours, held, stock, setting)  # the first run; skopeo remembers nothing of use here
        rounds = in_turn(
            setting,
            copiers,
            lambda copier: copied(copier, held, stock, setting),
            seldom={SkopeoLoop.name: _LOOP_EVERY},
        )
    rows = rows_of(job, count, rounds)
    figures = [
        faster(rows, SkopeoSync.name, 10.0),
        faster(rows, SkopeoLoop.name, 30.0),
        *_head_figures(job, stock, rounds[DTH]),
        most(
            f"{job}: manifest GETs and PUTs by dth",
            (asked_of(one, Kind.MANIFEST_GET, Kind.MANIFEST_PUT) for one in rounds[DTH]),
            0,
            "requests",
        ),
    ]
    return _Compared(rows, rounds, figures)


def _head_figures(job: str, stock: Stock, ours: Sequence[Round]) -> list[Figure]:
    heads = [*_heads(stock, ours)]
    return [
        most(f"{job}: HEADs by dth for a tag of a side, most", heads, 1, "requests"),
        Figure(
            title=f"{job}: HEADs by dth for a tag of a side, fewest",
            value=min(heads),
            unit="requests",
            limit=1,
            bound=Bound.AT_LEAST,
        ),
        most(
            f"{job}: HEADs by dth of all else",
            (asked_of(one, Kind.MANIFEST_HEAD) - sum(_heads(stock, [one])) for one in ours),
            0,
            "requests",
        ),
    ]


def _heads(stock: Stock, ours: Sequence[Round]) -> Iterator[int]:
    """How often each tag was looked at, on each side and in each round."""
    for one in ours:
        for counts in one.asked.sides:
            for repository, tags in stock.items():
                for tag in tags:
                    yield counts.heads[f"/v2/{repository}/manifests/{tag}"]
