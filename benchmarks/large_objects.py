"""Large objects, in parts."""

import shutil

from benchmarks.clients import all_clients
from benchmarks.copying import PREFIX, SOURCE, measure_copies
from benchmarks.results import Figure, Result, Row, cpu_ratio, wall_ratio
from benchmarks.rounds import Setting
from benchmarks.servers import fill_large, make_bucket, pair

_MIB = 1 << 20
_GIB = 1 << 30
_COUNT = 64


def measure(setting: Setting) -> Result:
    rows: list[Row] = []
    figures: list[Figure] = []
    for count, size in ((1, setting.scaled(_GIB)), (setting.scaled(_COUNT), 64 * _MIB)):
        found = _copy(setting, count, size)
        rows += found
        figures += [wall_ratio(found, 1.0), cpu_ratio(found, 1.0)]
    return Result(
        name="large",
        title="Large objects",
        note="One object, then 64 of them at once.",
        rows=rows,
        figures=figures,
    )


def _copy(setting: Setting, count: int, size: int) -> list[Row]:
    job = f"{count} × {size // _MIB:,} MiB"
    folder = setting.folder / str(count)
    with pair(folder) as servers:
        make_bucket(servers.source, SOURCE)
        setting.say(f"writing {job}")
        keys = [f"{PREFIX}{number:03}" for number in range(count)]
        fill_large(servers.source.admin, SOURCE, keys, size)
        rows = measure_copies(
            setting, servers, all_clients(folder), job=job, objects=count, size=size
        )
    shutil.rmtree(folder)
    return rows
