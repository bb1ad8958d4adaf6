"""The rights of each role, where IAM is enforced: enough for its whole work, and none too many."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from uuid import uuid4

import pytest

from tests.conformance.aws_rights import REGION, allows, as_role, kinds_of, needs_of
from tests.conformance.aws_states import aws_state, connection_to
from tests.conformance.task_stores import task
from tests.integration.aws_roles import as_creator, as_finder, as_hub, as_worker, prepare
from tests.servers.aws_faults import AwsProxy
from tests.servers.endpoint import Endpoint
from tests.servers.iam import user_with
from tests.servers.ministack import ACCOUNT, MinistackServer
from transferhub.errors import StateError
from transferhub.state.aws.access import RIGHTS, Role, policy
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.creating import create_state, delete_state
from transferhub.state.aws.schema import HUB, LEDGER, TABLES, WORK
from transferhub.state.aws.tasks import AwsTaskStore

WORKS: Mapping[Role, Callable[[Connection], Awaitable[None]]] = {
    Role.WORKER: as_worker,
    Role.FINDER: as_finder,
    Role.HUB: as_hub,
    Role.CREATOR: as_creator,
}


@asynccontextmanager
async def working(root: Endpoint, role: Role) -> AsyncIterator[tuple[AwsProxy, Connection]]:
    """As `as_role`, in a new state where there is work; for a creator, where there is none."""
    if role is Role.CREATOR:
        async with as_role(root, f"t{uuid4().hex[:12]}", role) as reached:
            yield reached
        return
    async with aws_state(root) as state:
        await prepare(state)
        async with as_role(root, state.name, role) as reached:
            yield reached


@pytest.fixture
def root(ministack_guarded: MinistackServer) -> Endpoint:
    return ministack_guarded.endpoint


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_do_its_whole_work_and_nothing_that_it_does_not_need(
    root: Endpoint, role: Role
) -> None:
    async with working(root, role) as (proxy, connection):
        await WORKS[role](connection)
    used = {need for asked in proxy.seen for need in needs_of(asked)}
    statements = policy(role, connection.name, region=REGION, account=ACCOUNT)["Statement"]
    granted = {(action, at["Resource"]) for at in statements for action in at["Action"]}
    assert {(need.action, need.arn) for need in used} == granted
    assert [need for need in used if not any(allows(at, need) for at in statements)] == []
    idle = [
        (kind, at["Action"])
        for at in statements
        for kind in kinds_of(at)
        if not any(allows(at, need) and fnmatchcase(need.key, kind) for need in used)
    ]
    assert idle == []


async def _delete_tables(connection: Connection) -> None:
    with connection.failures():
        for table in TABLES:
            asked = {"TableName": connection.resource(table.name)}
            await connection.dynamodb.ask("DeleteTable", asked)


async def _scan(connection: Connection) -> None:
    with connection.failures():
        await connection.dynamodb.ask("Scan", {"TableName": connection.resource(LEDGER.name)})


async def _purge_queue(connection: Connection) -> None:
    with connection.failures():
        answer = await connection.sqs.ask(
            "GetQueueUrl", {"QueueName": connection.resource(WORK.name)}
        )
        await connection.sqs.ask("PurgeQueue", {"QueueUrl": answer["QueueUrl"]})


async def _create_task(connection: Connection) -> None:
    await AwsTaskStore(connection).create_task(task("forged"))


async def _read_tasks(connection: Connection) -> None:
    await AwsTaskStore(connection).tasks()


async def _see_dead_letters(connection: Connection) -> None:
    with connection.failures():
        answer = await connection.sqs.ask("GetQueueUrl", {"QueueName": connection.resource("dead")})
        await connection.sqs.ask("ReceiveMessage", {"QueueUrl": answer["QueueUrl"]})


async def _read_audit(connection: Connection) -> None:
    await AwsAudit(connection).entries()


FORBIDDEN: Mapping[Role, tuple[Callable[[Connection], Awaitable[object]], ...]] = {
    Role.WORKER: (
        _delete_tables,
        _scan,
        _purge_queue,
        _create_task,
        _see_dead_letters,
        create_state,
        delete_state,
    ),
    Role.FINDER: (_delete_tables, _scan, _purge_queue, _see_dead_letters, delete_state),
    Role.HUB: (_delete_tables, _scan, _purge_queue, create_state),
    Role.CREATOR: (_scan, _purge_queue, _create_task, _read_tasks, _see_dead_letters),
}


@pytest.mark.parametrize(
    ("role", "deed"),
    [
        pytest.param(role, deed, id=f"{role}-{deed.__name__}")
        for role, deeds in FORBIDDEN.items()
        for deed in deeds
    ],
)
async def test_what_a_role_must_not_do_is_denied(
    root: Endpoint, role: Role, deed: Callable[[Connection], Awaitable[object]]
) -> None:
    async with aws_state(root) as state, as_role(root, state.name, role) as (_, connection):
        with pytest.raises(StateError) as raised:
            await deed(connection)
    assert raised.value.code == "state_denied"
    assert f"of the state {state.name} in {REGION} failed (AccessDenied" in raised.value.message
    assert "the credentials may not do this" in raised.value.message


async def _forge_task(connection: Connection) -> None:
    with connection.failures():
        await connection.table(HUB).put({"pk": "task#forged", "sk": "task"})


@pytest.mark.parametrize("role", [Role.WORKER, Role.FINDER])
@pytest.mark.parametrize("deed", [_forge_task, _read_tasks, _read_audit])
async def test_a_role_is_kept_to_its_kinds_of_items(
    root: Endpoint, role: Role, deed: Callable[[Connection], Awaitable[object]]
) -> None:
    # ministack lets these pass: it knows nothing of leading keys.
    async with aws_state(root) as state, as_role(root, state.name, role) as reached:
        proxy, connection = reached
        await deed(connection)
    statements = policy(role, state.name, region=REGION, account=ACCOUNT)["Statement"]
    needs = [need for asked in proxy.seen for need in needs_of(asked)]
    assert not all(any(allows(at, need) for at in statements) for need in needs)


@pytest.mark.parametrize("role", [Role.WORKER, Role.FINDER, Role.HUB])
async def test_the_state_of_another_name_is_out_of_reach(root: Endpoint, role: Role) -> None:
    async with (
        aws_state(root) as mine,
        aws_state(root) as other,
        as_role(root, other.name, role, of=mine.name) as (_, connection),
    ):
        with pytest.raises(StateError) as raised, connection.failures():
            await connection.table(HUB).get({"pk": "a", "sk": "b"})
    assert raised.value.code == "state_denied"


@pytest.mark.parametrize("known", [False, True])
async def test_keys_and_secrets_that_do_not_fit_are_told(root: Endpoint, known: bool) -> None:
    with user_with(root, policy(Role.HUB, "any", region=REGION, account=ACCOUNT)) as user:
        key = user.access_key_id if known else "AKIANOBODY1234567890"
        stranger = replace(user, access_key_id=key, secret_access_key="mistyped-secret")
        connection = connection_to(stranger, "any")
        try:
            with pytest.raises(StateError, match="does not know these credentials") as raised:
                await AwsTaskStore(connection).tasks()
        finally:
            await connection.aclose()
    assert raised.value.code == "state_denied"
    assert "mistyped-secret" not in raised.value.message


# Documents


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
@pytest.mark.parametrize("role", Role)
def test_a_policy_names_every_action_and_resource(role: Role, region: str, partition: str) -> None:
    document = policy(role, "moves", region=region, account=ACCOUNT)
    for statement in document["Statement"]:
        assert re.fullmatch(
            rf"arn:{partition}:(dynamodb:{region}:{ACCOUNT}:table/|sqs:{region}:{ACCOUNT}:)moves-[\w/]+",
            statement["Resource"],
        )
        assert not any("*" in action for action in statement["Action"])
        assert statement["Condition"]["Bool"] == {"aws:SecureTransport": "true"}
    # What a managed policy may have of characters.
    assert len(json.dumps(document, separators=(",", ":"))) < 6144


def test_a_worker_may_do_less_than_a_finder_and_that_one_less_than_a_hub() -> None:
    def granted(role: Role) -> set[tuple[str, str]]:
        return {(right.on.name, action) for right in RIGHTS[role] for action in right.actions}

    assert granted(Role.WORKER) < granted(Role.FINDER) < granted(Role.HUB)
    assert not granted(Role.CREATOR) & granted(Role.WORKER) - {
        ("work", "sqs:GetQueueUrl"),
        ("dead", "sqs:GetQueueUrl"),
    }
