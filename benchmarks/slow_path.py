"""A flat prefix whose servers are far away: only listing in parallel helps."""

from benchmarks.clients import Client, Place, all_clients
from benchmarks.results import Result, speed_up, summarise
from benchmarks.rounds import Setting, in_turn
from benchmarks.servers import delayed
from benchmarks.usage import Usage, run
from tests.servers.synthetic import Keys, SyntheticServer

_OBJECTS = 200_000
_DELAY_S = 0.05


def measure(setting: Setting) -> Result:
    objects = setting.scaled(_OBJECTS)
    keys = Keys(count=objects)
    clients = all_clients(setting.folder)
    with (
        SyntheticServer(keys) as near_source,
        SyntheticServer(keys) as near_destination,
        delayed(near_source.endpoint, _DELAY_S, setting.folder, "source") as source,
        delayed(near_destination.endpoint, _DELAY_S, setting.folder, "destination") as destination,
    ):

        def compare(client: Client, number: int) -> Usage:
            return run(
                client.sync(
                    Place(endpoint=source, bucket="source", prefix=keys.prefix),
                    Place(endpoint=destination, bucket="destination", prefix=keys.prefix),
                ),
                folder=setting.folder,
                timeout_s=setting.timeout_s,
            )

        setting.say(f"comparing {objects} keys {1000 * _DELAY_S:.0f} ms away")
        rows = summarise(f"{objects:,} keys, 50 ms", objects, in_turn(setting, clients, compare))
    return Result(
        name="far",
        title="A flat prefix behind 50 ms",
        note=f"{objects:,} keys under one prefix without folders, the same on both sides, behind a"
        " proxy that adds 50 ms to each request. The servers generate their listings, so that they"
        " leave the machine to the client.",
        rows=rows,
        figures=[speed_up(rows, 8.0)],
    )
