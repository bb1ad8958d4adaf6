"""Tables and queues of a state: created, compared, described and deleted on both stand-ins."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.servers.aws_faults import AwsProxy, Refusal
from tests.servers.endpoint import Endpoint
from transferhub.aws.queue import Posting
from transferhub.errors import StateError
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.creating import Kind, create_state, delete_state, describe_state
from transferhub.state.aws.schema import (
    DEAD,
    EXPIRES,
    LEDGER,
    QUEUES,
    TABLES,
    WORK,
    TableSchema,
)


@pytest.fixture
async def empty(aws_server: Endpoint) -> AsyncIterator[Connection]:
    """A state that is not there yet."""
    connection = connection_to(aws_server, f"new-{uuid4().hex[:12]}")
    try:
        yield connection
        await delete_state(connection)
    finally:
        await connection.aclose()


async def described_table(connection: Connection, schema: TableSchema) -> dict[str, Any]:
    asked = {"TableName": connection.resource(schema.name)}
    answer = await connection.dynamodb.ask("DescribeTable", asked)
    return dict(answer["Table"])


async def test_creating_returns_everything_once(empty: Connection) -> None:
    created = await create_state(empty)
    assert {(at.kind, at.name) for at in created} == {
        *((Kind.TABLE, empty.resource(table.name)) for table in TABLES),
        *((Kind.QUEUE, empty.resource(queue.name)) for queue in QUEUES),
    }
    assert await create_state(empty) == []


async def test_tables_are_on_demand_with_the_keys_and_indexes_of_the_schema(
    empty: Connection,
) -> None:
    await create_state(empty)
    for schema in TABLES:
        table = await described_table(empty, schema)
        assert table["TableStatus"] == "ACTIVE"
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        types = {at["AttributeName"]: at["AttributeType"] for at in table["AttributeDefinitions"]}
        assert {name for name, kind in types.items() if kind == "B"} == schema.binary
        assert {at["IndexName"] for at in table.get("GlobalSecondaryIndexes", ())} == {
            index.name for index in schema.indexes
        }
        asked = {"TableName": table["TableName"]}
        ttl = (await empty.dynamodb.ask("DescribeTimeToLive", asked))["TimeToLiveDescription"]
        assert ttl["AttributeName"] == EXPIRES
        assert ttl["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}


async def test_queues_keep_hide_encrypt_and_bury_as_the_schema_says(empty: Connection) -> None:
    await create_state(empty)
    dead = await (await empty.queue(DEAD)).attributes("QueueArn")
    work = await (await empty.queue(WORK)).attributes("All")
    assert work["VisibilityTimeout"] == "900"
    assert work["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert work["SqsManagedSseEnabled"] == "true"
    redrive = json.loads(work["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 5


async def test_what_is_missing_of_a_state_is_created(empty: Connection) -> None:
    await create_state(empty)
    work = await empty.queue(WORK)
    await empty.sqs.ask("DeleteQueue", {"QueueUrl": work.url})
    created = await create_state(empty)
    assert [at.name for at in created] == [empty.resource(WORK.name)]


async def test_a_table_with_another_schema_is_told(empty: Connection) -> None:
    name = empty.resource(LEDGER.name)
    await empty.dynamodb.ask(
        "CreateTable",
        {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        },
    )
    with pytest.raises(StateError) as raised:
        await create_state(empty)
    assert raised.value.code == "state_differs"
    assert name in raised.value.message
    assert "the keys of the table are pk (S), sk (S), not pk (S), sk (B)" in raised.value.message
    assert "it has no index due" in raised.value.message


async def test_a_queue_with_another_schema_is_told(empty: Connection) -> None:
    await create_state(empty)
    work = await empty.queue(WORK)
    dead = await (await empty.queue(DEAD)).attributes("QueueArn")
    redrive = {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 3}
    await work.set_attributes({"VisibilityTimeout": "30", "RedrivePolicy": json.dumps(redrive)})
    with pytest.raises(StateError) as raised:
        await create_state(empty)
    assert raised.value.code == "state_differs"
    assert "its VisibilityTimeout is 30 seconds, not 900" in raised.value.message
    assert "the maxReceiveCount of its RedrivePolicy is 3, not 5" in raised.value.message


async def test_backups_and_protection_are_turned_on_when_asked_for(empty: Connection) -> None:
    await create_state(empty)
    assert not (await described_table(empty, LEDGER)).get("DeletionProtectionEnabled")
    await create_state(empty, backups=True, protected=True)
    for table in TABLES:
        asked = {"TableName": empty.resource(table.name)}
        backups = await empty.dynamodb.ask("DescribeContinuousBackups", asked)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
        assert (await described_table(empty, table))["DeletionProtectionEnabled"]
    with pytest.raises(StateError) as raised:
        await delete_state(empty)
    assert raised.value.code == "state_protected"
    assert (await describe_state(empty)).queues
    for table in TABLES:
        asked = {"TableName": empty.resource(table.name)}
        await empty.dynamodb.ask("UpdateTable", {**asked, "DeletionProtectionEnabled": False})


async def test_a_state_is_described_with_what_it_holds(aws_server: Endpoint) -> None:
    async with aws_state(aws_server) as connection:
        await connection.table(LEDGER).put({"pk": "a", "sk": b"b"})
        work = await connection.queue(WORK)
        await work.send([Posting(f"message {number}") for number in range(3)])
        await work.receive(1, hidden=WORK.visibility)
        await (await connection.queue(DEAD)).send([Posting("dead")])
        facts = await describe_state(connection)
    assert [at.status for at in facts.tables] == ["ACTIVE"] * len(TABLES)
    queues = {at.name: at for at in facts.queues}
    assert (queues[f"{facts.name}-work"].waiting, queues[f"{facts.name}-work"].in_flight) == (2, 1)
    assert facts.dead == 1
    assert json.loads(json.dumps(facts.document()))["queues"][0]["delayed"] == 0


async def test_a_state_that_is_not_there_cannot_be_described(empty: Connection) -> None:
    with pytest.raises(StateError) as raised:
        await describe_state(empty)
    assert raised.value.code == "state_missing"


async def test_deleting_returns_what_was_there_and_leaves_nothing(empty: Connection) -> None:
    await create_state(empty)
    assert len(await delete_state(empty)) == len(TABLES) + len(QUEUES)
    assert await delete_state(empty) == []


# What the stand-ins never answer


async def test_a_name_that_was_given_up_a_moment_ago_is_waited_for(aws_server: Endpoint) -> None:
    async with AwsProxy(aws_server.url) as proxy:
        name = f"new-{uuid4().hex[:12]}"
        connection = connection_to(aws_server.at(proxy.url), name)
        recently = Refusal("QueueDeletedRecently", kind="com.amazonaws.sqs")
        proxy.add("CreateQueue", recently, times=2)
        not_yet = Refusal("ContinuousBackupsUnavailableException")
        proxy.add("UpdateContinuousBackups", not_yet, times=2)
        gone = Refusal("QueueDoesNotExist", kind="com.amazonaws.sqs")
        proxy.add("GetQueueAttributes", gone, times=2)
        missing = Refusal("ResourceNotFoundException")
        proxy.add("DescribeTable", missing, times=2, skip=1)
        try:
            created = await create_state(connection, backups=True)
            assert len(created) == len(TABLES) + len(QUEUES)
            await delete_state(connection)
        finally:
            await connection.aclose()


async def test_what_takes_too_long_is_told(aws_server: Endpoint) -> None:
    async with AwsProxy(aws_server.url) as proxy:
        name = f"new-{uuid4().hex[:12]}"
        connection = connection_to(aws_server.at(proxy.url), name)
        recently = Refusal("QueueDeletedRecently", kind="com.amazonaws.sqs")
        proxy.add("CreateQueue", recently, times=1000)
        try:
            with pytest.raises(StateError, match="since it was deleted a moment ago") as raised:
                await create_state(connection, within=timedelta(seconds=0.3))
        finally:
            await connection.aclose()
    assert raised.value.code == "state_unreachable"
    assert raised.value.message.startswith(f"The queue {name}-dead cannot be created yet, ")
