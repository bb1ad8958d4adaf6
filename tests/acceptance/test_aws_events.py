"""Changes that a store tells of in the queue of the hub's own work."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import botocore.session
import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.command import Dth
from tests.acceptance.fleet import fill, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import Place
from tests.acceptance.processes import wait_until


class WorkMessages:
    """The queue of a state, as AWS's own client sees it."""

    def __init__(self, aws: Aws) -> None:
        self._client: Any = botocore.session.Session().create_client(
            "sqs",
            endpoint_url=aws.endpoint.url,
            region_name=aws.endpoint.region,
            aws_access_key_id=aws.endpoint.access_key_id,
            aws_secret_access_key=aws.endpoint.secret_access_key,
        )
        self.url = self._client.get_queue_url(QueueName=f"{aws.name}-work")["QueueUrl"]

    def tell(self, bucket: str, *keys: str) -> None:
        """As S3 does."""
        records = [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
            }
            for key in keys
        ]
        self._client.send_message(QueueUrl=self.url, MessageBody=json.dumps({"Records": records}))

    @property
    def size(self) -> int:
        """Messages that wait, are delayed or are being received."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        asked = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(count) for count in asked["Attributes"].values())


@pytest.fixture
async def aws_desk(aws_pair: Dth, aws: Aws) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield await Desk.open(aws_pair.state, "", stack, ledger=aws.url)


async def test_events_on_the_queue_of_work_are_followed_idle_and_busy(
    aws_desk: Desk, aws_pair: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    messages = WorkMessages(aws)
    task = await aws_desk.task(source, destination)
    events = {"kind": "sqs", "queue_url": messages.url, "region": aws.endpoint.region}
    await aws_desk.services.events.set_source(ADMIN, task.ident, events)
    with ExitStack() as scope:
        up(aws_pair, scope)
        source.put("first", b"while nothing is under way")
        messages.tell(source.bucket, "first")
        wait_until(lambda: "first" in destination.listing(), "the first copy")
        fill(source, count=40)
        keys = [key for key in source.listing() if key != "first"]
        for start in range(0, len(keys), 10):
            messages.tell(source.bucket, *keys[start : start + 10])
        wait_until(lambda: destination.contents() == source.contents(), "all copies")
        wait_until(lambda: messages.size == 0, "an empty queue")
