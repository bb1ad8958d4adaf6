"""What AWS may answer to any request: tried again within patience, or told in one sentence."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.servers.aws_faults import AwsProxy, Fault, Page, Refusal, Reset
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import MinistackServer
from tests.servers.process import free_ports
from transferhub.errors import StateError
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import HUB, WORK

PATIENCE = timedelta(seconds=20)
HURRY = timedelta(seconds=0.5)
SQS = "com.amazonaws.sqs"
CORAL = "com.amazon.coral.service"

PASSING: dict[str, Fault] = {
    "table throttled": Refusal("ProvisionedThroughputExceededException"),
    "queue throttled": Refusal("RequestThrottled", 403, kind=SQS),
    "api throttled": Refusal("ThrottlingException", kind=CORAL),
    "key throttled": Refusal("KmsThrottled", kind=SQS),
    "account throttled": Refusal("RequestLimitExceeded"),
    "many requests": Refusal("", 429),
    "too much in flight": Refusal("OverLimit", 403, kind=SQS),
    "internal error": Refusal("InternalServerError", 500),
    "internal failure": Refusal("InternalFailure", 500, kind=CORAL),
    "unavailable": Refusal("ServiceUnavailable", 503, kind=CORAL),
    "in progress": Refusal("TransactionInProgressException"),
    "bad gateway": Page(502, b"<html>Bad gateway</html>"),
    "empty 500": Page(500, b""),
    "not AWS": Page(200),
    "not AWS, and forbidden": Page(403),
    "reset": Reset(),
    "reset after it was carried out": Reset(carried_out=True),
}
THROTTLED, UNREACHABLE = "state_throttled", "state_unreachable"
PASSING_CODES = {
    name: THROTTLED if "throttled" in name or "many" in name or "much" in name else UNREACHABLE
    for name in PASSING
}

FINAL = {
    "expired token": (Refusal("ExpiredTokenException", kind=CORAL), "state_expired"),
    "expired token of sqs": (Refusal("ExpiredToken", 403, kind=SQS), "state_expired"),
    "clock is late": (
        Refusal(
            "InvalidSignatureException",
            message="Signature expired: 20261130T150000Z is now earlier than 20261130T151000Z",
            kind=CORAL,
        ),
        "state_expired",
    ),
    "clock is early": (
        Refusal(
            "SignatureDoesNotMatch",
            403,
            "Signature not yet current: 20261130T150000Z is still later than 20261130T140000Z",
            kind=SQS,
        ),
        "state_expired",
    ),
    "wrong secret": (Refusal("InvalidSignatureException", kind=CORAL), "state_denied"),
    "invalid signature": (Refusal("InvalidSignature", 403, kind=SQS), "state_denied"),
    "unknown key": (Refusal("UnrecognizedClientException", kind=CORAL), "state_denied"),
    "unknown key of sqs": (Refusal("InvalidClientTokenId", 403, kind=SQS), "state_denied"),
    "no right": (Refusal("AccessDeniedException", kind=CORAL), "state_denied"),
    "no right of sqs": (Refusal("AccessDenied", 403, kind=SQS), "state_denied"),
    "no table": (Refusal("ResourceNotFoundException"), "state_missing"),
    "no queue": (Refusal("QueueDoesNotExist", kind=SQS), "state_missing"),
    "no queue, as of old": (
        Refusal("AWS.SimpleQueueService.NonExistentQueue", kind=SQS),
        "state_missing",
    ),
    "bad request": (Refusal("ValidationException", kind=CORAL), "state"),
}


@asynccontextmanager
async def through_a_proxy(
    endpoint: Endpoint, patience: timedelta
) -> AsyncIterator[tuple[AwsProxy, Connection]]:
    async with aws_state(endpoint) as state, AwsProxy(endpoint.url) as proxy:
        connection = connection_to(endpoint.at(proxy.url), state.name, patience=patience)
        try:
            yield proxy, connection
        finally:
            await connection.aclose()


@pytest.fixture
async def proxied(ministack: MinistackServer) -> AsyncIterator[tuple[AwsProxy, Connection]]:
    async with through_a_proxy(ministack.endpoint, PATIENCE) as proxied:
        yield proxied


@pytest.fixture
async def hurried(ministack: MinistackServer) -> AsyncIterator[tuple[AwsProxy, Connection]]:
    """With little patience."""
    async with through_a_proxy(ministack.endpoint, HURRY) as hurried:
        yield hurried


async def ask(connection: Connection) -> None:
    with connection.failures():
        await connection.table(HUB).get({"pk": "a", "sk": "b"})


def is_a_sentence(error: StateError, connection: Connection) -> bool:
    place = f"GetItem of the state {connection.name} in us-east-1 failed ("
    return error.message.startswith(place) and error.message.endswith(".")


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
async def test_what_may_work_later_is_tried_again(
    proxied: tuple[AwsProxy, Connection], fault: Fault
) -> None:
    proxy, connection = proxied
    proxy.add("GetItem", fault, times=2)
    await ask(connection)
    assert [at.fault for at in proxy.seen] == [fault, fault, None]


@pytest.mark.parametrize("name", PASSING)
async def test_what_does_not_pass_within_patience_is_told(
    hurried: tuple[AwsProxy, Connection], name: str
) -> None:
    proxy, connection = hurried
    proxy.add("GetItem", PASSING[name], times=1000)
    with pytest.raises(StateError) as raised:
        await ask(connection)
    assert raised.value.code == PASSING_CODES[name]
    assert is_a_sentence(raised.value, connection)
    assert len(proxy.seen) > 1


@pytest.mark.parametrize(("fault", "code"), FINAL.values(), ids=FINAL.keys())
async def test_what_stays_as_it_is_is_told_at_once(
    proxied: tuple[AwsProxy, Connection], fault: Refusal, code: str
) -> None:
    proxy, connection = proxied
    proxy.add("GetItem", fault)
    with pytest.raises(StateError) as raised:
        await ask(connection)
    assert raised.value.code == code
    assert is_a_sentence(raised.value, connection)
    assert f"({fault.name} {fault.message})" in raised.value.message
    assert len(proxy.seen) == 1


async def test_a_service_that_is_not_there_is_told(aws_server: Endpoint) -> None:
    [port] = free_ports(1)
    there = aws_server.at(f"http://127.0.0.1:{port}")
    connection = connection_to(there, "nowhere", patience=HURRY)
    try:
        with pytest.raises(StateError) as raised:
            await ask(connection)
    finally:
        await connection.aclose()
    assert raised.value.code == UNREACHABLE
    assert is_a_sentence(raised.value, connection)


async def test_a_table_and_a_queue_that_are_missing_are_told(aws_server: Endpoint) -> None:
    connection = connection_to(aws_server, "never-created", patience=HURRY)
    try:
        with pytest.raises(StateError, match="create it with") as raised:
            await ask(connection)
        assert raised.value.code == "state_missing"
        with pytest.raises(StateError, match="create it with") as raised, connection.failures():
            await connection.queue(WORK)
        assert raised.value.code == "state_missing"
    finally:
        await connection.aclose()
