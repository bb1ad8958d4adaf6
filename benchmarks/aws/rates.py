"""What the ledger on AWS carries beside the others, as far as a stand-in lets it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.aws.state import new_state
from benchmarks.ledger_rate import (
    MEMORY,
    PROCESSES,
    AwsState,
    Place,
    Rates,
    databases,
    median_rates,
)
from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from tests.servers.ministack import MinistackServer

_TRANSFERS = 50_000
_TICKS = os.sysconf("SC_CLK_TCK")
_AWS = "AWS, by ministack"
_HEAD = [
    "ledger",
    "processes",
    "recorded/s",
    "leased and completed/s",
    "our CPU µs per transfer",
    "ministack's share of a core",
]


class _Case(NamedTuple):
    name: str
    place: Place
    processes: Sequence[int]
    server: int  # 0: there is none to look at


def measure(setting: Setting) -> Result:
    count = setting.scaled(_TRANSFERS)
    cells, best = [_HEAD], dict[str, Rates]()
    with _cases(setting.folder) as cases:
        for case in cases:
            for processes in case.processes:
                before = _cpu_of(case.server)
                rates = median_rates(setting, case.place, processes, count)
                share = (_cpu_of(case.server) - before) / rates.took_s
                cells.append(_row(case, processes, rates, share))
                known = best.get(case.name)
                best[case.name] = rates if known is None or rates.worked > known.worked else known
    return Result(
        name="ledgers",
        title="Transfers per second",
        note=f"{count:,} transfers in batches of 1,000: recorded by finders, then leased and"
        " completed by workers, in 1, 2 and 4 processes at once. ministack is one process in Python"
        " on the same cores and answers in other times than AWS: its rates are those of the pair,"
        " and more processes wait for each other's turns. What is the ledger's own is our CPU time,"
        " of all processes, with signing and HTTP.",
        rows=[],
        figures=[
            Figure(title=f"{name}: leased and completed at best", value=rates.worked, unit="/s")
            for name, rates in best.items()
        ],
        cells=cells,
    )


@contextmanager
def _cases(folder: Path) -> Iterator[Sequence[_Case]]:
    with databases(folder) as urls, MinistackServer() as server:
        on_aws = AwsState(endpoint=server.endpoint, name=new_state(server.endpoint))
        yield (
            _Case("memory", MEMORY, (1,), 0),
            *(_Case(name, url, PROCESSES, 0) for name, url in urls),
            _Case(_AWS, on_aws, PROCESSES, server.process.pid),
        )


def _row(case: _Case, processes: int, rates: Rates, share: float) -> list[str]:
    return [
        case.name,
        str(processes),
        f"{rates.recorded:,.0f}",
        f"{rates.worked:,.0f}",
        f"{1e6 * rates.cpu_s:,.0f}",
        f"{share:.0%}" if case.server else "",
    ]


def _cpu_of(pid: int) -> float:
    """Seconds that a process has used so far; 0.0 of none."""
    if not pid:
        return 0.0
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / _TICKS
