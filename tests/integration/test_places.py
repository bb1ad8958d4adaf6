"""What is found out of real places before a task reaches them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BucketFactory, ProxyFactory
from tests.servers.boto import Boto
from tests.servers.endpoint import Endpoint
from tests.servers.rules import DropResponse, Hold, Stall, Status
from tests.servers.seaweedfs import SeaweedFS
from tests.unit.control.front_door import ROOT
from transferhub.control.journal import Journal
from transferhub.control.key_ring import KeyFile
from transferhub.control.places import (
    ConnectionTest,
    Outcome,
    Places,
    Side,
    Trial,
)
from transferhub.control.reach import OWN_MACHINE, Reach, ReachRules
from transferhub.control.vault import Credentials
from transferhub.engine.tuning import Tuning
from transferhub.errors import AccessError, InputError, StoreError
from transferhub.hosts.lending import Lender
from transferhub.hosts.places import PROBE, HostLooks
from transferhub.model.clock import utc_now
from transferhub.model.people import Caller, CredentialKind, How, Role
from transferhub.model.run import Task, TaskId
from transferhub.plugins.objects.prices import RequestKind
from transferhub.state.memory import MemoryAudit, MemoryTaskStore, MemoryVault

OPERATOR = Caller(name="op", role=Role.OPERATOR, how=How.SESSION)
VIEWER = replace(OPERATOR, role=Role.VIEWER)
OK, FAILED, SKIPPED = Outcome.OK, Outcome.FAILED, Outcome.SKIPPED


class Hub:
    """Looks of a hub whose stored credentials are named after the servers' identities."""

    def __init__(self, folder: Path) -> None:
        vault, ring = MemoryVault(), KeyFile(folder / "keys")
        self.folder = folder
        self.store = MemoryTaskStore(utc_now)
        self.journal = Journal(MemoryAudit(), utc_now)
        self.credentials = Credentials(vault, ring, self.journal, utc_now)
        self.looks = HostLooks(
            folder, {}, Lender(vault, ring, guarded=True), tuning=Tuning(listers=2)
        )
        self.places = self.reaching(OWN_MACHINE)

    def reaching(self, rules: ReachRules) -> Places:
        return Places(self.store, self.looks, Reach(rules), self.journal)

    async def at(self, endpoint: Endpoint, bucket: str, prefix: str = "") -> dict[str, str]:
        """A location that is reached with a stored credential."""
        name = endpoint.access_key_id
        fields = {"access_key_id": name, "secret_access_key": endpoint.secret_access_key}
        await self.credentials.put(ROOT, name, CredentialKind.KEYS, fields)
        return {
            "url": f"s3://{bucket}/{prefix}",
            "endpoint": endpoint.url,
            "region": endpoint.region,
            "credential": name,
        }

    async def test(self, location: Mapping[str, Any], side: Side) -> ConnectionTest:
        return await self.places.test_connection(OPERATOR, location, side)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    folder = tmp_path / "state"
    folder.mkdir()
    return Hub(folder)


def outcomes(test: ConnectionTest) -> dict[Trial, Outcome]:
    return {step.trial: step.outcome for step in test.steps}


def step(test: ConnectionTest, trial: Trial) -> Any:
    [found] = [step for step in test.steps if step.trial is trial]
    return found


# Test of a connection


async def test_a_source_is_listed_and_read(
    hub: Hub, seaweedfs: SeaweedFS, bucket: str, boto: Callable[[Endpoint], Boto]
) -> None:
    there = await hub.at(seaweedfs.reader, bucket)
    empty = await hub.test(there, Side.SOURCE)
    assert outcomes(empty) == {Trial.LIST: OK, Trial.READ: SKIPPED}
    assert empty.works
    boto(seaweedfs.admin).put(bucket, "a/b", b"content")
    found = await hub.test(there, Side.SOURCE)
    assert outcomes(found) == {Trial.LIST: OK, Trial.READ: OK}
    assert "'a/b' was read" in step(found, Trial.READ).message
    assert found.url == f"s3://{bucket}/"
    assert found.credentials.startswith("stored credential READERKEY")


