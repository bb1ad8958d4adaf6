"""Several ledgers over one state on AWS, as several processes have them, and what is left in it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.conformance.aws_states import aws_state, connection_to
from tests.conformance.ledger_facts import FakeClock, lease
from tests.servers.endpoint import Endpoint
from transferhub.aws.attributes import Item, from_wire
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.group import Group, groups_of, read_body
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.schema import LEDGER, QUEUES, QueueSchema
from transferhub.state.aws.sort_keys import is_head
from transferhub.state.aws.work import Hear

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)


class Office:
    """One state, and all who work on it."""

    def __init__(self, endpoint: Endpoint, connection: Connection, scope: AsyncExitStack) -> None:
        self.endpoint = endpoint
        self.connection = connection
        self.clock = FakeClock()
        self._scope = scope

    def connect(self, endpoint: Endpoint | None = None) -> Connection:
        """As another process would; it is closed at the end."""
        connection = connection_to(endpoint or self.endpoint, self.connection.name)
        self._scope.push_async_callback(connection.aclose)
        return connection

    async def ledger(
        self, connection: Connection | None = None, *, hear: Hear | None = None
    ) -> AwsLedger:
        """One more, by its own clients."""
        return await AwsLedger.open(connection or self.connect(), self.clock, hear=hear)

    async def messages(self) -> Counter[str]:
        """How many there are in each queue, whoever may receive them."""
        counts: Counter[str] = Counter()
        for schema in QUEUES:
            found = await self.attributes(schema)
            counts[schema.name] += sum(int(found[name]) for name in _COUNTS)
        return counts

    async def attributes(self, schema: QueueSchema) -> dict[str, str]:
        queue = await self.connection.queue(schema)
        return await queue.attributes(*_COUNTS)

    async def rows(self) -> list[Item]:
        """Every row of the ledger's table."""
        found: list[Item] = []
        asked = {"TableName": self.connection.resource(LEDGER.name), "ConsistentRead": True}
        while True:
            answer = await self.connection.dynamodb.ask("Scan", asked)
            found += [from_wire(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return found
            asked = {**asked, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def groups(self) -> list[Group]:
        """Those of the only run, by the keys that they cover."""
        found = await self.rows()
        [epoch] = [row["epoch"] for row in found if row["pk"] == "runs"]
        rows = [row for row in found if row["pk"] == groups_of(epoch)]
        bodies = {row["sk"]: read_body(row["transfers"]) for row in rows if not is_head(row["sk"])}
        heads = [row for row in rows if is_head(row["sk"])]
        groups = [Group.of(row["low"], row, bodies.get(row["body"], ())) for row in heads]
        return sorted(groups, key=lambda group: group.low)

    async def drained(self, ledger: AwsLedger, run: RunId, within_s: float = 6) -> None:
        """Returns when a worker of an ended run has found nothing in the queue, and left nothing.

        Raises:
            AssertionError: something stays.
        """
        deadline = time.monotonic() + within_s
        while sum((await self.messages()).values()):
            assert time.monotonic() < deadline, [
                (schema.name, await self.attributes(schema)) for schema in QUEUES
            ]
            assert not await lease(ledger, run)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def office(endpoint: Endpoint) -> AsyncIterator[Office]:
    """An empty state."""
    async with aws_state(endpoint) as connection, AsyncExitStack() as scope:
        yield Office(endpoint, connection, scope)


def assert_tiled(groups: list[Group]) -> None:
    """They cover all keys without a gap and without an overlap, and each holds its own."""
    assert groups[0].low == b""
    assert groups[-1].until is None
    for group, after in zip(groups, [*groups[1:], None], strict=True):
        assert group.until == (None if after is None else after.low)
        keys = [entry.transfer.key.encode() for entry in group.entries]
        assert keys == sorted(set(keys))
        assert all(group.covers(key) for key in keys)
