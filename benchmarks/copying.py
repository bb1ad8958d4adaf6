"""Jobs that copy everything from one server to an empty bucket of another."""

from collections.abc import Sequence

from benchmarks.clients import Client, Place
from benchmarks.results import Row, summarise
from benchmarks.rounds import Setting, in_turn
from benchmarks.servers import Pair, bucket
from benchmarks.usage import CommandError, Usage, run
from tests.servers.boto import Boto

PREFIX = "data/"
SOURCE = "source"


def measure_copies(
    setting: Setting,
    servers: Pair,
    clients: Sequence[Client],
    *,
    job: str,
    objects: int,
    size: int,
) -> list[Row]:
    """Copies the source's bucket into a new one at each run.

    Raises:
        CommandError: a client failed, or left something out.
    """
    setting.say(f"{job}: {setting.runs} rounds")

    def copy(client: Client, number: int) -> Usage:
        client.forget()
        name = f"{client.name.lower()}-{number}"
        with bucket(servers.destination, name) as destination:
            usage = run(
                client.sync(
                    Place(endpoint=servers.source.admin, bucket=SOURCE, prefix=PREFIX),
                    Place(endpoint=servers.destination.admin, bucket=name, prefix=PREFIX),
                ),
                folder=setting.folder,
                timeout_s=setting.timeout_s,
            )
            _check(client.name, destination, name, objects, size)
        return usage

    return summarise(job, objects, in_turn(setting, clients, copy))


def _check(client: str, destination: Boto, name: str, objects: int, size: int) -> None:
    found = destination.listing(name, PREFIX)
    whole = sum(listed.size == size for listed in found.values())
    if (whole, len(found)) != (objects, objects):
        raise CommandError(f"{client} left {whole} of {objects} objects, {len(found)} keys in all")