async def test_a_destination_is_written_and_left_as_it_was(
    hub: Hub, seaweedfs: SeaweedFS, bucket: str, boto: Callable[[Endpoint], Boto]
) -> None:
    client = boto(seaweedfs.admin)
    client.put(bucket, "into/kept", b"x")
    there = await hub.at(seaweedfs.admin, bucket, "into")
    found = await hub.test(there, Side.DESTINATION)
    assert [step.trial for step in found.steps] == [*Trial]
    assert set(outcomes(found).values()) == {OK}
    assert f"'into/{PROBE}" in step(found, Trial.WRITE).message
    assert [*client.listing(bucket)] == ["into/kept"]
    noted = await hub.journal.entries(ROOT, action="connection.test")
    assert [(entry.who, entry.subject) for entry in noted] == [("op", f"s3://{bucket}/into/")]


async def test_a_permission_that_is_missing_is_named(
    hub: Hub, seaweedfs: SeaweedFS, bucket: str
) -> None:
    there = await hub.at(seaweedfs.reader, bucket)
    found = await hub.test(there, Side.DESTINATION)
    assert outcomes(found) == {
        Trial.LIST: OK,
        Trial.WRITE: FAILED,
        Trial.READ: SKIPPED,
        Trial.DELETE: SKIPPED,
    }
    write = step(found, Trial.WRITE)
    assert (write.permission, write.code) == ("s3:PutObject", "denied")
    assert "grant s3:PutObject" in write.message
    assert not found.works


async def test_wrong_keys_end_the_test_at_once(hub: Hub, seaweedfs: SeaweedFS, bucket: str) -> None:
    wrong = replace(seaweedfs.admin, secret_access_key="hunter2")
    found = await hub.test(await hub.at(wrong, bucket), Side.DESTINATION)
    assert step(found, Trial.LIST).code == "bad_credentials"
    assert [*outcomes(found).values()] == [FAILED, SKIPPED, SKIPPED, SKIPPED]
    assert "hunter2" not in repr(found)


async def test_a_bucket_that_is_not_there_is_told(hub: Hub, seaweedfs: SeaweedFS) -> None:
    found = await hub.test(await hub.at(seaweedfs.admin, "no-such-bucket"), Side.SOURCE)
    assert step(found, Trial.LIST).code == "no_bucket"


DENIED = Status(status=403, code="AccessDenied", message="no")


async def test_the_probe_is_deleted_when_it_cannot_be_read(
    hub: Hub,
    seaweedfs: SeaweedFS,
    bucket: str,
    boto: Callable[[Endpoint], Boto],
    fault_proxy: ProxyFactory,
) -> None:
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    proxy.add(DENIED, operation="GetObject")
    found = await hub.test(await hub.at(endpoint, bucket), Side.DESTINATION)
    assert [*outcomes(found).values()] == [OK, OK, FAILED, OK]
    assert step(found, Trial.READ).permission == "s3:GetObject"
    assert [*boto(seaweedfs.admin).listing(bucket)] == []


async def test_a_probe_that_was_written_without_an_answer_is_deleted(
    hub: Hub,
    seaweedfs: SeaweedFS,
    bucket: str,
    boto: Callable[[Endpoint], Boto],
    fault_proxy: ProxyFactory,
) -> None:
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    proxy.add(DropResponse(), operation="PutObject")
    found = await hub.test(await hub.at(endpoint, bucket), Side.DESTINATION)
    assert [*outcomes(found).values()] == [OK, FAILED, SKIPPED, OK]
    assert proxy.count("DeleteObject", status=204) == 1
    assert [*boto(seaweedfs.admin).listing(bucket)] == []


async def test_the_probe_is_deleted_when_the_test_is_given_up(
    hub: Hub,
    seaweedfs: SeaweedFS,
    bucket: str,
    boto: Callable[[Endpoint], Boto],
    fault_proxy: ProxyFactory,
) -> None:
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    hold = Hold()
    proxy.add(hold, operation="GetObject")
    test = asyncio.create_task(hub.test(await hub.at(endpoint, bucket), Side.DESTINATION))
    await asyncio.to_thread(hold.wait)
    assert len(boto(seaweedfs.admin).listing(bucket)) == 1
    test.cancel()
    with pytest.raises(asyncio.CancelledError):
        await test
    hold.release()
    assert [*boto(seaweedfs.admin).listing(bucket)] == []


