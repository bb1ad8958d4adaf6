"""The verbs of a queue, on both stand-ins; and through a proxy, what those never answer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.servers.aws_faults import AwsProxy, Failed
from tests.servers.endpoint import Endpoint
from transferhub.aws.client import AwsError, AwsFault
from transferhub.aws.queue import Message, Posting, Queue
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import DEAD, WORK

AT_ONCE = timedelta(0)
HIDDEN = timedelta(minutes=1)
PATIENCE = timedelta(seconds=20)
HURRY = timedelta(seconds=0.5)


@pytest.fixture
async def state(aws_server: Endpoint) -> AsyncIterator[Connection]:
    async with aws_state(aws_server) as connection:
        yield connection


@pytest.fixture
async def queue(state: Connection) -> Queue:
    return await state.queue(WORK)


@asynccontextmanager
async def through_a_proxy(
    endpoint: Endpoint, state: Connection, patience: timedelta
) -> AsyncIterator[tuple[AwsProxy, Queue]]:
    async with AwsProxy(endpoint.url) as proxy:
        connection = connection_to(endpoint.at(proxy.url), state.name, patience=patience)
        try:
            queue = await connection.queue(WORK)
            proxy.clear()
            yield proxy, queue
        finally:
            await connection.aclose()


@pytest.fixture
async def proxied(aws_server: Endpoint, state: Connection) -> AsyncIterator[tuple[AwsProxy, Queue]]:
    async with through_a_proxy(aws_server, state, PATIENCE) as proxied:
        yield proxied


@pytest.fixture
async def hurried(aws_server: Endpoint, state: Connection) -> AsyncIterator[tuple[AwsProxy, Queue]]:
    """With little patience."""
    async with through_a_proxy(aws_server, state, HURRY) as hurried:
        yield hurried


def postings(count: int) -> list[Posting]:
    return [Posting(f"message {number}") for number in range(count)]


async def everything(queue: Queue, hidden: timedelta = HIDDEN) -> list[Message]:
    received: list[Message] = []
    while messages := await queue.receive(10, hidden=hidden):
        received += messages
    return received


def bodies(messages: Sequence[Message]) -> list[str]:
    return sorted(message.body for message in messages)


async def test_more_messages_than_one_call_takes_are_all_sent(
    proxied: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = proxied
    await queue.send(postings(25))
    sent = [len(at.parameters["Entries"]) for at in proxy.asked("SendMessageBatch")]
    assert sent == [10, 10, 5]
    assert bodies(await everything(queue)) == bodies([Message(at.body, "") for at in postings(25)])


async def test_large_messages_are_sent_in_calls_that_sqs_takes(
    proxied: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = proxied
    large = [Posting(character * 100_000) for character in "abcdef"]
    await queue.send(large)
    sent = [
        sum(len(entry["MessageBody"].encode()) for entry in at.parameters["Entries"])
        for at in proxy.asked("SendMessageBatch")
    ]
    assert sent == [200_000] * 3
    assert len(await everything(queue)) == 6


async def test_a_batch_is_measured_in_bytes(proxied: tuple[AwsProxy, Queue]) -> None:
    proxy, queue = proxied
    await queue.send([Posting("\u2603" * 50_000), Posting("\u2603" * 50_000)])
    assert len(proxy.asked("SendMessageBatch")) == 2


async def test_a_message_that_sqs_can_never_take_is_refused(queue: Queue) -> None:
    with pytest.raises(AwsError) as raised:
        await queue.send([Posting("x" * (3 << 20))])
    assert raised.value.fault is AwsFault.REFUSED


async def test_no_messages_need_no_call(proxied: tuple[AwsProxy, Queue]) -> None:
    proxy, queue = proxied
    await queue.send([])
    await queue.delete([])
    await queue.hide([], HIDDEN)
    assert proxy.seen == []


async def test_a_message_is_given_to_one_receiver_while_it_is_hidden(queue: Queue) -> None:
    await queue.send(postings(3))
    assert len(await everything(queue)) == 3
    assert await queue.receive(10, hidden=HIDDEN) == []


async def test_no_more_messages_come_than_were_asked_for(queue: Queue) -> None:
    await queue.send(postings(12))
    assert len(await queue.receive(2, hidden=HIDDEN)) <= 2
    assert len(await queue.receive(100, hidden=HIDDEN)) <= 10


async def test_a_delayed_message_waits(queue: Queue) -> None:
    await queue.send([Posting("later", timedelta(minutes=5)), Posting("now")])
    assert bodies(await everything(queue)) == ["now"]
    delayed = await queue.attributes("ApproximateNumberOfMessagesDelayed")
    assert delayed == {"ApproximateNumberOfMessagesDelayed": "1"}


async def test_delays_and_hiding_are_whole_seconds_within_what_sqs_takes(
    proxied: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = proxied
    await queue.send([Posting("a", timedelta(seconds=0.2)), Posting("b", timedelta(hours=2))])
    [sent] = proxy.asked("SendMessageBatch")
    assert [entry["DelaySeconds"] for entry in sent.parameters["Entries"]] == [1, 900]
    await queue.receive(1, hidden=timedelta(days=2))
    [received] = proxy.asked("ReceiveMessage")
    assert received.parameters["VisibilityTimeout"] == 43200


async def test_what_is_shown_again_is_received_again_and_counted(queue: Queue) -> None:
    await queue.send(postings(1))
    [first] = await queue.receive(1, hidden=HIDDEN)
    await queue.hide([first.receipt], AT_ONCE)
    [second] = await queue.receive(1, hidden=HIDDEN)
    assert (first.received, second.received) == (1, 2)


async def test_hidden_messages_stay_hidden_for_longer(queue: Queue) -> None:
    await queue.send(postings(15))
    received = await everything(queue, timedelta(seconds=30))
    await queue.hide([message.receipt for message in received], timedelta(hours=1))
    assert await queue.receive(10, hidden=HIDDEN) == []
    await queue.hide([message.receipt for message in received], AT_ONCE)
    assert len(await everything(queue)) == 15


async def test_deleted_messages_are_gone_and_deleting_them_again_does_no_harm(
    queue: Queue,
) -> None:
    await queue.send(postings(12))
    receipts = [message.receipt for message in await everything(queue)]
    await queue.delete(receipts)
    await queue.delete(receipts)
    await queue.hide(receipts, AT_ONCE)
    assert await queue.receive(10, hidden=HIDDEN) == []


async def test_a_message_that_was_received_five_times_is_dead(
    state: Connection, queue: Queue
) -> None:
    await queue.send(postings(1))
    counts = [
        message.received
        for _ in range(WORK.receives)
        for message in await queue.receive(1, hidden=AT_ONCE)
    ]
    assert counts == [1, 2, 3, 4, 5]
    assert await queue.receive(1, hidden=AT_ONCE) == []
    dead = await state.queue(DEAD)
    assert bodies(await dead.receive(1, hidden=HIDDEN)) == ["message 0"]


# Entries that fail


async def test_messages_that_fail_are_sent_again(proxied: tuple[AwsProxy, Queue]) -> None:
    proxy, queue = proxied
    proxy.add("SendMessageBatch", Failed(4))
    proxy.add("SendMessageBatch", Failed(1, code="RequestThrottled", sender_fault=True))
    await queue.send(postings(10))
    sent = [len(at.parameters["Entries"]) for at in proxy.asked("SendMessageBatch")]
    assert sent == [10, 4, 1]
    assert bodies(await everything(queue)) == bodies([Message(at.body, "") for at in postings(10)])


@pytest.mark.parametrize("code", ["InternalError", "ServiceUnavailable"])
async def test_messages_that_stay_failed_are_told(
    hurried: tuple[AwsProxy, Queue], code: str
) -> None:
    proxy, queue = hurried
    proxy.add("SendMessageBatch", Failed(2, code=code), times=1000)
    with pytest.raises(AwsError, match="2 messages stay refused: The reason") as raised:
        await queue.send(postings(10))
    assert (raised.value.fault, raised.value.name) == (AwsFault.TRANSIENT, code)
    assert len(proxy.asked("SendMessageBatch")) > 1


async def test_messages_that_stay_throttled_are_told_as_throttled(
    hurried: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = hurried
    throttled = Failed(1, code="RequestThrottled", sender_fault=True)
    proxy.add("SendMessageBatch", throttled, times=1000)
    with pytest.raises(AwsError) as raised:
        await queue.send(postings(1))
    assert raised.value.fault is AwsFault.THROTTLED


async def test_a_message_that_is_at_fault_itself_is_told_at_once(
    proxied: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = proxied
    proxy.add("SendMessageBatch", Failed(1, code="InvalidMessageContents", sender_fault=True))
    with pytest.raises(AwsError, match="InvalidMessageContents") as raised:
        await queue.send(postings(3))
    assert raised.value.fault is AwsFault.REFUSED
    assert len(proxy.asked("SendMessageBatch")) == 1


async def test_deletes_that_fail_are_sent_again(proxied: tuple[AwsProxy, Queue]) -> None:
    proxy, queue = proxied
    await queue.send(postings(10))
    receipts = [message.receipt for message in await everything(queue)]
    proxy.add("DeleteMessageBatch", Failed(10))
    await queue.delete(receipts)
    left = await queue.attributes("ApproximateNumberOfMessagesNotVisible")
    assert left == {"ApproximateNumberOfMessagesNotVisible": "0"}


async def test_renewals_that_stay_failed_are_told_but_lost_ones_are_not(
    hurried: tuple[AwsProxy, Queue],
) -> None:
    proxy, queue = hurried
    await queue.send(postings(1))
    [message] = await queue.receive(1, hidden=HIDDEN)
    proxy.add("ChangeMessageVisibilityBatch", Failed(1, "MessageNotInflight", sender_fault=True))
    await queue.hide([message.receipt], HIDDEN)
    proxy.add("ChangeMessageVisibilityBatch", Failed(1), times=1000)
    with pytest.raises(AwsError) as raised:
        await queue.hide([message.receipt], HIDDEN)
    assert raised.value.fault is AwsFault.TRANSIENT
