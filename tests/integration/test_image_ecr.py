"""Whole runs of the images plugin to, from and between our own small Amazon ECRs."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.image_bench import Crew, no_skopeo, opener, rows_of
from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ecr_stand_in import ACCOUNT, EcrStandIn
from tests.servers.pusher import Pusher
from transferhub.aws.client import ECR, AwsClient
from transferhub.engine.execution import Execution, Job
from transferhub.engine.progress import Summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.model.run import RunState
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.images.replication import ImageReplication
from transferhub.plugins.images.sides import OpenRegistry, OpenSide
from transferhub.plugins.images.spec import ImagesSpec, parse_spec
from transferhub.registries import (
    EcrLogin,
    EcrRepositories,
    RegistryConfig,
    RepositoryOptions,
    open_ecr,
)
from transferhub.state.memory import MemoryLedger
from transferhub.stores.s3.credentials import Credentials, StaticCredentials

pytestmark = pytest.mark.registries

PATIENCE = timedelta(seconds=5)
WORKER = WorkerId("worker")


class Hasty:
    """A clock on which minutes pass between looks at it, so that no login is a fresh one."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(minutes=2)
        return self._now


def opener_of(ecr: EcrStandIn, options: RepositoryOptions | None = None) -> OpenSide:
    async def open_side(_: str) -> OpenRegistry:
        keys = Credentials(
            access_key=ecr.endpoint.access_key_id, secret_key=ecr.endpoint.secret_access_key
        )
        client = AwsClient(
            ECR,
            endpoint=ecr.url,
            region=ecr.region,
            credentials=StaticCredentials(keys),
            patience=PATIENCE,
        )
        config = RegistryConfig(host=ecr.host, plain_http=True, patience=PATIENCE)
        registry = await open_ecr(EcrLogin(client, account=ACCOUNT, clock=Hasty()), config)
        repositories = EcrRepositories(client, account=ACCOUNT, options=options)
        return OpenRegistry(registry=registry, repositories=repositories, config=config)

    return open_side


@dataclass(kw_only=True)
class EcrBench:
    """Replicates the folder `name` to an ECR."""

    source: OpenSide
    destination: OpenSide
    folder: Path
    name: str
    written: str
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    def spec(self, **values: Any) -> ImagesSpec:
        given = {"all": True, "source": self.written, "destination": "ecr://eu-west-1", **values}
        return parse_spec(given)

    def replication(self, **values: Any) -> ImageReplication:
        return ImageReplication(
            self.spec(**values),
            source=self.source,
            destination=self.destination,
            skopeo=no_skopeo,
            time_limit=timedelta(minutes=1),
        )

    async def run(self, **values: Any) -> Summary:
        replication = self.replication(**values)
        ident = RunId(uuid.uuid4().hex)
        worker = Worker(
            ident=WORKER,
            run=ident,
            ledger=self.ledger,
            replication=replication,
            tuning=Tuning(concurrency=10, attempts=2),
        )
        job = Job(
            run=ident,
            ledger=self.ledger,
            replication=replication,
            crew=Crew(worker),
            guard=self.spec(**values).guard,
            destination="the destination",
            folder=self.folder / ident,
        )
        try:
            return await Execution(job, talk=lambda _: None).run(asyncio.Event())
        finally:
            await replication.aclose()


@pytest.fixture
def ecr(registry_b: DockerRegistry) -> Iterator[EcrStandIn]:
    with EcrStandIn(registry_b) as server:
        yield server


@pytest.fixture
def bench(registry: DockerRegistry, ecr: EcrStandIn, tmp_path: Path) -> EcrBench:
    name = f"e{uuid.uuid4().hex[:10]}"
    return EcrBench(
        source=opener(registry.host),
        destination=opener_of(ecr),
        folder=tmp_path,
        name=name,
        written=f"{registry.host}/{name}",
    )


