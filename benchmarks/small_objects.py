"""Many small objects, streamed between two endpoints."""

from benchmarks.clients import all_clients
from benchmarks.copying import PREFIX, SOURCE, measure_copies
from benchmarks.results import Result, cpu_ratio, wall_ratio
from benchmarks.rounds import Setting
from benchmarks.servers import fill, make_bucket, pair

_OBJECTS = 20_000
_SIZE = 10 << 10
_PER_FOLDER = 200


def measure(setting: Setting) -> Result:
    objects = setting.scaled(_OBJECTS)
    clients = all_clients(setting.folder)
    with pair(setting.folder) as servers:
        make_bucket(servers.source, SOURCE)
        setting.say(f"writing {objects} objects")
        keys = (f"{PREFIX}{n // _PER_FOLDER:04}/{n:06}.bin" for n in range(objects))
        fill(servers.source.admin, SOURCE, keys, _SIZE)
        rows = measure_copies(
            setting,
            servers,
            clients,
            job=f"{objects:,} × 10 KiB",
            objects=objects,
            size=_SIZE,
        )
    return Result(
        name="small",
        title="Small objects",
        note=f"{objects:,} objects of 10 KiB in folders of {_PER_FOLDER}, from one SeaweedFS"
        " server to an empty bucket of another.",
        rows=rows,
        figures=[wall_ratio(rows, 0.95), cpu_ratio(rows, 0.8)],
    )
