"""What the tests of `ImageReplication` share: two registries, each behind a proxy, and whole runs
between them through a ledger."""

import asyncio
import csv
import gzip
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.servers.docker_registry import DockerRegistry
from tests.servers.faults import FaultProxy, Seen
from tests.servers.oci_images import Manifest
from tests.servers.pusher import Pusher
from transferhub.engine.execution import Execution, Job
from transferhub.engine.progress import Summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import RunError
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.images.plan import Plan, PlanRow
from transferhub.plugins.images.replication import ImageReplication
from transferhub.plugins.images.sides import OpenRegistry, OpenSide
from transferhub.plugins.images.spec import ImagesSpec, parse_spec
from transferhub.registries import Registry, RegistryClient, RegistryConfig
from transferhub.registries.oci_repositories import OciRepositories
from transferhub.registries.repositories import Repositories
from transferhub.registries.skopeo import Skopeo, find_skopeo
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger

RUN, WORKER = RunId("run"), WorkerId("worker")
MakeRepositories = Callable[[Registry], Repositories]


def opener(
    host: str, *, patience: float = 5, repositories: MakeRepositories = OciRepositories
) -> OpenSide:
    """Opens a registry of plain HTTP; `host` is where it is found, whatever it is called."""

    async def open_registry(_: str) -> OpenRegistry:
        within = timedelta(seconds=patience)
        config = RegistryConfig(host=host, plain_http=True, patience=within)
        registry = RegistryClient(config)
        return OpenRegistry(registry=registry, repositories=repositories(registry), config=config)

    return open_registry


async def no_skopeo() -> Skopeo:
    raise RunError("skopeo is missing; install it.", code="no_skopeo")


def skopeo_in(folder: Path) -> Callable[[], Awaitable[Skopeo]]:
    async def found() -> Skopeo:
        return Skopeo(
            await find_skopeo(os.environ),
            folder=folder / "private",
            cache=folder / "cache",
            environment=os.environ,
        )

    return found


class Crew:
    """One worker."""

    size = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def work(self, stop: asyncio.Event) -> None:
        await self._worker.work(stop)


@dataclass(kw_only=True)
class ImageBench:
    """Replicates the folder `name` of one registry to that of another.

    Attributes:
        before, after: the proxies of source and destination.
        patience: seconds.
        listing, repositories: those of source and destination.
        talk: what the last run said.
    """

    source: Pusher
    destination: Pusher
    before: FaultProxy
    after: FaultProxy
    folder: Path
    name: str
    ledger: Ledger = field(default_factory=MemoryLedger)
    skopeo: Callable[[], Awaitable[Skopeo]] = no_skopeo
    patience: float = 5
    attempts: int = 3
    listing: MakeRepositories = OciRepositories
    repositories: MakeRepositories = OciRepositories
    talk: list[str] = field(default_factory=list)

    def spec(self, **values: Any) -> ImagesSpec:
        hosts = (proxy.url.removeprefix("http://") for proxy in (self.before, self.after))
        source, destination = (f"{host}/{self.name}" for host in hosts)
        asked = values if values.keys() & {"all", "images"} else {"all": True, **values}
        return parse_spec({"source": source, "destination": destination, **asked})

    def replication(self, **values: Any) -> ImageReplication:
        spec = self.spec(**values)
        return ImageReplication(
            spec,
            source=opener(spec.source.host, patience=self.patience, repositories=self.listing),
            destination=opener(
                spec.destination.host, patience=self.patience, repositories=self.repositories
            ),
            skopeo=self.skopeo,
            time_limit=timedelta(minutes=1),
        )

    async def plan(self, **values: Any) -> Plan:
        replication = self.replication(**values)
        try:
            return await replication.survey()
        finally:
            await replication.aclose()

    async def run(
        self,
        run: str = "",
        *,
        stop: asyncio.Event | None = None,
        scan: bool = True,
        **values: Any,
    ) -> Summary:
        """One run from check to report; a new one where its id is not given."""
        replication = self.replication(**values)
        ident = RunId(run or uuid.uuid4().hex)
        tuning = Tuning(concurrency=10, attempts=self.attempts, drain=timedelta(seconds=5))
        worker = Worker(
            ident=WORKER, run=ident, ledger=self.ledger, replication=replication, tuning=tuning
        )
        job = Job(
            run=ident,
            ledger=self.ledger,
            replication=replication,
            crew=Crew(worker),
            guard=self.spec(**values).guard,
            destination="the destination",
            folder=self.folder / ident,
            former_workers=[WORKER],
            scan=scan,
        )
        self.talk.clear()
        try:
            return await Execution(job, talk=self.talk.append).run(stop or asyncio.Event())
        finally:
            await replication.aclose()

    # The registries, past the proxies

    def push(self, manifest: Manifest, repository: str, *tags: str) -> None:
        self.source.push(manifest, f"{self.name}/{repository}", *tags)

    def push_there(self, manifest: Manifest, repository: str, *tags: str) -> None:
        self.destination.push(manifest, f"{self.name}/{repository}", *tags)

    def there(self, repository: str, reference: str) -> str | None:
        """The digest that the destination has."""
        return self.destination.digest(f"{self.name}/{repository}", reference)

    def tags_there(self, repository: str) -> list[str]:
        return self.destination.tags(f"{self.name}/{repository}")

    # What was asked

    def clear(self) -> None:
        for proxy in (self.before, self.after):
            proxy.clear()

    def read(self, method: str, part: str = "") -> list[str]:
        """What the source was asked."""
        return asked(self.before.seen, method, part)

    def written(self, method: str, part: str = "") -> list[str]:
        """What the destination was asked."""
        return asked(self.after.seen, method, part)

    def uploaded(self) -> list[str]:
        """Digests of blobs that were uploaded and taken, as often as they were."""
        ends = [s for s in self.after.seen if s.method == "PUT" and b"/blobs/" in s.target]
        return [seen.request.query["digest"] for seen in ends if seen.status == 201]


def asked(seen: tuple[Seen, ...], method: str, part: str) -> list[str]:
    targets = [one.target.decode() for one in seen if one.method == method]
    return [target for target in targets if part in target]


def rows_of(summary: Summary) -> dict[str, Mapping[str, str]]:
    """The report, by key."""
    with gzip.open(summary.report, "rt", newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def short(rows: tuple[PlanRow, ...], name: str) -> list[str]:
    """Such as `copy app:1`."""
    return [f"{row.kind} {row.key.removeprefix(f'{name}/')}" for row in rows]


@contextmanager
def bench_between(
    source: DockerRegistry, destination: DockerRegistry, folder: Path, **values: Any
) -> Iterator[ImageBench]:
    with (
        FaultProxy(source.url) as before,
        FaultProxy(destination.url) as after,
        source.pusher() as pusher,
        destination.pusher() as pusher_there,
    ):
        yield ImageBench(
            source=pusher,
            destination=pusher_there,
            before=before,
            after=after,
            folder=folder,
            name=f"i{uuid.uuid4().hex[:10]}",
            **values,
        )
