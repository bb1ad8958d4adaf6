"""Memory does not grow with the buckets."""

from benchmarks.clients import DTH, Client, Place, all_clients
from benchmarks.results import Figure, Result, Row, summarise
from benchmarks.rounds import Setting, in_turn
from benchmarks.usage import Usage, run
from tests.servers.synthetic import Keys, SyntheticServer

_FEW, _MANY = 100_000, 1_000_000
_MOST_MB = 200.0
_MOST_GROWTH = 1.1


def measure(setting: Setting) -> Result:
    few = _compare(setting, setting.scaled(_FEW))
    many = _compare(setting, setting.scaled(_MANY))
    small, large = (next(row for row in rows if row.client == DTH) for rows in (few, many))
    return Result(
        name="memory",
        title="Memory",
        note="Comparing generated keys, the same on both sides; memory is the peak of the whole"
        " process tree.",
        rows=[*few, *many],
        figures=[
            Figure(
                title=f"{large.job}: peak", value=large.peak_bytes / 1e6, unit="MB", limit=_MOST_MB
            ),
            Figure(
                title=f"{large.job} / {small.job}: peak",
                value=large.peak_bytes / small.peak_bytes,
                limit=_MOST_GROWTH,
            ),
        ],
    )


def _compare(setting: Setting, count: int) -> list[Row]:
    keys = Keys(count=count)
    clients = all_clients(setting.folder)
    with SyntheticServer(keys) as source, SyntheticServer(keys) as destination:

        def compare(client: Client, number: int) -> Usage:
            client.forget()
            return run(
                client.sync(
                    Place(endpoint=source.endpoint, bucket="source", prefix=keys.prefix),
                    Place(endpoint=destination.endpoint, bucket="destination", prefix=keys.prefix),
                ),
                folder=setting.folder,
                timeout_s=setting.timeout_s,
                watch_memory=True,
            )

        setting.say(f"comparing {count} keys on each side")
        return summarise(f"{count:,} keys", count, in_turn(setting, clients, compare))
