"""The everyday run: nothing has changed, and that has to be found out."""

from collections.abc import Iterator, Sequence

from benchmarks.clients import DTH
from benchmarks.images.copiers import Copier, Dth, SkopeoLoop, SkopeoSync
from benchmarks.images.kinds import Kind
from benchmarks.images.rounds import (
    Round,
    asked_of,
    cells_of,
    copied,
    faster,
    in_turn,
    most,
    proxy_figure,
    rows_of,
)
from benchmarks.images.stock import Stock, filled, registries, tagged
from benchmarks.results import Bound, Figure, Result
from benchmarks.rounds import Setting

_TAGS = 1_000
_LOOP_EVERY = 3


def measure(setting: Setting) -> Result:
    count = setting.scaled(_TAGS)
    stock = tagged(count)
    ours = Dth(setting.folder)
    copiers: list[Copier] = [ours, SkopeoSync(setting.folder), SkopeoLoop(setting.folder)]
    setting.say(f"putting {count} tags into each registry")
    with (
        filled(stock) as source,
        registries(source, setting.folder / "registries", equal=True) as held,
    ):
        copied(ours, held, stock, setting)  # the first run; skopeo remembers nothing of use here
        rounds = in_turn(
            setting,
            copiers,
            lambda copier: copied(copier, held, stock, setting),
            seldom={SkopeoLoop.name: _LOOP_EVERY},
        )
    rows = rows_of(f"{count:,} unchanged", count, rounds)
    return Result(
        name="tags",
        title="Unchanged tags",
        note=f"{count:,} tags of {len(stock)} repositories that both registries hold: two in five"
        " are indexes of three images, the others images. `skopeo sync --all` goes through them in"
        " one process, the loop runs `skopeo copy --all` for each, ten at once, in one round of"
        f" {_LOOP_EVERY}. Requests are those to both registries.",
        rows=rows,
        figures=[
            faster(rows, SkopeoSync.name, 10.0),
            faster(rows, SkopeoLoop.name, 30.0),
            *_head_figures(stock, rounds[DTH]),
            most(
                "manifest GETs and PUTs by dth",
                (asked_of(one, Kind.MANIFEST_GET, Kind.MANIFEST_PUT) for one in rounds[DTH]),
                0,
                "requests",
            ),
            proxy_figure([one for ones in rounds.values() for one in ones]),
        ],
        cells=cells_of([(rows, rounds)]),
    )


def _head_figures(stock: Stock, ours: Sequence[Round]) -> list[Figure]:
    heads = [*_heads(stock, ours)]
    return [
        most("HEADs by dth for a tag of a side, most", heads, 1, "requests"),
        Figure(
            title="HEADs by dth for a tag of a side, fewest",
            value=min(heads),
            unit="requests",
            limit=1,
            bound=Bound.AT_LEAST,
        ),
        most(
            "HEADs by dth of all else",
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
