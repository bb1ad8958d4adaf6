"""`SqsQueue`: Amazon SQS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from transferhub.aws.client import SQS, AwsClient, AwsError, AwsFault
from transferhub.aws.queue import LONGEST_WAIT, MOST_MESSAGES, Queue
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
)
from transferhub.queues.base import Message
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.transport import TransportConfig

_HIDDEN = timedelta(seconds=30)
"""How long nobody else receives a message: to write it down takes a few milliseconds, or as long as
the state is away."""

_POLICY = "Policy"
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsConfig:
    """Attributes:
    endpoint: https:// or http://, host and port, without a slash at its end.
    """

    queue_url: str
    endpoint: str
    region: str
    transport: TransportConfig = field(
        default_factory=lambda: TransportConfig(read_timeout=2 * LONGEST_WAIT, connections=16)
    )


class SqsQueue:
    """One queue."""

    def __init__(self, config: SqsConfig, credentials: CredentialSource) -> None:
        """Raises InputError where the CA bundle or the proxy cannot be used."""
        self._client = AwsClient(
            SQS,
            endpoint=config.endpoint,
            region=config.region,
            credentials=credentials,
            transport=config.transport,
        )
        # Whoever asks tries again: it knows what else there is to do.
        self._queue = Queue(self._client, config.queue_url, patience=timedelta(0))

    async def receive(self, wait: timedelta) -> Sequence[Message]:
        with self._failures():
            received = await self._queue.receive(MOST_MESSAGES, hidden=_HIDDEN, wait=wait)
        return [Message(at.body, at.receipt) for at in received]

    async def delete(self, messages: Sequence[Message]) -> None:
        with self._failures():
            await self._queue.delete([message.receipt for message in messages])

    async def policy(self) -> dict[str, Any]:
        """The queue's policy document; {} where it has none."""
        with self._failures():
            attributes = await self._queue.attributes(_POLICY)
        text = attributes.get(_POLICY, "")
        policy: dict[str, Any] = json.loads(text) if text else {}
        return policy

    async def set_policy(self, policy: Mapping[str, Any]) -> None:
        """Replaces the policy; {} removes it."""
        with self._failures():
            await self._queue.set_attributes({_POLICY: json.dumps(policy) if policy else ""})

    async def aclose(self) -> None:
        await self._client.aclose()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except AwsError as error:
            raise _refused(error, self._queue.url) from error


def _refused(error: AwsError, url: str) -> StoreError:
    if isinstance(error.__cause__, StoreError):  # of the credentials
        return error.__cause__
    failed = f"{error.action} of {url} failed"
    if error.fault is AwsFault.UNREACHABLE and not error.status:
        return TransientError(f"{failed}: {error.detail}", code="unreachable")
    kind, code, advice = _CLASSES.get(error.fault, _OTHER)
    words = error.detail[:_LONGEST_WORDS].rstrip(".")
    return kind(
        f"{failed} ({f'{error.status} {error.name}'.strip()}: {words}): {advice}",
        code=code,
        status=error.status,
        vendor_code=error.name,
    )


_Class = tuple[type[StoreError], str | None, str]

_OTHER: _Class = (StoreError, None, "check the queue's URL, region and endpoint.")
_DENIED: _Class = (DeniedError, None, "check the credentials and what they may do with the queue.")
_CLASSES: Mapping[AwsFault, _Class] = {
    AwsFault.THROTTLED: (ThrottledError, None, "it is tried again more slowly."),
    AwsFault.TRANSIENT: (TransientError, None, "it is tried again."),
    AwsFault.MISSING: (NotFoundError, "no_queue", "check the queue's URL and region."),
    AwsFault.DENIED: _DENIED,
    AwsFault.EXPIRED: _DENIED,
    AwsFault.UNKNOWN: _DENIED,
}
