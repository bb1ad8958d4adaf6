"""An SQS queue.

Source: Amazon SQS API Reference and "Amazon SQS message quotas": a batch call takes ten entries
and, all messages together, 256 KiB (1 MiB since August 2025; the smaller one is kept to); a message
is delayed for 15 minutes at most and hidden for 12 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from transferhub.aws.client import AGAIN, AwsClient, AwsError, AwsFault, fault_of
from transferhub.aws.patience import Patience

MOST_MESSAGES = 10
"""Of one call."""

LONGEST_DELAY = timedelta(minutes=15)
LONGEST_HIDING = timedelta(hours=12)
LONGEST_WAIT = timedelta(seconds=20)

_MOST_BYTES = 256 << 10

_Member = TypeVar("_Member")


class Message(NamedTuple):
    """A message that was received, and what it takes to delete it. `received`: how often."""

    body: str
    receipt: str
    received: int = 1


class Posting(NamedTuple):
    """A message to send."""

    body: str
    delay: timedelta = timedelta(0)


class Queue:
    """One queue. Verbs raise AwsError, also where one message of many stays refused."""

    def __init__(self, client: AwsClient, url: str, *, patience: timedelta) -> None:
        """Args:
        patience: for how long messages that failed are tried again.
        """
        self.url = url
        self._patience = patience
        self._client = client

    async def send(self, postings: Sequence[Posting]) -> None:
        for batch in _sendable(postings):
            entries = [
                {"MessageBody": at.body, "DelaySeconds": _seconds(min(at.delay, LONGEST_DELAY))}
                for at in batch
            ]
            await self._batch("SendMessageBatch", entries)

    async def receive(
        self, most: int, *, hidden: timedelta, wait: timedelta = timedelta(0)
    ) -> Sequence[Message]:
        """Up to ten messages, which nobody else receives for as long as they are `hidden`."""
        answer = await self._client.ask(
            "ReceiveMessage",
            {
                "QueueUrl": self.url,
                "MaxNumberOfMessages": min(most, MOST_MESSAGES),
                "VisibilityTimeout": _seconds(min(hidden, LONGEST_HIDING)),
                "WaitTimeSeconds": int(min(wait, LONGEST_WAIT).total_seconds()),
                "AttributeNames": ["ApproximateReceiveCount"],
            },
        )
        return [
            Message(
                at["Body"],
                at["ReceiptHandle"],
                int(at.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for at in answer.get("Messages") or ()
        ]

    async def hide(self, receipts: Sequence[str], duration: timedelta) -> None:
        """Hides messages for `duration` from now; those that are gone are passed over."""
        seconds = _seconds(min(duration, LONGEST_HIDING))
        entries = [{"ReceiptHandle": at, "VisibilityTimeout": seconds} for at in receipts]
        for batch in _tens(entries):
            await self._batch("ChangeMessageVisibilityBatch", batch, gone_is_fine=True)

    async def delete(self, receipts: Sequence[str]) -> None:
        """Deletes messages; those that are gone are passed over."""
        for batch in _tens([{"ReceiptHandle": at} for at in receipts]):
            await self._batch("DeleteMessageBatch", batch, gone_is_fine=True)

    async def attributes(self, *names: str) -> dict[str, str]:
        answer = await self._client.ask(
            "GetQueueAttributes", {"QueueUrl": self.url, "AttributeNames": list(names)}
        )
        return dict(answer.get("Attributes") or {})

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        await self._client.ask(
            "SetQueueAttributes", {"QueueUrl": self.url, "Attributes": attributes}
        )

    async def _batch(
        self, action: str, entries: Sequence[dict[str, Any]], *, gone_is_fine: bool = False
    ) -> None:
        """Sends a batch, and again what failed of it.

        Args:
            gone_is_fine: what the sender is blamed for is a receipt that holds no more.
        """
        patience = Patience(self._patience)
        while True:
            numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
            answer = await self._client.ask(action, {"QueueUrl": self.url, "Entries": numbered})
            failed = [
                at
                for at in answer.get("Failed") or ()
                if not (gone_is_fine and _entry_fault(at) is AwsFault.REFUSED)
            ]
            if not failed:
                return
            final = [at for at in failed if _entry_fault(at) not in AGAIN]
            if final or not await patience.pause():
                raise _refusal(action, final or failed)
            entries = [entries[int(at["Id"])] for at in failed]


def _entry_fault(failed: Mapping[str, Any]) -> AwsFault:
    fault = fault_of(str(failed.get("Code", "")))
    blameless = fault is AwsFault.REFUSED and not failed.get("SenderFault")
    return AwsFault.TRANSIENT if blameless else fault


def _refusal(action: str, failed: Sequence[Mapping[str, Any]]) -> AwsError:
    first = failed[0]
    return AwsError(
        action,
        _entry_fault(first),
        name=str(first.get("Code", "")),
        detail=f"{len(failed)} messages stay refused: {first.get('Message') or ''}".rstrip(": ."),
    )


def _seconds(duration: timedelta) -> int:
    """Whole seconds, no less than asked for."""
    return max(0, -int(-duration.total_seconds() // 1))


def _tens(members: Sequence[_Member]) -> Iterator[Sequence[_Member]]:
    return (
        members[start : start + MOST_MESSAGES] for start in range(0, len(members), MOST_MESSAGES)
    )


def _sendable(postings: Sequence[Posting]) -> Iterator[list[Posting]]:
    """Batches that one call takes."""
    batch: list[Posting] = []
    size = 0
    for posting in postings:
        added = len(posting.body.encode())
        if batch and (len(batch) == MOST_MESSAGES or size + added > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(posting)
        size += added
    if batch:
        yield batch
