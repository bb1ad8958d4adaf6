"""A tag that names another image than yesterday, which the destination holds."""

from benchmarks.clients import DTH
from benchmarks.images.copiers import Dth
from benchmarks.images.kinds import BLOBS, Kind
from benchmarks.images.rounds import Round, asked_of, cells_of, copied, most, rows_of
from benchmarks.images.stock import Stock, filled, push, registries, tagged
from benchmarks.results import Bound, Figure, Result
from benchmarks.rounds import Setting

_TAGS = 1_000


def measure(setting: Setting) -> Result:
    stock = tagged(setting.scaled(_TAGS))
    ours = Dth(setting.folder)
    found: list[Round] = []
    setting.say("moving a tag, once in each round")
    with (
        filled(stock) as source,
        registries(source, setting.folder / "registries", equal=True) as held,
    ):
        copied(ours, held, stock, setting)  # the first run
        for number in range(setting.runs):
            stock = _moved(stock, number)
            push(source, {name: stock[name] for name in [_name(stock, number)]})
            found.append(copied(ours, held, stock, setting))
            usage = found[-1].ran.usage
            setting.say(f"  round {number + 1}: {usage.wall_s:.2f} s, {usage.cpu_s:.2f} s of CPU")
    count = sum(map(len, stock.values()))
    rows = rows_of(f"1 of {count:,} moved", count, {DTH: found})
    puts = [asked_of(one, Kind.MANIFEST_PUT) for one in found]
    return Result(
        name="moved",
        title="A moved tag",
        note=f"One of the {count:,} tags above now names an image that its repository also has at"
        " another tag. Requests are those to both registries.",
        rows=rows,
        figures=[
            most("manifest PUTs, most", puts, 1, "requests"),
            Figure(
                title="manifest PUTs, fewest",
                value=min(puts),
                unit="requests",
                limit=1,
                bound=Bound.AT_LEAST,
            ),
            most("requests for blobs", (asked_of(one, *BLOBS) for one in found), 0, "requests"),
        ],
        cells=cells_of([(rows, {DTH: found})]),
    )


def _name(stock: Stock, number: int) -> str:
    """The repository whose turn it is."""
    return [*stock][number % len(stock)]


def _moved(stock: Stock, number: int) -> Stock:
    """The same with the first tag at what the last one names."""
    name = _name(stock, number)
    tags = {**stock[name]}
    first, *_, last = tags
    tags[first], tags[last] = tags[last], tags[last]
    return {**stock, name: tags}
