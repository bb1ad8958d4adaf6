"""Queues of moto, made and looked into with AWS's own client, apart from the code under test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import botocore.session

from tests.servers.endpoint import Endpoint


class Queue:
    """One queue. `client` is a plain botocore client."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.client: Any = botocore.session.Session().create_client(
            "sqs",
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
        )
        made = self.client.create_queue(QueueName=f"queue-{uuid4().hex[:12]}")
        # As it is reached: moto writes its own idea of its host.
        account_and_name = "/".join(made["QueueUrl"].split("/")[-2:])
        self.url = f"{endpoint.url}/{account_and_name}"
        self.arn: str = self.attributes("QueueArn")["QueueArn"]

    def attributes(self, *names: str) -> dict[str, str]:
        asked = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        return dict(asked.get("Attributes", {}))

    def send(self, body: str) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    @property
    def size(self) -> int:
        """Messages that wait or are being received."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(count) for count in self.attributes(*names).values())

    @property
    def policy(self) -> dict[str, Any]:
        text = self.attributes("Policy").get("Policy", "")
        return dict(json.loads(text)) if text else {}


@contextmanager
def queue_of(endpoint: Endpoint) -> Iterator[Queue]:
    queue = Queue(endpoint)
    try:
        yield queue
    finally:
        queue.client.delete_queue(QueueUrl=queue.url)
        queue.client.close()