async def test_a_probe_that_stays_is_named(
    hub: Hub,
    seaweedfs: SeaweedFS,
    bucket: str,
    boto: Callable[[Endpoint], Boto],
    fault_proxy: ProxyFactory,
) -> None:
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    proxy.add(DENIED, operation="DeleteObject")
    found = await hub.test(await hub.at(endpoint, bucket), Side.DESTINATION)
    [left] = boto(seaweedfs.admin).listing(bucket)
    deleted = step(found, Trial.DELETE)
    assert (deleted.outcome, deleted.permission) == (FAILED, "s3:DeleteObject")
    assert left in deleted.message


async def test_what_may_not_be_listed_is_written_all_the_same(
    hub: Hub, seaweedfs: SeaweedFS, bucket: str, fault_proxy: ProxyFactory
) -> None:
    """So that all permissions that are missing are known at once."""
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    proxy.add(DENIED, operation="ListObjectsV2")
    proxy.add(DENIED, operation="DeleteObject")
    found = await hub.test(await hub.at(endpoint, bucket), Side.DESTINATION)
    missing = [step.permission for step in found.steps if step.outcome is FAILED]
    assert missing == ["s3:ListBucket", "s3:DeleteObject"]


async def test_a_folder_is_tried_and_left_as_it_was(hub: Hub, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    found = await hub.test({"url": f"file://{there}"}, Side.DESTINATION)
    assert [*outcomes(found).values()] == [OK, OK, OK, OK]
    assert {step.permission for step in found.steps} == {""}
    assert [*there.iterdir()] == []
    absent = tmp_path / "absent"
    found = await hub.test({"url": f"file://{absent}"}, Side.DESTINATION)
    assert [*outcomes(found).values()] == [OK, SKIPPED, SKIPPED, SKIPPED]
    assert not absent.exists()
    found = await hub.test({"url": f"file://{absent}"}, Side.SOURCE)
    assert step(found, Trial.LIST).outcome is FAILED


async def test_a_location_that_cannot_be_used_is_refused_before_it_is_reached(hub: Hub) -> None:
    for location, field in (
        ({"url": "s3://b", "credential": "absent"}, "source_credential"),
        ({"url": "s3://b", "endpoint": "http://169.254.169.254"}, "source_endpoint"),
        ({"url": "ftp://b"}, "source"),
    ):
        with pytest.raises(InputError) as caught:
            await hub.test(location, Side.SOURCE)
        assert caught.value.field == field
    with pytest.raises(InputError, match="allow_local"):
        await hub.reaching(ReachRules()).test_connection(
            OPERATOR, {"url": "file:///etc"}, Side.SOURCE
        )


# Previews


@pytest.fixture
async def spec(
    hub: Hub,
    seaweedfs: SeaweedFS,
    bucket: str,
    make_bucket: BucketFactory,
    boto: Callable[[Endpoint], Boto],
) -> Mapping[str, Any]:
    """Three objects, one of which is at the destination already."""
    client, other = boto(seaweedfs.admin), make_bucket(seaweedfs.admin)
    for key in ("a", "b", "c"):
        client.put(bucket, f"from/{key}", key.encode() * 100)
    client.put(other, "to/b", b"b" * 100)
    return {
        "source": await hub.at(seaweedfs.admin, bucket, "from"),
        "destination": await hub.at(seaweedfs.admin, other, "to"),
        "compare": "size",
    }


async def test_a_preview_says_what_a_run_would_do(
    hub: Hub,
    spec: Mapping[str, Any],
    seaweedfs: SeaweedFS,
    bucket: str,
    boto: Callable[[Endpoint], Boto],
) -> None:
    found = await hub.places.preview(OPERATOR, spec)
    preview = found.preview
    assert found.complete
    assert (preview.scan.scanned_source, preview.copies, preview.bytes) == (3, 2, 200)
    assert [(first.key, first.destination) for first in preview.first_keys] == [
        ("from/a", "to/a"),
        ("from/c", "to/c"),
    ]
    assert preview.requests_of(RequestKind.PUT) == 2
    assert len(boto(seaweedfs.admin).listing(bucket)) == 3


async def test_a_task_is_previewed_as_it_is(hub: Hub, spec: Mapping[str, Any]) -> None:
    now = utc_now()
    task = Task(
        ident=TaskId("t"),
        name="t",
        kind="objects",
        spec={**spec, "include": ["a"]},
        fingerprint="f",
        created_at=now,
        updated_at=now,
    )
    await hub.store.create_task(task)
    found = await hub.places.preview_task(OPERATOR, task.ident)
    assert (found.preview.copies, found.preview.scan.filtered) == (1, 2)
    with pytest.raises(InputError, match="there is no task"):
        await hub.places.preview_task(OPERATOR, TaskId("other"))


async def test_a_preview_that_takes_too_long_says_at_least(
    hub: Hub, spec: Mapping[str, Any], seaweedfs: SeaweedFS, fault_proxy: ProxyFactory
) -> None:
    proxy, endpoint = fault_proxy(seaweedfs.admin)
    proxy.add(Stall(), operation="ListObjectsV2")
    source = {**spec["source"], "endpoint": endpoint.url}
    found = await hub.places.preview(
        OPERATOR, {**spec, "source": source}, within=timedelta(milliseconds=1)
    )
    assert not found.complete
    assert found.preview.copies == 0
    assert not [*(hub.folder / "spool").glob("*")]


async def test_a_place_that_cannot_be_listed_is_told(hub: Hub, spec: Mapping[str, Any]) -> None:
    source = {**spec["source"], "url": "s3://no-such-bucket"}
    with pytest.raises(StoreError) as caught:
        await hub.places.preview(OPERATOR, {**spec, "source": source})
    assert caught.value.code == "no_bucket"


async def test_a_preview_reaches_what_a_task_may(hub: Hub, spec: Mapping[str, Any]) -> None:
    given = {**spec, "destination": "file:///d"}
    with pytest.raises(InputError, match="allow_local"):
        await hub.reaching(ReachRules()).preview(OPERATOR, given)


# Estimates


async def test_an_estimate_needs_no_look(hub: Hub) -> None:
    given = {
        "source": {"url": "s3://a", "anonymous": True},
        "destination": {"url": "s3://b", "anonymous": True},
    }
    small = await hub.places.estimate(OPERATOR, given, objects=1_000_000, size=10_000_000_000)
    assert small.requests_of(RequestKind.PUT) == small.requests_of(RequestKind.GET) == 1_000_000
    assert small.requests_of(RequestKind.LIST) == 1_001
    assert small.cost == pytest.approx(
        5.0 + 0.4 + 1_001 * 0.005 / 1_000 + 10e9 / (1 << 30) * 0.09, rel=1e-6
    )
    given["part_size"] = 8 << 20  # type: ignore[assignment]
    large = await hub.places.estimate(OPERATOR, given, objects=10, size=10 * (80 << 20))
    assert large.requests_of(RequestKind.MULTIPART) == 10 * (10 + 2)
    nothing = await hub.places.estimate(OPERATOR, given, objects=0, size=0)
    assert (nothing.copies, nothing.bytes) == (0, 0)
    with pytest.raises(InputError) as caught:
        await hub.places.estimate(OPERATOR, given, objects=-1, size=0)
    assert caught.value.field == "objects"


async def test_viewers_look_at_nothing(hub: Hub) -> None:
    places = hub.places
    for verb in (
        places.test_connection(VIEWER, {"url": "s3://b"}, Side.SOURCE),
        places.preview(VIEWER, {}),
        places.preview_task(VIEWER, TaskId("t")),
        places.estimate(VIEWER, {}, objects=1, size=1),
    ):
        with pytest.raises(AccessError):
            await verb