async def test_repositories_are_created_as_asked_and_filled(
    bench: EcrBench, ecr: EcrStandIn, pusher: Pusher
) -> None:
    made = oci.multi_platform("ecr", attested=True)
    for number in range(3):
        pusher.push(made, f"{bench.name}/r{number}", "1", "latest")
    bench.destination = opener_of(ecr, RepositoryOptions(scan_on_push=True))
    summary = await bench.run(prefix="mirror")
    assert (summary.status, summary.done, summary.faults) == (RunState.SUCCEEDED, 6, ())
    assert sorted(ecr.repositories) == [f"mirror/r{number}" for number in range(3)]
    for repository in ecr.repositories.values():
        assert repository.settings["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository.tags == {"1": made.digest, "latest": made.digest}
    again = await bench.run(prefix="mirror")
    assert (again.done, again.scan.same, len(ecr.calls("CreateRepository"))) == (0, 6, 3)


async def test_immutable_tags_are_no_daily_failure(
    bench: EcrBench, ecr: EcrStandIn, pusher: Pusher
) -> None:
    old, new = oci.family("ecr immutable", 2, layer_bytes=256)
    pusher.push(old, f"{bench.name}/app", "1", "latest")
    ecr.create("app", "IMMUTABLE_WITH_EXCLUSION", "latest")
    assert (await bench.run()).done == 2
    pusher.push(new, f"{bench.name}/app", "1", "2", "latest")
    for done in (2, 0):
        summary = await bench.run()
        assert (summary.status, summary.done, summary.skipped) == (RunState.SUCCEEDED, done, 1)
        assert summary.faults == ()
    tags = ecr.repositories["app"].tags
    assert tags == {"1": old.digest, "2": new.digest, "latest": new.digest}


async def test_a_tag_of_several_is_deleted_alone(
    bench: EcrBench, ecr: EcrStandIn, pusher: Pusher
) -> None:
    kept, dropped = oci.family("ecr extra", 2, layer_bytes=256)
    pusher.push(kept, f"{bench.name}/app", "1", "alias")
    pusher.push(dropped, f"{bench.name}/app", "old")
    await bench.run()
    pusher.push(dropped, f"{bench.name}/app", "alias")
    source = bench.written.partition("/")[0]
    bench.written = f"{source}/{bench.name}2"
    pusher.push(kept, f"{bench.name}2/app", "1")
    summary = await bench.run(prune=True, max_delete_percent=100)
    assert (summary.deleted, summary.delete_failed, summary.faults) == (2, 0, ())
    repository = ecr.repositories["app"]
    assert repository.tags == {"1": kept.digest}
    assert [*repository.images] == [kept.digest]


async def test_a_login_that_ends_in_the_middle_is_renewed(
    bench: EcrBench, ecr: EcrStandIn, pusher: Pusher
) -> None:
    for number, manifest in enumerate(oci.family("ecr login", 12, layer_bytes=256)):
        pusher.push(manifest, f"{bench.name}/app", f"{number}")
    replication = bench.replication()
    for transfer in (await replication.survey()).transfers():
        await replication.copy(transfer)
        ecr.expire()
    await replication.aclose()
    assert len(ecr.repositories["app"].tags) == 12


async def test_a_full_account_fails_the_images_of_the_repositories_that_it_lacks(
    bench: EcrBench, ecr: EcrStandIn, pusher: Pusher
) -> None:
    for number, manifest in enumerate(oci.family("ecr quota", 4, layer_bytes=256)):
        pusher.push(manifest, f"{bench.name}/r{number}", "1")
    ecr.most_repositories = 2
    summary = await bench.run()
    assert (summary.done, summary.failed, summary.faults) == (2, 2, ())
    failed = [row for row in rows_of(summary).values() if row["state"] == "failed"]
    assert {row["code"] for row in failed} == {"quota"}


async def test_thousands_that_are_the_same_cost_a_call_for_each_thousand(
    bench: EcrBench, ecr: EcrStandIn, tmp_path: Path
) -> None:
    with EcrStandIn(ecr.behind) as there:
        for side in (ecr, there):
            side.fill("app", 2_500)
        between = EcrBench(
            source=opener_of(ecr),
            destination=opener_of(there),
            folder=tmp_path,
            name="",
            written="ecr://eu-west-2",
        )
        summary = await between.run()
        assert (summary.scan.same, summary.scan.new, summary.done) == (2_500, 0, 0)
        assert len(ecr.calls("DescribeImages")) == len(there.calls("DescribeImages")) == 3
