"""A run that several worker processes carry, on hosts that share a database and no folder."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from benchmarks.servers import Pair, bucket, delayed, fill, make_bucket, pair
from tests.servers.hub import HubClient, HubServer, WorkerServer
from tests.servers.postgres import PostgresServer

_NEAR = 20_000
_FAR = 4_000
_FAR_S = 0.05
_FAR_AT_ONCE = 8
_SIZE = 10 << 10
_WORKERS = (1, 2, 4)
_HOSTS = ("host-a", "host-b")
_LOOK_S = 0.1
_HEAD = ["objects", "workers", "hosts", "at once", "objects/s"]

_WORKING = "{ workers { id kind runs } }"
_CREATE = "mutation C($input: TaskInput!) { createTask(input: $input) { id } }"
_START = "mutation S($task: ID!) { startRun(task: $task) { id } }"
_RUN = """query Run($id: ID!) {
  run(id: $id) { state startedAt endedAt errorCode error notes progress { same done failed } }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Attributes:
    latency_s: what both stores add to each answer.
    options: of each worker.
    """

    title: str
    objects: int
    latency_s: float = 0.0
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Attributes:
    rate: objects per second, from the run's start to its end.
    at_once: most workers that were seen on the run together.
    """

    rate: float
    at_once: int


def measure(setting: Setting) -> Result:
    found: dict[tuple[str, int], list[Carried]] = {}
    with pair(setting.folder) as servers, PostgresServer() as postgres:
        for job in _jobs(setting):
            source = f"source-{job.objects}"
            make_bucket(servers.source, source)
            setting.say(f"writing {job.objects} objects")
            fill(servers.source.admin, source, _keys(job), _SIZE)
            with _endpoints(setting, servers, job) as environment:
                for count in _WORKERS:
                    found[job.title, count] = [
                        _carry(setting, servers, postgres, job, environment, count)
                        for _ in range(setting.runs)
                    ]
    return Result(
        name="fleet",
        title="Workers of a fleet",
        note="One run of objects of 10 KiB from one SeaweedFS server to another, carried by 1, 2"
        " and 4 `dth worker` processes, by turns on two hosts. At once: workers that were seen on"
        " the run together. All of it, with PostgreSQL, the hub and both object stores, shares the"
        " cores of one machine: there, near stores leave a second worker nothing to use. Far"
        f" stores answer {1_000 * _FAR_S:.0f} ms late, to {_FAR_AT_ONCE} transfers of each worker"
        " at once.",
        rows=[],
        figures=[_speed_up(job, found) for job in _jobs(setting)],
        cells=[_HEAD, *(_cells(job, n, runs) for (job, n), runs in found.items())],
    )


def _jobs(setting: Setting) -> Sequence[Job]:
    near, far = setting.scaled(_NEAR), setting.scaled(_FAR)
    return (
        Job(title=f"{near:,} near", objects=near),
        Job(
            title=f"{far:,} far",
            objects=far,
            latency_s=_FAR_S,
            options=(f"--concurrency={_FAR_AT_ONCE}", "--processes=1"),
        ),
    )


def _keys(job: Job) -> Iterator[str]:
    return (f"data/{number:06}.bin" for number in range(job.objects))


def _speed_up(job: Job, found: Mapping[tuple[str, int], Sequence[Carried]]) -> Figure:
    one, most = (_rate(found[job.title, count]) for count in (_WORKERS[0], _WORKERS[-1]))
    return Figure(title=f"{job.title}: 4 workers by one", value=most / one)


def _rate(runs: Sequence[Carried]) -> float:
    return median(run.rate for run in runs)


def _cells(job: str, count: int, runs: Sequence[Carried]) -> list[str]:
    hosts, most = min(count, len(_HOSTS)), min(run.at_once for run in runs)
    return [job, str(count), str(hosts), str(most), f"{_rate(runs):,.0f}"]


@contextmanager
def _endpoints(setting: Setting, servers: Pair, job: Job) -> Iterator[Mapping[str, str]]:
    """The variables that name both servers, as far away as the job wants them."""
    with ExitStack() as scope:
        variables: dict[str, str] = {}
        for side, server in (("source", servers.source), ("destination", servers.destination)):
            endpoint = server.admin
            if job.latency_s:
                far = delayed(endpoint, job.latency_s, setting.folder, f"far-{side}")
                endpoint = scope.enter_context(far)
            variables |= endpoint.environment(side)
        yield variables


def _carry(
    setting: Setting,
    servers: Pair,
    postgres: PostgresServer,
    job: Job,
    environment: Mapping[str, str],
    count: int,
) -> Carried:
    """One run, on a hub that is new."""
    name = f"workers-{count}"
    with (
        bucket(servers.destination, name) as destination,
        _hub(setting, postgres, job, environment, count) as client,
    ):
        _until_ready(client, count)
        spec = {"source": _located(f"source-{job.objects}"), "destination": _located(name)}
        task = client.graph(_CREATE, input={"name": "moves", "spec": spec})["createTask"]["id"]
        run = client.graph(_START, task=task)["startRun"]["id"]
        carried = _watch(client, run, job.objects)
        if len(destination.listing(name)) != job.objects:
            raise RuntimeError("the run left objects out")
    setting.say(f"  {job.title}, {count} workers: {carried.rate:,.0f} objects/s")
    return carried


@contextmanager
def _hub(
    setting: Setting,
    postgres: PostgresServer,
    job: Job,
    environment: Mapping[str, str],
    count: int,
) -> Iterator[HubClient]:
    """A hub that carries nothing itself, and workers that do."""
    url = postgres.create_database()
    variables = {"DTH_DATABASE": url, **environment}
    with ExitStack() as scope:
        scope.callback(postgres.drop_database, url)
        hub = HubServer(setting.folder, "--runs=0", environment=variables, name=f"hub-{count}")
        scope.enter_context(hub)
        for number in range(count):
            host = _HOSTS[number % len(_HOSTS)]
            folder = setting.folder / f"{host}-{number}"
            worker = WorkerServer(folder, *job.options, name=host, environment=variables)
            scope.enter_context(worker)
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
    # Where a listing turns out to be out of order, the run begins anew, and what it had copied is
    # found the same.
    moved = found["progress"]["done"] + found["progress"]["same"]
    if found["state"] != "SUCCEEDED" or moved != objects:
        raise RuntimeError(f"the run did not copy everything: {found}")
    began, ended = (datetime.fromisoformat(found[name]) for name in ("startedAt", "endedAt"))
    return Carried(rate=objects / (ended - began).total_seconds(), at_once=most)
