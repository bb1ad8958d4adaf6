"""Runs of the programs in turn, and what both registries were asked meanwhile."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.clients import DTH
from benchmarks.images.copiers import Copier, Job, Ran
from benchmarks.images.kinds import Kind
from benchmarks.images.stock import Reading, Registries, Stock
from benchmarks.results import Bound, Figure, Row, summarise
from benchmarks.rounds import Setting

_SHOWN = (
    Kind.MANIFEST_HEAD,
    Kind.MANIFEST_GET,
    Kind.MANIFEST_PUT,
    Kind.BLOB_HEAD,
    Kind.BLOB_GET,
    Kind.MOUNT,
)
_HEAD = [
    "job",
    "client",
    "wall s",
    "CPU s",
    "CPU ms per tag",
    *_SHOWN,
    "uploads",
    "all requests",
    "MB moved",
    "tried again",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One copy by one program, and what it asked."""

    ran: Ran
    asked: Reading


Rounds = Mapping[str, Sequence[Round]]
"""By the program's name; each has run once at least."""


def copied(copier: Copier, held: Registries, stock: Stock, setting: Setting) -> Round:
    """Runs it once between the proxies, and checks what it left.

    Raises:
        CommandError: it failed, or left something out.
    """
    before = held.read()
    ran = copier.copy(
        Job(
            source=held.source_counted.host,
            destination=held.destination_counted.host,
            stock=stock,
            timeout_s=setting.timeout_s,
        )
    )
    asked = held.read().since(before)
    held.check(copier.name, stock)
    return Round(ran=ran, asked=asked)


def in_turn(
    setting: Setting,
    copiers: Sequence[Copier],
    one: Callable[[Copier], Round],
    *,
    seldom: Mapping[str, int] | None = None,
) -> Rounds:
    """Runs `one` for each program in each round; the order changes from round to round.

    Args:
        seldom: programs that run in one of so many rounds alone, the first of them.
    """
    found: dict[str, list[Round]] = {copier.name: [] for copier in copiers}
    for number in range(setting.runs):
        first = number % len(copiers)
        for copier in (*copiers[first:], *copiers[:first]):
            if number % (seldom or {}).get(copier.name, 1):
                continue
            done = one(copier)
            found[copier.name].append(done)
            usage = done.ran.usage
            setting.say(
                f"  round {number + 1}: {copier.name} took {usage.wall_s:.2f} s,"
                f" {usage.cpu_s:.2f} s of CPU"
            )
    return found


def rows_of(job: str, tags: int, rounds: Rounds) -> list[Row]:
    samples = {name: [one.ran.usage for one in ones] for name, ones in rounds.items()}
    return summarise(job, tags, samples)


def cells_of(found: Sequence[tuple[Sequence[Row], Rounds]]) -> list[list[str]]:
    """A table of all jobs: what each program took, and what both registries were asked."""
    return [
        _HEAD,
        *(_line(row, rounds[row.client]) for rows, rounds in found for row in rows),
    ]


def _line(row: Row, rounds: Sequence[Round]) -> list[str]:
    return [
        row.job,
        row.client,
        f"{row.wall_s:.2f} ({min(row.walls_s):.2f} to {max(row.walls_s):.2f})",
        f"{row.cpu_s:.2f}",
        f"{row.cpu_ms_per_object:.2f}",
        *(_median(asked_of(one, kind) for one in rounds) for kind in _SHOWN),
        _median(uploads(one) for one in rounds),
        _median(asked_of(one, *Kind) for one in rounds),
        _median(_bytes(one) / 1e6 for one in rounds),
        _median(one.ran.again for one in rounds),
    ]


def _median(values: Iterable[float]) -> str:
    return f"{median(values):,.0f}"


def asked_of(one: Round, *kinds: Kind) -> int:
    """Requests of these kinds, to both registries."""
    return sum(counts.asked[kind] for counts in one.asked.sides for kind in kinds)


def uploads(one: Round) -> int:
    """Blobs that were sent to the destination, each as often as it was."""
    return one.asked.destination.uploads.total()


def _bytes(one: Round) -> int:
    return sum(counts.up_bytes + counts.down_bytes for counts in one.asked.sides)


def faster(rows: Sequence[Row], peer: str, least: float) -> Figure:
    """How many times that peer's wall time is ours."""
    walls = {row.client: row.wall_s for row in rows}
    return Figure(
        title=f"{rows[0].job}: times faster than {peer}",
        value=walls[peer] / walls[DTH],
        limit=least,
        bound=Bound.AT_LEAST,
    )


def most(title: str, values: Iterable[float], limit: float | None, unit: str) -> Figure:
    """The worst of our rounds."""
    return Figure(title=title, value=max(values), unit=unit, limit=limit)


def proxy_figure(rounds: Sequence[Round]) -> Figure:
    """What a request costs the proxies, with its share of connections."""
    cpu_s = sum(counts.cpu_s for one in rounds for counts in one.asked.sides)
    requests = sum(asked_of(one, *Kind) for one in rounds)
    return Figure(title="CPU of a proxy for a request", value=1e3 * cpu_s / requests, unit="ms")
