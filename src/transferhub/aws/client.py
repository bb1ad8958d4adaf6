"""Asks AWS services that speak the AWS JSON protocol: SQS, DynamoDB, ECR.

Source: the services' API references; "Error handling with DynamoDB"; "Making requests using the AWS
JSON protocol". The transport and the signature are those of S3
(docs/decisions/0023-aws-services.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from transferhub.aws.patience import Patience
from transferhub.errors import StoreError
from transferhub.stores.s3.choice import choose_transports
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.signer import Signer
from transferhub.stores.s3.transport import Request, TransportConfig, TransportError


@dataclass(frozen=True, slots=True)
class Service:
    """Attributes:
    name: in signatures and host names.
    target: what names of actions begin with.
    version: of the JSON protocol.
    quotas: errors that stay until a limit is raised, though other services throttle by that name.
    """

    name: str
    target: str
    version: str = "1.0"
    quotas: frozenset[str] = frozenset()


SQS = Service("sqs", "AmazonSQS")
DYNAMODB = Service("dynamodb", "DynamoDB_20120810")
ECR = Service(
    "ecr",
    "AmazonEC2ContainerRegistry_V20150921",
    version="1.1",
    quotas=frozenset({"LimitExceededException"}),
)


class AwsFault(StrEnum):
    """Why a service did not do what it was asked for."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"  # the credentials, or the request by the clock of this machine
    UNKNOWN = "unknown"  # the keys, or the signature made with them
    DENIED = "denied"
    MISSING = "missing"  # the queue or table
    CONDITION = "condition"  # what was to hold before a write does not
    REFUSED = "refused"


AGAIN = frozenset({AwsFault.THROTTLED, AwsFault.TRANSIENT, AwsFault.UNREACHABLE})
"""The same request may work later."""


