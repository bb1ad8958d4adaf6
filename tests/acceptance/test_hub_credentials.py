"""Credentials that a hub stores, in the runs of the real `dth up`."""

import os
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import Place, content_of
from tests.servers.endpoint import Endpoint
from tests.servers.seaweedfs import SeaweedFS
from transferhub.control.tasks import TaskDraft
from transferhub.errors import InputError
from transferhub.model.people import CredentialKind
from transferhub.model.run import RunState, Task

SLOW = "100kB/s"
LINK_LOCAL = "http://169.254.169.254"


@pytest.fixture
def bare(dth: Dth, source: Place, destination: Place) -> Dth:
    """`dth` that has no credential of its own, and whose output and state are searched for those
    of both servers."""
    secrets = [place.endpoint.secret_access_key for place in (source, destination)]
    return dth.having(*secrets, DTH_PROCESSES="2", AWS_CONFIG_FILE="/none")


@pytest.fixture
async def desk(bare: Dth) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield await Desk.open(bare.state, f"sqlite:///{bare.state}/dth.sqlite3", stack)


async def put(desk: Desk, name: str, endpoint: Endpoint) -> None:
    fields = {
        "access_key_id": endpoint.access_key_id,
        "secret_access_key": endpoint.secret_access_key,
    }
    await desk.services.credentials.put(ADMIN, name, CredentialKind.KEYS, fields)


def reached(place: Place, credential: str) -> Mapping[str, Any]:
    return {
        "url": place.url,
        "endpoint": place.endpoint.url,
        "region": place.endpoint.region,
        "credential": credential,
    }


async def task(desk: Desk, source: Place, destination: Place) -> Task:
    await put(desk, "from", source.endpoint)
    await put(desk, "to", destination.endpoint)
    spec = {"source": reached(source, "from"), "destination": reached(destination, "to")}
    return await desk.services.tasks.create(
        ADMIN, TaskDraft(name="moves", kind="objects", spec=spec)
    )


def shown(running: Running) -> bytes:
    """Arguments and variables of all processes of a command."""
    found = b""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(entry.name)) == running.process.pid:
                found += (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
    return found


def fill(place: Place, name: str, count: int = 40) -> None:
    place.fill({f"{name}/{n:03}": content_of(f"{name}{n}", 4_000) for n in range(count)})


async def test_a_run_uses_what_is_stored_when_it_begins(
    bare: Dth, desk: Desk, source: Place, destination: Place, seaweedfs_b: SeaweedFS
) -> None:
    fill(source, "first")
    made = await task(desk, source, destination)
    with ExitStack() as scope:
        hub = up(bare, scope)
        run = await desk.ended(await desk.start(made))
        assert run.state is RunState.SUCCEEDED, run
        assert destination.contents() == source.contents()

        await put(desk, "to", seaweedfs_b.reader)
        fill(source, "second")
        run = await desk.ended(await desk.start(made))
        groups = await desk.services.orders.failure_groups(ADMIN, run.ident)
        assert run.error_code == "denied" or [group.code for group in groups] == ["denied"]
        assert len(destination.keys("second/")) == 0

        await put(desk, "to", destination.endpoint)
        run = await desk.ended(await desk.start(made))
        assert run.state is RunState.SUCCEEDED, run
        assert destination.contents() == source.contents()
        hub.process.terminate()
        hub.wait()


async def test_nobody_sees_the_secrets_of_a_run_at_work(
    bare: Dth, desk: Desk, source: Place, destination: Place
) -> None:
    fill(source, "slow", 100)
    made = await task(desk, source, destination)
    with ExitStack() as scope:
        hub = up(bare, scope, "--bandwidth", SLOW)
        await desk.under_way(await desk.start(made))
        seen = shown(hub)
        assert b"DTH_STATE" in seen
        for place in (source, destination):
            assert place.endpoint.secret_access_key.encode() not in seen
        hub.process.terminate()
        hub.wait()


async def test_a_run_whose_credential_is_gone_fails_and_says_so(
    bare: Dth, desk: Desk, source: Place, destination: Place
) -> None:
    made = await task(desk, source, destination)
    await desk.services.credentials.delete(ADMIN, "to")
    with ExitStack() as scope:
        up(bare, scope)
        run = await desk.ended(await desk.start(made))
    assert (run.state, run.error_code) == (RunState.FAILED, "bad_input")
    assert "there is no stored credential 'to'" in run.error
    failed = bare.well("resume", run.ident, code=2)
    assert "lends it to its own runs alone" in failed.err


@pytest.mark.postgresql
async def test_a_worker_opens_what_was_sealed_with_the_key_of_the_fleet(
    bare: Dth, source: Place, destination: Place, postgres_url: str, tmp_path: Path
) -> None:
    key = b64encode(os.urandom(32)).decode()
    machine = bare.having(key, DTH_DATABASE=postgres_url, DTH_VAULT_KEY=key)
    fill(source, "first")
    async with AsyncExitStack() as stack:
        desk = await Desk.open(tmp_path / "desk", postgres_url, stack, DTH_VAULT_KEY=key)
        made = await task(desk, source, destination)
        with machine.start("worker", "--name", "one") as worker:
            run = await desk.ended(await desk.start(made))
            worker.process.terminate()
            worker.wait()
    assert run.state is RunState.SUCCEEDED, run
    assert destination.contents() == source.contents()


async def test_a_task_may_not_name_what_its_hub_does_not_lend(
    tmp_path: Path, destination: Place
) -> None:
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{tmp_path}/hub.sqlite3"
        desk = await Desk.open(tmp_path, url, stack, DTH_ALLOW_LOCAL="/data")
        for place, code in (
            ("file:///data/in", ""),
            ("file:///etc", "not_allowed"),
            ({"url": "s3://b", "profile": "root"}, "not_allowed"),
            ({"url": "s3://b", "anonymous": True, "endpoint": LINK_LOCAL}, "blocked_address"),
        ):
            spec = {"source": place, "destination": reached(destination, "to")}
            create = desk.services.tasks.create(
                ADMIN, TaskDraft(name="moves", kind="objects", spec=spec)
            )
            if not code:
                await create
                continue
            with pytest.raises(InputError) as caught:
                await create
            assert caught.value.code == code
        assert (await desk.services.tasks.page(ADMIN)).total == 1


async def test_a_shared_hub_lends_its_machine_to_no_run(
    bare: Dth, desk: Desk, source: Place, destination: Place, tmp_path: Path
) -> None:
    """The task was made while that was allowed."""
    (tmp_path / "data").mkdir()
    await put(desk, "to", destination.endpoint)
    spec = {"source": f"file://{tmp_path}/data", "destination": reached(destination, "to")}
    draft = TaskDraft(name="moves", kind="objects", spec=spec)
    made = await desk.services.tasks.create(ADMIN, draft)
    with ExitStack() as scope:
        up(bare.having(DTH_ALLOW_LOCAL="none"), scope)
        run = await desk.ended(await desk.start(made))
    assert (run.state, run.error_code) == (RunState.FAILED, "not_allowed")
