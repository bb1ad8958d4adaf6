"""Amazon SQS, in its JSON protocol.

Source: Amazon SQS API Reference; "Making requests using the AWS JSON protocol". The transport and
the signature are those of S3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
)
from transferhub.queues.base import Message
from transferhub.stores.s3.choice import choose_transports
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.signer import Signer
from transferhub.stores.s3.transport import Request, TransportConfig, TransportError

LONGEST_WAIT = timedelta(seconds=20)
"""Of one ReceiveMessage."""

_MOST_MESSAGES = 10
_VISIBILITY_SECONDS = 30
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
        self._config = config
        self._credentials = credentials
        self._transport, self._raw = choose_transports(config.endpoint, config.transport)
        host = urlsplit(config.endpoint).netloc
        self._signer = Signer(host=host, region=config.region, service="sqs")

    async def receive(self, wait: timedelta) -> Sequence[Message]:
        answer = await self._ask(
            "ReceiveMessage",
            MaxNumberOfMessages=_MOST_MESSAGES,
            VisibilityTimeout=_VISIBILITY_SECONDS,
            WaitTimeSeconds=int(min(wait, LONGEST_WAIT).total_seconds()),
        )
        return [Message(at["Body"], at["ReceiptHandle"]) for at in answer.get("Messages") or ()]

    async def delete(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), _MOST_MESSAGES):
            batch = messages[start : start + _MOST_MESSAGES]
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt}
                for number, message in enumerate(batch)
            ]
            await self._ask("DeleteMessageBatch", Entries=entries)

    async def policy(self) -> dict[str, Any]:
        """The queue's policy document; {} where it has none."""
        answer = await self._ask("GetQueueAttributes", AttributeNames=[_POLICY])
        text = (answer.get("Attributes") or {}).get(_POLICY, "")
        policy: dict[str, Any] = json.loads(text) if text else {}
        return policy

    async def set_policy(self, policy: Mapping[str, Any]) -> None:
        """Replaces the policy; {} removes it."""
        text = json.dumps(policy) if policy else ""
        await self._ask("SetQueueAttributes", Attributes={_POLICY: text})

    async def aclose(self) -> None:
        await self._transport.aclose()
        await self._raw.aclose()

    async def _ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        body = json.dumps({"QueueUrl": self._config.queue_url, **parameters}).encode()
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"AmazonSQS.{action}",
        }
        credentials = await self._credentials.current()
        if credentials is not None:
            self._signer.sign(
                "POST", "/", "", headers, payload=sha256(body).hexdigest(), credentials=credentials
            )
        try:
            response = await self._transport.send(Request("POST", "/", "", headers, body))
            content = bytes(await response.read())
        except TransportError as error:
            raise TransientError(
                f"{action} of {self._config.queue_url} failed: {error.detail}", code="unreachable"
            ) from error
        answer = _json(content)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES or answer is None:
            raise self._refused(action, response.status, answer or {})
        return answer

    def _refused(self, action: str, status: int, answer: Mapping[str, Any]) -> StoreError:
        name = str(answer.get("__type", "")).rpartition("#")[2]
        words = str(answer.get("message") or answer.get("Message") or "no reason was given")
        kind, code, advice = _class(status, name)
        return kind(
            f"{action} of {self._config.queue_url} failed"
            f" ({f'{status} {name}'.strip()}: {words[:_LONGEST_WORDS].rstrip('.')}): {advice}",
            code=code,
            status=status,
            vendor_code=name,
        )


def _class(status: int, name: str) -> tuple[type[StoreError], str | None, str]:
    if "Throttl" in name or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ThrottledError, None, "it is tried again more slowly."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError, None, "it is tried again."
    if "QueueDoesNotExist" in name or "NonExistentQueue" in name:
        return NotFoundError, "no_queue", "check the queue's URL and region."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or "AccessDenied" in name:
        return DeniedError, None, "check the credentials and what they may do with the queue."
    return StoreError, None, "check the queue's URL, region and endpoint."


def _json(content: bytes) -> dict[str, Any] | None:
    """{} of an empty answer; None where it is no JSON object."""
    if not content.strip():
        return {}
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
