"""The first run: images whose layers are partly those of others."""

from collections.abc import Sequence
from itertools import count

from benchmarks.clients import DTH
from benchmarks.images.copiers import Copier, Dth, SkopeoLoop
from benchmarks.images.rounds import (
    Round,
    Rounds,
    cells_of,
    copied,
    in_turn,
    most,
    proxy_figure,
    rows_of,
    uploads,
)
from benchmarks.images.stock import blobs_of, filled, layered, registries
from benchmarks.results import Figure, Result, Row, wall_ratio
from benchmarks.rounds import Setting

_SIZES = {"256 KiB": (100, 256 << 10), "20 MiB": (40, 20 << 20)}
"""How many images, and how large the layer is that each of them has alone."""

_MOST_OF_LOOP = 0.7


def measure(setting: Setting) -> Result:
    found = [
        _copy(setting, setting.scaled(images), title, own_bytes)
        for title, (images, own_bytes) in _SIZES.items()
    ]
    return Result(
        name="layers",
        title="Images that share layers, first run",
        note="Repositories of one image each, into an empty registry: an image has the layers of"
        " one of five bases, 16 MiB in four, and one of its own, of 256 KiB or of 20 MiB. The loop"
        " runs `skopeo copy --all` for each, ten at once, with one cache of blobs for all that is"
        " empty at first; a copy that the registry refuses, because another one is putting the same"
        " layer in its place, is started again.",
        rows=[row for rows, _ in found for row in rows],
        figures=[
            *(figure for rows, rounds in found for figure in _figures(rows, rounds)),
            proxy_figure([one for _, rounds in found for ones in rounds.values() for one in ones]),
        ],
        cells=cells_of(found),
    )


def _copy(
    setting: Setting, images: int, title: str, own_bytes: int
) -> tuple[Sequence[Row], Rounds]:
    stock = layered(images, own_bytes)
    copiers: list[Copier] = [Dth(setting.folder), SkopeoLoop(setting.folder)]
    numbers = count()
    setting.say(f"{images} images with {title} of their own, {len(blobs_of(stock))} blobs")
    with filled(stock) as source:

        def copy(copier: Copier) -> Round:
            copier.forget()
            folder = setting.folder / f"registries-{title}-{next(numbers)}"
            with registries(source, folder) as held:
                return copied(copier, held, stock, setting)

        rounds = in_turn(setting, copiers, copy)
    return rows_of(f"{images} images, {title} of their own", images, rounds), rounds


def _figures(rows: Sequence[Row], rounds: Rounds) -> list[Figure]:
    job = rows[0].job
    return [
        wall_ratio(rows, _MOST_OF_LOOP),
        most(
            f"{job}: uploads of one blob by dth",
            (max(one.asked.destination.uploads.values()) for one in rounds[DTH]),
            1,
            "uploads",
        ),
        most(
            f"{job}: uploads of one blob by the loop",
            (max(one.asked.destination.uploads.values()) for one in rounds[SkopeoLoop.name]),
            None,
            "uploads",
        ),
        most(
            f"{job}: uploads by the loop / by dth",
            [
                max(uploads(one) for one in rounds[SkopeoLoop.name])
                / max(uploads(one) for one in rounds[DTH])
            ],
            None,
            "×",
        ),
    ]
