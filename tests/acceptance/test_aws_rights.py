"""Programs whose keys have the rights of their role, and no others, where IAM is enforced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import fill, on_machine
from tests.acceptance.places import MIB, Place, content_of
from tests.conformance.aws_rights import REGION, allows, needs_of
from tests.conformance.aws_states import aws_state
from tests.servers.aws_faults import AwsProxy
from tests.servers.endpoint import Endpoint
from tests.servers.iam import user_with
from tests.servers.ministack import ACCOUNT, MinistackServer
from transferhub.state.aws.access import Role, policy
from transferhub.state.aws.connection import Connection

_WITHIN_S = 60


@pytest.fixture
async def state(ministack_guarded: MinistackServer) -> AsyncIterator[Connection]:
    async with aws_state(ministack_guarded.endpoint) as state:
        yield state


@pytest.fixture
def root(ministack_guarded: MinistackServer) -> Endpoint:
    return ministack_guarded.endpoint


@asynccontextmanager
async def having_rights(dth: Dth, root: Endpoint, name: str, role: Role) -> AsyncIterator[Dth]:
    """The command with its state there, and with the keys of a role.

    All that it asked for is compared with the policy, since ministack does not enforce all of it.
    """
    document = policy(role, name, region=REGION, account=ACCOUNT)
    with user_with(root, document) as user:
        async with AwsProxy(root.url, ca_bundle=root.ca_bundle) as proxy:
            yield dth.having(
                user.secret_access_key,
                AWS_ACCESS_KEY_ID=user.access_key_id,
                AWS_SECRET_ACCESS_KEY=user.secret_access_key,
                AWS_ENDPOINT_URL=proxy.url,
                DTH_LEDGER=f"aws://{name}?region={REGION}",
            )
    needs = {need for asked in proxy.seen for need in needs_of(asked)}
    assert needs
    denied = [need for need in needs if not any(allows(at, need) for at in document["Statement"])]
    assert denied == []


async def until_ready(running: Running, words: str) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while words not in running.out:
            assert running.process.poll() is None, running.err
            await asyncio.sleep(0.05)


async def test_a_transfer_needs_the_rights_of_a_hub(
    pair: Dth, root: Endpoint, state: Connection, source: Place, destination: Place
) -> None:
    fill(source, count=50)
    source.put_multipart("large", content_of("large", 20 * MIB))
    async with having_rights(pair, root, state.name, Role.HUB) as dth:
        ended = await asyncio.to_thread(dth.well, "transfer", source, destination)
        await asyncio.to_thread(dth.well, "runs")
        await asyncio.to_thread(dth.well, "doctor")
    dth.assert_no_secret(ended)
    assert destination.contents() == source.contents()


async def test_a_worker_of_a_hub_needs_the_rights_of_a_finder(
    pair: Dth,
    root: Endpoint,
    state: Connection,
    source: Place,
    destination: Place,
) -> None:
    fill(source, count=50)
    source.put_multipart("large", content_of("large", 20 * MIB))
    machine = on_machine(pair, "one")
    async with (
        having_rights(pair, root, state.name, Role.HUB) as hub,
        having_rights(machine, root, state.name, Role.FINDER) as finder,
    ):
        with hub.start("up", "--runs", 0, "--port", 0), finder.start("worker") as worker:
            await until_ready(worker, "takes up to")
            await asyncio.to_thread(hub.well, "task", "create", source, destination, "--name", "m")
            ended = await asyncio.to_thread(hub.well, "task", "start", "m", "--wait", "--json")
            await asyncio.to_thread(finder.well, "doctor")
            worker.process.terminate()
            assert (await asyncio.to_thread(worker.wait)).code == 0
    assert ended.json["status"] == "succeeded"
    assert destination.contents() == source.contents()


@pytest.mark.parametrize(
    ("role", "words", "code"),
    [
        (Role.WORKER, ("transfer", "s3://a", "s3://b"), 3),
        (Role.WORKER, ("doctor",), 1),
        (Role.CREATOR, ("runs",), 3),
    ],
)
async def test_a_command_with_too_few_rights_says_so(
    pair: Dth, root: Endpoint, state: Connection, role: Role, words: tuple[str, ...], code: int
) -> None:
    document = policy(role, state.name, region=REGION, account=ACCOUNT)
    with user_with(root, document) as user:
        dth = pair.having(
            user.secret_access_key,
            AWS_ACCESS_KEY_ID=user.access_key_id,
            AWS_SECRET_ACCESS_KEY=user.secret_access_key,
            AWS_ENDPOINT_URL=root.url,
            AWS_CA_BUNDLE=str(root.ca_bundle),
            DTH_LEDGER=f"aws://{state.name}?region={REGION}",
        )
        ended = await asyncio.to_thread(dth, *words)
    assert ended.code == code, ended
    told = ended.out + ended.err
    assert "the credentials may not do this" in told
    assert f"of the state {state.name} in {REGION} failed (AccessDeniedException" in told
    dth.assert_no_secret(ended)
