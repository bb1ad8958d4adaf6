"""A second run, with nothing to do but to find that out."""

from benchmarks.clients import Client, Place, all_clients
from benchmarks.results import Result, cpu_ratio, summarise, wall_ratio
from benchmarks.rounds import Setting, in_turn
from benchmarks.servers import fill, make_bucket, pair
from benchmarks.usage import Usage, run

_OBJECTS = 200_000
_PER_FOLDER = 1_000
_PREFIX = "data/"
_BUCKET = "objects"


def measure(setting: Setting) -> Result:
    objects = setting.scaled(_OBJECTS)
    clients = all_clients(setting.folder)
    with pair(setting.folder) as servers:
        setting.say(f"writing {objects} objects on each side")
        for server in (servers.source, servers.destination):
            make_bucket(server, _BUCKET)
            keys = (f"{_PREFIX}{n // _PER_FOLDER:04}/{n:07}" for n in range(objects))
            # The server keeps empty objects in its index alone: written sooner, and listed alike.
            fill(server.admin, _BUCKET, keys, 0)

        def compare(client: Client, number: int) -> Usage:
            return run(
                client.sync(
                    Place(endpoint=servers.source.admin, bucket=_BUCKET, prefix=_PREFIX),
                    Place(endpoint=servers.destination.admin, bucket=_BUCKET, prefix=_PREFIX),
                ),
                folder=setting.folder,
                timeout_s=setting.timeout_s,
            )

        for client in clients:  # the first run
            compare(client, 0)
        rows = summarise(f"{objects:,} unchanged", objects, in_turn(setting, clients, compare))
    return Result(
        name="unchanged",
        title="Unchanged objects, second run",
        note=f"{objects:,} objects in folders of {_PER_FOLDER:,} that both SeaweedFS servers hold.",
        rows=rows,
        figures=[wall_ratio(rows, 1.0), cpu_ratio(rows, None)],
    )
