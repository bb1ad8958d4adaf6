"""Messages that are lost, doubled, of others or strange; answers that are lost; AWS that slows
down; rows that expire."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import (
    LEASE,
    WORKER,
    bury,
    done,
    lease,
    lease_all,
    lease_parts,
    new,
    news,
    part_done,
    records,
    recount,
)
from tests.integration.aws_ledgers import Office, assert_tiled, office
from tests.integration.test_aws_ledger_crashes import ALL, RUN, SHARD, end
from tests.servers.aws_faults import AwsProxy, Failed, Refusal, Reset, Unprocessed
from tests.servers.ministack import MinistackServer
from transferhub.aws.queue import Posting
from transferhub.model.transfer import Action, RunId, TransferState
from transferhub.state.aws import inserting
from transferhub.state.aws.expiry import KEPT
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.schema import DEAD, EXPIRES, WORK

OTHER = RunId("other")
AT_ONCE = timedelta(0)
MOST_RECEIVES = 5


@pytest.fixture
async def state(ministack: MinistackServer) -> AsyncIterator[Office]:
    async with office(ministack.endpoint) as state:
        yield state


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserting, "MOST_ENTRIES", 4)


async def received(state: Office) -> list[str]:
    """Takes all messages that wait out of the queue."""
    queue = await state.connection.queue(WORK)
    bodies: list[str] = []
    while messages := await queue.receive(10, hidden=LEASE):
        bodies += [message.body for message in messages]
        await queue.delete([message.receipt for message in messages])
    return bodies


async def send(state: Office, *bodies: str) -> None:
    queue = await state.connection.queue(WORK)
    await queue.send([Posting(body) for body in bodies])


async def work_off(state: Office, ledger: AwsLedger, run: RunId = RUN) -> None:
    while leases := await lease_all(ledger, run):
        await end(state, ledger, leases)


# Messages


async def test_work_whose_messages_were_lost_is_found(state: Office) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, ALL)
    assert await received(state)
    await work_off(state, await state.ledger())
    assert await received(state) == []
    assert (await ledger.totals(RUN)).open == 0


@pytest.mark.usefixtures("small_groups")
async def test_work_whose_messages_are_doubled_is_given_once(state: Office) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, news(30))
    bodies = await received(state)
    await send(state, *bodies * 3)
    leases = await lease_all(ledger, RUN)
    assert len(leases) == 30
    assert not await (await state.ledger()).complete([done(at, 1) for at in leases])
    totals = await ledger.totals(RUN)
    assert (totals.moved_bytes, totals.open) == (30, 0)
    assert not await ledger.complete([])
    assert await lease(ledger, RUN) == []


async def test_a_worker_ends_the_messages_of_what_another_one_took_over(state: Office) -> None:
    first, second = await state.ledger(), await state.ledger()
    await first.record(RUN, news(200))
    ours = await lease(first, RUN, limit=120)
    theirs = await lease(second, RUN, limit=120)
    assert (len(ours), len(theirs)) == (120, 80)
    assert not await second.complete([done(at) for at in theirs])
    state.clock.advance(61)
    again = await lease(second, RUN, limit=200)
    assert not await second.complete([done(at) for at in again])
    assert len(await first.complete([done(at) for at in ours])) == 120
    await state.drained(second, RUN, within_s=1)


async def test_messages_of_a_group_that_was_split_end_with_its_work(
    state: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await state.ledger(), await state.ledger()
    await first.record(RUN, news(20))
    leases = await lease(first, RUN)
    monkeypatch.setattr(inserting, "MOST_ENTRIES", 4)
    await second.record(RUN, [new(f"{at.transfer.key}a") for at in leases])
    assert not await first.complete([done(at) for at in leases])
    await work_off(state, second)
    await state.drained(second, RUN, within_s=2)


async def test_messages_of_other_runs_are_given_back_and_never_become_dead_letters(
    state: Office,
) -> None:
    ledger, other = await state.ledger(), await state.ledger()
    await ledger.record(RUN, news(3))
    await other.record(OTHER, news(3))
    await received(state)
    mine = await state.ledger()
    await mine.record(RunId("third"), news(1))
    [body] = await received(state)
    for _ in range(MOST_RECEIVES + 2):
        await send(state, body)
        await ledger.lease(RUN, WORKER, limit=1, max_bytes=1, duration=AT_ONCE)
    messages = await state.messages()
    assert messages[WORK.name] > MOST_RECEIVES
    assert messages[DEAD.name] == 0
    assert len(await lease_all(other, OTHER)) == 3


async def test_a_strange_message_becomes_a_dead_letter_and_stops_nobody(state: Office) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, news(3))
    await send(state, "strange", '{"run": 1}')
    assert len(await lease_all(ledger, RUN)) == 3
    queue = await state.connection.queue(WORK)
    for _ in range(MOST_RECEIVES + 2):
        await queue.receive(10, hidden=AT_ONCE)
        await ledger.lease(RUN, WORKER, limit=9, max_bytes=1, duration=AT_ONCE)
    assert await ledger.redrive(RUN) == 0
    dead = await state.connection.queue(DEAD)
    assert (
        int((await dead.attributes("ApproximateNumberOfMessages"))["ApproximateNumberOfMessages"])
        + (await state.messages())[WORK.name]
        >= 2
    )


async def test_a_message_of_ours_that_became_a_dead_letter_is_told_anew_by_a_redrive(
    state: Office,
) -> None:
    ledger = await state.ledger()
    await bury(ledger, RUN, "a")
    await ledger.record(RUN, [new("b")])
    queue = await state.connection.queue(WORK)
    for _ in range(MOST_RECEIVES + 1):
        await queue.receive(10, hidden=AT_ONCE)
    assert (await state.messages())[DEAD.name] == 1
    assert await ledger.redrive(RUN) == 1
    assert (await state.messages())[DEAD.name] == 0
    assert {at.transfer.key for at in await lease_all(ledger, RUN)} == {"a", "b"}


async def test_what_stores_tell_is_heard_once_by_whoever_works(state: Office) -> None:
    heard: list[str] = []

    async def hear(body: str) -> bool:
        heard.append(body)
        return body == "event"

    ledger = await state.ledger(hear=hear)
    await ledger.record(RUN, news(2))
    await send(state, "event")
    assert len(await lease_all(ledger, RUN)) == 2
    assert heard == ["event"]
    assert await lease(await state.ledger(hear=hear), RUN) == []
    assert heard == ["event"]


# Answers that are lost, and AWS that slows down

_SLOWER = Refusal("ProvisionedThroughputExceededException")
_THROTTLED = Refusal("ThrottlingException", kind="com.amazon.coral.availability")
_REQUESTS = {
    "dynamodb": ["GetItem", "PutItem", "Query", "TransactWriteItems"],
    "batches": ["BatchWriteItem", "BatchGetItem"],
    "sqs": ["SendMessageBatch", "DeleteMessageBatch"],
}


@pytest.fixture
async def proxy(state: Office) -> AsyncIterator[AwsProxy]:
    async with AwsProxy(state.endpoint.url) as proxy:
        yield proxy


async def whole_run(state: Office, proxy: AwsProxy) -> None:
    """A finder and a worker behind the proxy; then everything is as if nothing had been."""
    behind = state.connect(state.endpoint.at(proxy.url))
    ledger = await state.ledger(behind)
    for start in range(0, len(ALL), 3):
        await ledger.record(RUN, ALL[start : start + 3])
    await ledger.record(RUN, ALL, [SHARD])
    await ledger.release_held(RUN)
    await work_off(state, ledger)
    for record in await ledger.uploads(RUN):
        await ledger.forget_upload(RUN, record)
    assert [asked for asked in proxy.seen if asked.fault is not None]
    proxy.clear()
    totals = await ledger.totals(RUN)
    assert totals.tallies == await recount(ledger, RUN)
    ended = totals.tally(Action.COPY, TransferState.DONE)
    assert (ended.count, ended.size) == (10, 9 * 3 + 12)
    assert totals.moved_bytes == 9 * 3 + 12
    assert (totals.shards, totals.scan, totals.uploads) == (1, SHARD.counts, 0)
    assert await ledger.part_bytes(RUN) == 0
    assert {at.attempts for at in (await records(ledger, RUN)).values()} == {1}
    assert_tiled(await state.groups())
    await state.drained(ledger, RUN)
    assert not [row for row in await state.rows() if row["pk"].endswith("|parts")]


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("kind", [*_REQUESTS])
async def test_what_was_done_though_its_answer_was_lost_counts_once(
    state: Office, proxy: AwsProxy, kind: str
) -> None:
    for action in _REQUESTS[kind]:
        for turn in range(40):
            proxy.add(action, Reset(carried_out=True), skip=2 * turn)
    await whole_run(state, proxy)


@pytest.mark.usefixtures("small_groups")
async def test_a_run_that_is_slowed_down_all_the_time_ends_right(
    state: Office, proxy: AwsProxy
) -> None:
    for turn in range(30):
        for action in _REQUESTS["dynamodb"]:
            proxy.add(action, _SLOWER if turn % 2 else _THROTTLED, skip=2 * turn)
        for action in _REQUESTS["batches"]:
            proxy.add(action, Unprocessed(1), skip=2 * turn)
        for action in _REQUESTS["sqs"]:
            proxy.add(action, Failed(1), skip=2 * turn)
        proxy.add(
            "ReceiveMessage", Refusal("RequestThrottled", kind="com.amazonaws.sqs"), skip=turn
        )
    await whole_run(state, proxy)


# Rows that expire


async def test_every_row_tells_when_it_may_go_and_what_has_expired_is_not_there(
    state: Office,
) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, ALL, [SHARD])
    await bury(ledger, RUN, "dead")
    await ledger.complete_parts([part_done(at) for at in await lease_parts(ledger, RUN, key="x")])
    last = int((state.clock.now + KEPT).timestamp())
    assert {row.get(EXPIRES) for row in await state.rows()} <= {last, last - 1}

    state.clock.advance((KEPT + timedelta(seconds=2)).total_seconds())
    late = await state.ledger()
    assert await late.ledgers() == []
    assert await late.known(RUN, ["dead"]) == {}
    assert (await late.totals(RUN)).tallies == {}
    assert await late.failures(RUN) == []
    assert await lease(late, RUN) == []
    assert await late.record(RUN, ALL, [SHARD]) == len(ALL)
    assert [*await late.ledgers()] == [RUN]
    assert (await late.totals(RUN)).tallies == await recount(late, RUN)
