"""What the state of a run costs on AWS, in units and dollars, for each object."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.aws.carrying import Carried, Plan, carry
from benchmarks.aws.meter import Metered, Reading, metered
from benchmarks.aws.objects import PART_BYTES, in_parts, scattered, tidy
from benchmarks.aws.prices import ORIGINAL_DOLLARS, Unit, price
from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from tests.servers.ministack import MinistackServer
from transferhub.model.objects import ObjectEntry

_OBJECTS, _PARTS, _WORKERS = 100_000, 1_000, 4
_FAST, _SLOW = 1_000.0, 10.0
_SLOW_S = 90.0
_FAST_PARTS, _SLOW_PARTS = 50.0, 2.0
_MOST_UNITS, _MOST_OF_ORIGINAL = 0.2, 0.1

_RULES = (
    "A proxy between the ledgers and ministack counts by AWS's published rules, from the JSON of"
    " each request and answer: sizes of items by their names and values; a write unit for each KB"
    " begun of the larger one of the old and the new item, twice in a transaction, with its index"
    " writes, also where it is refused; 0, 1 or 2 index writes by what changed; a read unit for"
    " each 4 KB begun of a query or item, half where it may lag; an SQS request for each call and"
    " 64 KB. What it takes the table to hold is compared with the table at the end. Prices:"
    " us-east-1, on demand, November 2026."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A column of the table."""

    title: str
    plan: Plan


def measure_objects(setting: Setting) -> Result:
    """Small objects: names of two kinds, workers of two paces."""
    count = setting.scaled(_OBJECTS)
    kinds: Mapping[str, Callable[[int], Sequence[ObjectEntry]]] = {
        "tidy keys": tidy,
        "random keys": scattered,
    }
    cases = [
        Case(title=f"{kind}, {pace}", plan=_plan(make(count), per_second, seconds))
        for kind, make in kinds.items()
        for pace, per_second, seconds in (
            ("fast", _FAST, None),
            ("slow", _SLOW, float(setting.scaled(int(_SLOW_S)))),
        )
    ]
    found = _carry_all(setting, cases)
    return Result(
        name="bill",
        title="What AWS bills for small objects",
        note=f"Units of state for one of {count:,} objects of about 10 KiB that are all new: found"
        f" by the finder, then carried by {_WORKERS} workers of the engine, each a process with a"
        " ledger of its own, whose copies move nothing but end at a steady pace: fast"
        f" ({_FAST:,.0f} objects a second each) to the end, slow ({_SLOW:g}, as the original"
        f" publishes for a t4g.micro) for {cases[1].plan.seconds:g} s. Tidy keys:"
        " data/2024/05/file-000123.bin; random keys: UUIDs, with sizes and times by chance. Etags"
        f" are MD5s. {_RULES}",
        rows=[],
        figures=[at for case, carried in found for at in _figures(case, carried)],
        cells=[*_cells(found), _original(len(found))],
    )


def measure_parts(setting: Setting) -> Result:
    """One object of many parts."""
    count = setting.scaled(_PARTS)
    cases = [
        Case(title=title, plan=_plan(in_parts(count), per_second, None))
        for title, per_second in (("fast", _FAST_PARTS), ("slow", _SLOW_PARTS))
    ]
    found = _carry_all(setting, cases)
    return Result(
        name="parts",
        title="What AWS bills for a large object",
        note=f"Units of state for one object of {count:,} parts of {PART_BYTES >> 20} MiB, carried"
        f" by {_WORKERS} workers: fast ({_FAST_PARTS:g} parts a second each), and slow"
        f" ({_SLOW_PARTS:g}, as the original publishes for a t4g.micro). Counted as above.",
        rows=[],
        figures=[
            Figure(
                title=f"{case.title}: units for a part",
                value=sum(_each(carried).values()) / count,
                unit="units",
            )
            for case, carried in found
        ],
        cells=_cells(found),
    )


def _plan(entries: Sequence[ObjectEntry], per_second: float, seconds: float | None) -> Plan:
    return Plan(entries=entries, workers=_WORKERS, per_second=per_second, seconds=seconds)


def _carry_all(setting: Setting, cases: Sequence[Case]) -> list[tuple[Case, Carried]]:
    found = []
    for number, case in enumerate(cases):
        folder = setting.folder / str(number)
        folder.mkdir()
        with ExitStack() as scope:
            # A server that has held much is slower.
            server = scope.enter_context(MinistackServer())
            meter: Metered = scope.enter_context(metered(server.endpoint, folder))
            carried = carry(case.plan, server.endpoint, meter, folder / "run")
        setting.say(f"  {case.title}: {carried.done} carried")
        for line in _lines(carried):
            setting.say(f"    {line}")
        found.append((case, carried))
    return found


def _lines(carried: Carried) -> list[str]:
    """What costs most."""
    told = [
        (sum(units.values()) / count, f"{what}, {line}")
        for what, reading, count in (
            ("recording", carried.recording, carried.found),
            ("carrying", carried.carrying, carried.done),
        )
        for line, units in reading.lines.items()
    ]
    return [f"{share:.4f}  {line}" for share, line in sorted(told, reverse=True)[:10]]


def _each(carried: Carried) -> dict[Unit, float]:
    """Units for one object."""
    return {
        unit: carried.recording.units[unit] / carried.found
        + carried.carrying.units[unit] / carried.done
        for unit in Unit
    }


def _figures(case: Case, carried: Carried) -> list[Figure]:
    each = _each(carried)
    return [
        Figure(
            title=f"{case.title}: units",
            value=sum(each.values()),
            unit="units",
            limit=_MOST_UNITS,
        ),
        Figure(
            title=f"{case.title}: price / the original's",
            value=price(each) / ORIGINAL_DOLLARS,
            limit=_MOST_OF_ORIGINAL,
        ),
        Figure(
            title=f"{case.title}: queries to find the status of a key",
            value=carried.lookup.calls["Query"],
            unit="queries",
            limit=1,
        ),
    ]


def _cells(found: Sequence[tuple[Case, Carried]]) -> list[list[str]]:
    each = [_each(carried) for _, carried in found]
    recording = [_share(carried.recording, carried.found) for _, carried in found]
    return [
        ["for one object", *(case.title for case, _ in found)],
        *([unit.value, *(_number(units[unit]) for units in each)] for unit in Unit),
        ["all units", *(_number(sum(units.values())) for units in each)],
        ["of which to record it", *(_number(share) for share in recording)],
        ["$ for a million", *(f"{price(units) * 1e6:,.3f}" for units in each)],
    ]


def _original(columns: int) -> list[str]:
    return ["the original: $ for a million", *[f"{ORIGINAL_DOLLARS * 1e6:,.3f}"] * columns]


def _share(reading: Reading, count: int) -> float:
    return sum(reading.units.values()) / count


def _number(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:,.1f}"
