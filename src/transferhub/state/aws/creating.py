"""Creates, deletes and describes the tables and queues of a state on AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from transferhub.aws.client import AwsError, AwsFault
from transferhub.aws.patience import Patience
from transferhub.errors import StateError
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import EXPIRES, QUEUES, TABLES, QueueSchema, TableSchema

_WITHIN = timedelta(minutes=5)
_LONGEST_PAUSE = 2.0

_DELETED_RECENTLY = "QueueDeletedRecently"
"""SQS gives a name away again a minute after its queue was deleted."""

_BACKUPS_NOT_YET = "ContinuousBackupsUnavailableException"
"""DynamoDB is still setting up backups of a new table."""


class Kind(StrEnum):
    TABLE = "table"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A table or queue by the name it has in AWS."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """`items` and `size` in bytes are as DynamoDB counts them, about every six hours."""

    name: str
    status: str
    items: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """Messages, about: those that wait, that somebody works on, and that are due later."""

    name: str
    waiting: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """What a state holds. `dead`: messages in queues for those that were received too often."""

    name: str
    region: str
    tables: Sequence[TableFacts]
    queues: Sequence[QueueFacts]
    dead: int

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def create_state(
    connection: Connection,
    *,
    backups: bool = False,
    protected: bool = False,
    within: timedelta = _WITHIN,
) -> Sequence[Resource]:
    """Creates what is missing of the state, and returns that once all of it can be used.

    Args:
        backups: tables can be restored to any second of the last 35 days. Never turned off here.
        protected: tables cannot be deleted before somebody lifts that. Never turned off here.
        within: how long AWS may take.

    Raises:
        StateError: AWS refuses, or takes too long; "state_differs": a table or queue is there
            already, with another schema.
    """
    patience = Patience(within, longest=_LONGEST_PAUSE)
    with connection.failures():
        created = [await _create_queue(connection, schema, patience) for schema in QUEUES]
        created += [
            await _create_table(connection, schema, patience, protected=protected)
            for schema in TABLES
        ]
        for schema in TABLES:
            await _expire(connection, schema)
            if backups:
                await _back_up(connection, schema, patience)
            if protected:
                await _protect(connection, schema, patience)
    return [resource for resource in created if resource]


async def delete_state(
    connection: Connection, *, within: timedelta = _WITHIN
) -> Sequence[Resource]:
    """Deletes what there is of the state, with all it holds, and returns that once it is gone.

    Raises:
        StateError: AWS refuses, or takes too long; "state_protected": a table is protected from
            deletion, and nothing was deleted.
    """
    patience = Patience(within, longest=_LONGEST_PAUSE)
    deleted: list[Resource] = []
    with connection.failures():
        tables = [schema for schema in TABLES if await _is_deletable(connection, schema)]
        for queue in reversed(QUEUES):
            if url := await _url(connection, queue):
                await connection.sqs.ask("DeleteQueue", {"QueueUrl": url})
                deleted.append(_queue(connection, queue))
        for table in tables:
            await _delete_table(connection, table, patience)
            deleted.append(_table(connection, table))
    return deleted


async def describe_state(connection: Connection) -> StateFacts:
    """Raises StateError: AWS refuses; "state_missing": a table or queue is not there."""
    with connection.failures():
        tables = [await _table_facts(connection, schema) for schema in TABLES]
        queues = {schema.name: await _queue_facts(connection, schema) for schema in QUEUES}
    dead = [queues[name] for name in {schema.dead for schema in QUEUES if schema.dead}]
    return StateFacts(
        name=connection.name,
        region=connection.region,
        tables=tables,
        queues=list(queues.values()),
        dead=sum(queue.waiting + queue.in_flight + queue.delayed for queue in dead),
    )


async def differences_of(connection: Connection) -> Sequence[str]:
    """What of the tables and queues that there are is not as this version needs it, a sentence
    each.

    Raises:
        StateError: AWS refuses.
    """
    found: list[str] = []
    with connection.failures():
        for table in TABLES:
            if described := await _described(connection, table):
                name = _table(connection, table).name
                found += [f"table {name}: {it}" for it in _table_differences(table, described)]
        for queue in QUEUES:
            if url := await _url(connection, queue):
                name = _queue(connection, queue).name
                found += [
                    f"queue {name}: {it}"
                    for it in await _differences_of_queue(connection, queue, url)
                ]
    return found


async def _wait(patience: Patience, resource: Resource, what: str) -> None:
    """Raises StateError: it took too long."""
    if not await patience.pause():
        raise StateError(
            f"The {resource.kind} {resource.name} {what}, though AWS was given its time:"
            " look at it in the AWS console, and start again later.",
            code="state_unreachable",
        )


def _table(connection: Connection, schema: TableSchema) -> Resource:
    return Resource(kind=Kind.TABLE, name=connection.resource(schema.name))


def _queue(connection: Connection, schema: QueueSchema) -> Resource:
    return Resource(kind=Kind.QUEUE, name=connection.resource(schema.name))


def _refuse_differences(resource: Resource, differences: Iterator[str]) -> None:
    if found := "; ".join(differences):
        raise StateError(
            f"The {resource.kind} {resource.name} is there already, with another schema ({found}):"
            " choose another name for the state, or delete that one first.",
            code="state_differs",
        )


async def _create_table(
    connection: Connection, schema: TableSchema, patience: Patience, *, protected: bool
) -> Resource | None:
    """None where it was there already."""
    resource = _table(connection, schema)
    created = False
    while True:
        described = await _described(connection, schema)
        if described is None:
            created = await _ask_for_table(connection, schema, protected=protected) or created
        elif _is_active(described):
            break
        await _wait(patience, resource, "cannot be used yet")
    _refuse_differences(resource, _table_differences(schema, described))
    return resource if created else None


async def _ask_for_table(connection: Connection, schema: TableSchema, *, protected: bool) -> bool:
    """False where it is there already, or not gone yet."""
    keys = {"pk", "sk"} | {key for index in schema.indexes for key in (index.partition, index.sort)}
    request = {
        "TableName": connection.resource(schema.name),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": _type(schema, key)} for key in sorted(keys)
        ],
        "KeySchema": _keys("pk", "sk"),
        "DeletionProtectionEnabled": protected,
    }
    if schema.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _keys(index.partition, index.sort),
                "Projection": {"ProjectionType": "KEYS_ONLY" if index.keys_only else "ALL"},
            }
            for index in schema.indexes
        ]
    try:
        await connection.dynamodb.ask("CreateTable", request)
    except AwsError as error:
        if error.name == "ResourceInUseException":
            return False
        raise
    return True


async def _described(connection: Connection, schema: TableSchema) -> Mapping[str, Any] | None:
    try:
        answer = await connection.dynamodb.ask(
            "DescribeTable", {"TableName": connection.resource(schema.name)}
        )
    except AwsError as error:
        if error.fault is AwsFault.MISSING:
            return None
        raise
    table: Mapping[str, Any] = answer["Table"]
    return table


def _is_active(described: Mapping[str, Any]) -> bool:
    indexes = described.get("GlobalSecondaryIndexes") or ()
    return all(at.get("IndexStatus", "ACTIVE") == "ACTIVE" for at in indexes) and (
        described.get("TableStatus") == "ACTIVE"
    )


def _type(schema: TableSchema, key: str) -> str:
    return "B" if key in schema.binary else "S"


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def _table_differences(schema: TableSchema, described: Mapping[str, Any]) -> Iterator[str]:
    types = {at["AttributeName"]: at["AttributeType"] for at in described["AttributeDefinitions"]}
    yield from _key_differences("the table", schema, ("pk", "sk"), described["KeySchema"], types)
    there = {at["IndexName"]: at for at in described.get("GlobalSecondaryIndexes") or ()}
    for index in schema.indexes:
        if (found := there.get(index.name)) is None:
            yield f"it has no index {index.name}"
            continue
        keys = (index.partition, index.sort)
        yield from _key_differences(
            f"the index {index.name}", schema, keys, found["KeySchema"], types
        )
        wanted = "KEYS_ONLY" if index.keys_only else "ALL"
        if (projected := found["Projection"]["ProjectionType"]) != wanted:
            yield f"the index {index.name} projects {projected}, not {wanted}"


def _key_differences(
    what: str,
    schema: TableSchema,
    keys: tuple[str, str],
    found: Sequence[Mapping[str, str]],
    types: Mapping[str, str],
) -> Iterator[str]:
    def words(of: Sequence[tuple[str, str]]) -> str:
        return ", ".join(f"{name} ({kind})" for name, kind in of) or "none"

    by_kind = {at["KeyType"]: at["AttributeName"] for at in found}
    is_there = [
        (by_kind[kind], types[by_kind[kind]]) for kind in ("HASH", "RANGE") if kind in by_kind
    ]
    wanted = [(key, _type(schema, key)) for key in keys]
    if is_there != wanted:
        yield f"the keys of {what} are {words(is_there)}, not {words(wanted)}"


async def _expire(connection: Connection, schema: TableSchema) -> None:
    """Has DynamoDB delete items whose time is over."""
    resource = _table(connection, schema)
    name = {"TableName": resource.name}
    answer = await connection.dynamodb.ask("DescribeTimeToLive", name)
    found = answer["TimeToLiveDescription"]
    if found["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}:
        attribute = found.get("AttributeName")
        differs = f"items expire by {attribute}, not by {EXPIRES}"
        _refuse_differences(resource, iter(() if attribute == EXPIRES else (differs,)))
        return
    await connection.dynamodb.ask(
        "UpdateTimeToLive",
        {**name, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": EXPIRES}},
    )


async def _back_up(connection: Connection, schema: TableSchema, patience: Patience) -> None:
    resource = _table(connection, schema)
    enabled = {"PointInTimeRecoveryEnabled": True}
    while True:
        try:
            await connection.dynamodb.ask(
                "UpdateContinuousBackups",
                {"TableName": resource.name, "PointInTimeRecoverySpecification": enabled},
            )
        except AwsError as error:
            if error.name != _BACKUPS_NOT_YET:
                raise
        else:
            return
        await _wait(patience, resource, "has no backups yet")


async def _protect(connection: Connection, schema: TableSchema, patience: Patience) -> None:
    """Last of all: the table cannot be changed while this is under way."""
    resource = _table(connection, schema)
    described = await _described(connection, schema) or {}
    if described.get("DeletionProtectionEnabled"):
        return
    await connection.dynamodb.ask(
        "UpdateTable", {"TableName": resource.name, "DeletionProtectionEnabled": True}
    )
    while not _is_active(await _described(connection, schema) or {}):
        await _wait(patience, resource, "cannot be used yet")


async def _is_deletable(connection: Connection, schema: TableSchema) -> bool:
    """False where there is none.

    Raises:
        StateError: it is protected.
    """
    described = await _described(connection, schema)
    if described is not None and described.get("DeletionProtectionEnabled"):
        raise StateError(
            f"The table {connection.resource(schema.name)} is protected from deletion: lift its"
            " deletion protection in the AWS console, and start again.",
            code="state_protected",
        )
    return described is not None


async def _delete_table(connection: Connection, schema: TableSchema, patience: Patience) -> None:
    resource = _table(connection, schema)
    while (described := await _described(connection, schema)) is not None:
        if described["TableStatus"] == "ACTIVE":
            await connection.dynamodb.ask("DeleteTable", {"TableName": resource.name})
        await _wait(patience, resource, "is not gone yet")


async def _table_facts(connection: Connection, schema: TableSchema) -> TableFacts:
    name = connection.resource(schema.name)
    answer = await connection.dynamodb.ask("DescribeTable", {"TableName": name})
    table = answer["Table"]
    return TableFacts(
        name=name,
        status=table["TableStatus"],
        items=int(table.get("ItemCount", 0)),
        size=int(table.get("TableSizeBytes", 0)),
    )


async def _create_queue(
    connection: Connection, schema: QueueSchema, patience: Patience
) -> Resource | None:
    """None where it was there already."""
    resource = _queue(connection, schema)
    attributes = {**_wanted(schema), "SqsManagedSseEnabled": "true"}
    if schema.dead:
        arn = await _arn_of_dead(connection, schema, patience)
        attributes["RedrivePolicy"] = json.dumps(_redrive(connection, schema, arn))
    while not (url := await _url(connection, schema)):
        try:
            await connection.sqs.ask(
                "CreateQueue", {"QueueName": resource.name, "Attributes": attributes}
            )
        except AwsError as error:
            if _DELETED_RECENTLY not in error.name:
                raise
        else:
            return resource
        await _wait(patience, resource, "cannot be created yet, since it was deleted a moment ago")
    _refuse_differences(resource, await _differences_of_queue(connection, schema, url))
    return None


def _wanted(schema: QueueSchema) -> Mapping[str, str]:
    return {
        "VisibilityTimeout": _seconds(schema.visibility),
        "MessageRetentionPeriod": _seconds(schema.retention),
    }


async def _differences_of_queue(
    connection: Connection, schema: QueueSchema, url: str
) -> Iterator[str]:
    wanted = _wanted(schema)
    found = await _attributes(connection, url, *wanted, "RedrivePolicy", "QueueArn")
    return _queue_differences(wanted, _redrive(connection, schema, found["QueueArn"]), found)


def _redrive(connection: Connection, schema: QueueSchema, arn: str) -> Mapping[str, Any]:
    """Args:
    arn: of any queue of the state.
    """
    if not schema.dead:
        return {}
    place, _, _ = arn.rpartition(":")
    return {
        "deadLetterTargetArn": f"{place}:{connection.resource(schema.dead)}",
        "maxReceiveCount": schema.receives,
    }


async def _arn_of_dead(connection: Connection, schema: QueueSchema, patience: Patience) -> str:
    """Once AWS knows of the queue everywhere, which takes a second."""
    [dead] = [queue for queue in QUEUES if queue.name == schema.dead]
    while True:
        try:
            if url := await _url(connection, dead):
                return (await _attributes(connection, url, "QueueArn"))["QueueArn"]
        except AwsError as error:
            if error.fault is not AwsFault.MISSING:
                raise
        await _wait(patience, _queue(connection, dead), "cannot be found yet")


def _queue_differences(
    wanted: Mapping[str, str], redrive: Mapping[str, Any], found: Mapping[str, str]
) -> Iterator[str]:
    for name, value in wanted.items():
        if found.get(name) != value:
            yield f"its {name} is {found.get(name)} seconds, not {value}"
    there = json.loads(found.get("RedrivePolicy") or "null") or {}
    for name, value in redrive.items():
        if str(there.get(name)) != str(value):
            yield f"the {name} of its RedrivePolicy is {there.get(name)}, not {value}"


async def _url(connection: Connection, schema: QueueSchema) -> str | None:
    try:
        answer = await connection.sqs.ask(
            "GetQueueUrl", {"QueueName": connection.resource(schema.name)}
        )
    except AwsError as error:
        if error.fault is AwsFault.MISSING:
            return None
        raise
    return str(answer["QueueUrl"])


async def _attributes(connection: Connection, url: str, *names: str) -> Mapping[str, str]:
    answer = await connection.sqs.ask(
        "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": list(names)}
    )
    found: Mapping[str, str] = answer.get("Attributes") or {}
    return found


async def _queue_facts(connection: Connection, schema: QueueSchema) -> QueueFacts:
    queue = await connection.queue(schema)
    waiting, in_flight, delayed = (
        f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")
    )
    found = await queue.attributes(waiting, in_flight, delayed)
    return QueueFacts(
        name=connection.resource(schema.name),
        waiting=int(found.get(waiting, 0)),
        in_flight=int(found.get(in_flight, 0)),
        delayed=int(found.get(delayed, 0)),
    )


def _seconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds()))
