"""A run that several worker processes carry, on hosts that share a database and no folder."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.results import Bound, Figure, Result
from benchmarks.rounds import Setting
from benchmarks.servers import Pair, bucket, fill, make_bucket, pair
from tests.servers.hub import HubClient, HubServer, WorkerServer
from tests.servers.postgres import PostgresServer

_OBJECTS = 20_000
_SIZE = 10 << 10
_PER_FOLDER = 200
_WORKERS = (1, 2, 4)
_HOSTS = ("host-a", "host-b")
_SOURCE = "source"
_LOOK_S = 0.1
_HEAD = ["workers", "hosts", "objects/s", "wall s", "carried by"]

_WORKING = "{ workers { id kind runs } }"
_CREATE = "mutation C($input: TaskInput!) { createTask(input: $input) { id } }"
_START = "mutation S($task: ID!) { startRun(task: $task) { id } }"
_RUN = "query R($id: ID!) { run(id: $id) { state startedAt endedAt progress { done failed } } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A run: how long it took, and how many workers were seen to work on it at once."""

    wall_s: float
    workers: int


def measure(setting: Setting) -> Result:
    objects = setting.scaled(_OBJECTS)
    with pair(setting.folder) as servers, PostgresServer() as postgres:
        make_bucket(servers.source, _SOURCE)
        setting.say(f"writing {objects} objects")
        keys = (f"{n // _PER_FOLDER:04}/{n:06}.bin" for n in range(objects))
        fill(servers.source.admin, _SOURCE, keys, _SIZE)
        found = {
            count: [_carry(setting, servers, postgres, count, objects) for _ in range(setting.runs)]
            for count in _WORKERS
        }
    walls = {count: median(run.wall_s for run in runs) for count, runs in found.items()}
    return Result(
        name="fleet",
        title="Workers of a fleet",
        note=f"{objects:,} objects of 10 KiB from one SeaweedFS server to another, in one run that"
        " 1, 2 and 4 `dth worker` processes carry, by turns on two hosts. All of it, with"
        " PostgreSQL, the hub and both object stores, shares the cores of one machine: more workers"
        " can do no more than what one of them leaves of it.",
        rows=[],
        figures=[
            Figure(
                title="4 workers: objects/s by those of one",
                value=walls[1] / walls[_WORKERS[-1]],
                bound=Bound.AT_LEAST,
            )
        ],
        cells=[_HEAD, *(_cells(count, objects, runs) for count, runs in found.items())],
    )


def _cells(count: int, objects: int, runs: Sequence[Carried]) -> list[str]:
    wall_s = median(run.wall_s for run in runs)
    return [
        str(count),
        str(min(count, len(_HOSTS))),
        f"{objects / wall_s:,.0f}",
        f"{wall_s:.2f}",
        f"{min(run.workers for run in runs)} or more",
    ]


def _carry(
    setting: Setting, servers: Pair, postgres: PostgresServer, count: int, objects: int
) -> Carried:
    """One run, on a hub that is new."""
    with (
        bucket(servers.destination, f"workers-{count}") as destination,
        _hub(setting, servers, postgres, count) as client,
    ):
        _until_ready(client, count)
        spec = {"source": _located(_SOURCE), "destination": _located(f"workers-{count}")}
        given = {"name": "moves", "spec": spec}
        task = client.graph(_CREATE, input=given)["createTask"]["id"]
        run = client.graph(_START, task=task)["startRun"]["id"]
        carried = _watch(client, run, objects)
        if len(destination.listing(f"workers-{count}")) != objects:
            raise RuntimeError("the run left objects out")
    rate = objects / carried.wall_s
    setting.say(f"  {count} workers: {rate:,.0f} objects/s, {carried.workers} at once")
    return carried


@contextmanager
def _hub(
    setting: Setting, servers: Pair, postgres: PostgresServer, count: int
) -> Iterator[HubClient]:
    """A hub that carries nothing itself, and workers that do."""
    url = postgres.create_database()
    environment = {
        "DTH_DATABASE": url,
        **servers.source.admin.environment("source"),
        **servers.destination.admin.environment("destination"),
    }
    with ExitStack() as scope:
        scope.callback(postgres.drop_database, url)
        hub = HubServer(setting.folder, "--runs=0", environment=environment, name=f"hub-{count}")
        scope.enter_context(hub)
        for number in range(count):
            host = _HOSTS[number % len(_HOSTS)]
            folder = setting.folder / f"{host}-{number}"
            scope.enter_context(WorkerServer(folder, name=host, environment=environment))
        client = hub.client()
        scope.callback(client.close)
        yield client


def _located(name: str) -> Mapping[str, Any]:
    return {"url": f"s3://{name}/", "provider": "seaweedfs"}


def _until_ready(client: HubClient, count: int) -> None:
    while len([w for w in client.graph(_WORKING)["workers"] if w["kind"] == "WORKER"]) < count:
        time.sleep(_LOOK_S)


def _watch(client: HubClient, run: str, objects: int) -> Carried:
    most = 0
    while (found := client.graph(_RUN, id=run)["run"])["state"] in ("QUEUED", "RUNNING"):
        working = client.graph(_WORKING)["workers"]
        most = max(most, sum(run in worker["runs"] for worker in working))
        time.sleep(_LOOK_S)
    if found["state"] != "SUCCEEDED" or found["progress"]["done"] != objects:
        raise RuntimeError(f"the run did not copy everything: {found}")
    began, ended = (datetime.fromisoformat(found[name]) for name in ("startedAt", "endedAt"))
    return Carried(wall_s=(ended - began).total_seconds(), workers=most)