class AwsError(Exception):
    """A service refused, or was not reached. Stays inside adapters, which say it in their words.

    Attributes:
        name: the service's own error code, or "".
        detail: what it said, without a full stop.
        answer: the error's other fields.
        repeated: an earlier try of the same request may have been carried out.
    """

    def __init__(
        self,
        action: str,
        fault: AwsFault,
        *,
        status: int = 0,
        name: str = "",
        detail: str = "",
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{action}: {fault}: {name} {detail}")
        self.action = action
        self.fault = fault
        self.status = status
        self.name = name
        self.detail = detail
        self.answer = answer or {}
        self.repeated = False


class AwsClient:
    """One service at one endpoint."""

    def __init__(
        self,
        service: Service,
        *,
        endpoint: str,
        region: str,
        credentials: CredentialSource,
        transport: TransportConfig | None = None,
        patience: timedelta = timedelta(0),
    ) -> None:
        """Args:
        endpoint: https:// or http://, host and port.
        patience: for how long what may work later is tried again.

        Raises:
            InputError: the CA bundle or the proxy cannot be used.
        """
        endpoint = endpoint.rstrip("/")
        self._service = service
        self._credentials = credentials
        self._patience = patience
        self._transport, self._raw = choose_transports(endpoint, transport or TransportConfig())
        host = urlsplit(endpoint).netloc
        self._signer = Signer(host=host, region=region, service=service.name)

    async def ask(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an action; {} of an empty one.

        Raises:
            AwsError: also where it was tried again for `patience` in vain.
        """
        body = json.dumps(parameters, separators=(",", ":")).encode()
        patience, repeated = Patience(self._patience), False
        while True:
            try:
                return await self._once(action, body)
            except AwsError as error:
                error.repeated = repeated
                if error.fault not in AGAIN or not await patience.pause():
                    raise
                repeated = repeated or error.fault is not AwsFault.THROTTLED

    async def aclose(self) -> None:
        await self._transport.aclose()
        await self._raw.aclose()

    async def _once(self, action: str, body: bytes) -> dict[str, Any]:
        headers = {
            "content-type": f"application/x-amz-json-{self._service.version}",
            "x-amz-target": f"{self._service.target}.{action}",
        }
        try:
            credentials = await self._credentials.current()
        except StoreError as error:
            fault = AwsFault.TRANSIENT if error.retryable else AwsFault.DENIED
            detail = error.message.rstrip(".")
            raise AwsError(action, fault, name=error.code, detail=detail) from error
        if credentials is not None:
            digest = sha256(body).hexdigest()
            self._signer.sign("POST", "/", "", headers, payload=digest, credentials=credentials)
        try:
            response = await self._transport.send(Request("POST", "/", "", headers, body))
            content = bytes(await response.read())
        except TransportError as error:
            raise AwsError(action, AwsFault.UNREACHABLE, detail=error.detail) from error
        answer = _json(content)
        if answer is None:
            raise _impostor(action, response.status)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            refusal = _refusal(action, response.status, answer)
            if refusal.name in self._service.quotas:
                refusal.fault = AwsFault.REFUSED
            raise refusal
        return answer


def _impostor(action: str, status: int) -> AwsError:
    fails = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return AwsError(
        action,
        AwsFault.TRANSIENT if fails else AwsFault.UNREACHABLE,
        status=status,
        detail=f"HTTP {status}, and what answers does not speak as AWS does",
    )


def _refusal(action: str, status: int, answer: Mapping[str, Any]) -> AwsError:
    name = str(answer.get("__type", "")).rpartition("#")[2]
    detail = str(answer.get("message") or answer.get("Message") or "no reason was given")
    return AwsError(
        action,
        AwsFault.EXPIRED if detail.startswith(_OF_ANOTHER_TIME) else fault_of(name, status),
        status=status,
        name=name,
        detail=detail.rstrip("."),
        answer=answer,
    )


_FAULTS = {
    "ConditionalCheckFailedException": AwsFault.CONDITION,
    "TransactionCanceledException": AwsFault.CONDITION,
    "ExpiredToken": AwsFault.EXPIRED,
    "ExpiredTokenException": AwsFault.EXPIRED,
    "IncompleteSignature": AwsFault.UNKNOWN,
    "InternalServerError": AwsFault.TRANSIENT,
    "InvalidClientTokenId": AwsFault.UNKNOWN,
    "InvalidSignature": AwsFault.UNKNOWN,
    "InvalidSignatureException": AwsFault.UNKNOWN,
    "ItemCollectionSizeLimitExceededException": AwsFault.REFUSED,
    "LimitExceededException": AwsFault.THROTTLED,
    "MissingAuthenticationToken": AwsFault.UNKNOWN,
    "OverLimit": AwsFault.THROTTLED,
    "ProvisionedThroughputExceededException": AwsFault.THROTTLED,
    "RequestExpired": AwsFault.EXPIRED,
    "RequestLimitExceeded": AwsFault.THROTTLED,
    "ResourceInUseException": AwsFault.REFUSED,
    "ResourceNotFoundException": AwsFault.MISSING,
    "SignatureDoesNotMatch": AwsFault.UNKNOWN,
    "TransactionConflictException": AwsFault.THROTTLED,  # another one holds the item
    "TransactionInProgressException": AwsFault.TRANSIENT,
    "UnrecognizedClientException": AwsFault.UNKNOWN,
}


_OF_ANOTHER_TIME = ("Signature expired", "Signature not yet current")
"""How AWS begins to tell of a clock that is wrong, whatever it calls the error."""


def fault_of(name: str, status: int = 0) -> AwsFault:
    """Args:
    name: the service's own error code.
    """
    if (known := _FAULTS.get(name)) is not None:
        return known
    if "Throttl" in name or status == HTTPStatus.TOO_MANY_REQUESTS:
        return AwsFault.THROTTLED
    if "QueueDoesNotExist" in name or "NonExistentQueue" in name:
        return AwsFault.MISSING
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return AwsFault.TRANSIENT
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or "AccessDenied" in name:
        return AwsFault.DENIED
    return AwsFault.REFUSED


def _json(content: bytes) -> dict[str, Any] | None:
    """{} of an empty answer; None where it is no JSON object."""
    if not content.strip():
        return {}
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
