"""What the suites of the ports cannot ask of the state of a hub in DynamoDB."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.conformance.histories import RUN, START, TASK, line, said, sample
from tests.conformance.inboxes import event
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.notices import channel, notice
from tests.conformance.people import NOW, entry, link, sealed, user
from tests.servers.aws_faults import AwsProxy, Refusal, Reset, Unprocessed
from tests.servers.ministack import MinistackServer
from transferhub.errors import StateError
from transferhub.model.history import THINNINGS, LogLine, OfRun, OfTask
from transferhub.model.notice import MessageState
from transferhub.model.people import Strikes
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.channels import AwsChannels
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.expiry import KEPT
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.log_keys import line_key
from transferhub.state.aws.log_lines import Packed, pack
from transferhub.state.aws.log_tail import LogTail
from transferhub.state.aws.logs import AwsLogs
from transferhub.state.aws.outbox import AwsOutbox
from transferhub.state.aws.people import AwsPeople
from transferhub.state.aws.samples import AwsSamples
from transferhub.state.aws.schema import HUB
from transferhub.state.aws.seats import AwsSeats
from transferhub.state.aws.vault import AwsVault
from transferhub.state.notices import Addressee


@pytest.fixture
async def connection(ministack: MinistackServer) -> AsyncIterator[Connection]:
    async with aws_state(ministack.endpoint) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


# Logs


def long_lines(count: int) -> Sequence[LogLine]:
    """Which fill a tail."""
    return [line(f"{number} " + "x" * 2_000) for number in range(count)]


def to_item(packed: Packed) -> dict[str, object]:
    first = packed.lines[0]
    values = {"run": first.run, "number": first.number, "count": len(packed.lines)}
    key = line_key(first.task, first.number)
    return {**key, **values, "size": packed.size, "lines": pack(packed.lines)}


async def test_a_full_tail_that_its_writer_left_behind_is_settled_by_the_next_one(
    connection: Connection,
) -> None:
    logs = AwsLogs(connection)
    await logs.append([line("first")])
    tail = LogTail(connection.table(HUB))
    left = await tail.add(TASK, long_lines(20))
    assert left is not None
    assert left.is_full
    assert await tail.add(TASK, [line("no room")]) is None
    await logs.append([line("last")])
    messages = await said(logs, OfTask(TASK))
    assert [message.split()[0] for message in messages] == [
        "first",
        *(str(number) for number in range(20)),
        "last",
    ]


async def test_many_that_settle_one_tail_write_its_lines_once(connection: Connection) -> None:
    tail = LogTail(connection.table(HUB))
    full = await tail.add(TASK, long_lines(20))
    assert full is not None
    await asyncio.gather(*(tail.empty(TASK, full, to_item) for _ in range(4)))
    await tail.add(TASK, [line("later")])
    await tail.empty(TASK, full, to_item)  # one that was very late
    now = await tail.read(TASK)
    assert (now.first, now.last, now.lines) == (21, 21, [replace(line("later"), number=21)])
    found = await said(AwsLogs(connection), OfTask(TASK), after=0)
    assert len(found) == 21


async def test_numbers_go_on_after_everything_was_forgotten(connection: Connection) -> None:
    logs = AwsLogs(connection)
    await logs.append([line("a"), line("b")])
    await logs.forget(RUN)
    await AwsLogs(connection).append([line("c")])
    page = await logs.page(OfTask(TASK))
    assert [(at.number, at.message) for at in page.lines] == [(3, "c")]
    assert await said(logs, OfRun(RUN)) == ["c"]


async def test_a_run_that_was_forgotten_while_it_writes_is_known_again(
    connection: Connection,
) -> None:
    logs = AwsLogs(connection)
    await logs.append([line("a")])
    await AwsLogs(connection).forget(RUN)
    await logs.append([line("b")])
    assert await said(logs, OfRun(RUN)) == ["b"]
    assert await logs.purge(START + timedelta(days=1)) == 1
    assert await said(logs, OfTask(TASK)) == []


async def test_lines_that_expired_are_not_shown(connection: Connection, clock: FakeClock) -> None:
    logs = AwsLogs(connection, clock)
    await logs.append(long_lines(20))
    assert len(await said(logs)) == 20
    clock.now += KEPT + timedelta(seconds=1)
    assert await said(logs) == []
    forever = AwsLogs(connection, clock, keep=None)
    await forever.append(long_lines(20))
    clock.now += 10 * KEPT
    assert len(await said(forever)) == 20


# Samples


async def test_samples_that_expired_are_not_shown(connection: Connection, clock: FakeClock) -> None:
    samples = AwsSamples(connection, clock)
    await samples.add(RUN, TASK, sample(0))
    span = START, START + timedelta(hours=1)
    assert len(await samples.series(OfTask(TASK), *span, points=1)) == 1
    clock.now += KEPT + timedelta(seconds=1)
    assert await samples.latest([RUN]) == {}
    assert await samples.series(OfRun(RUN), *span, points=1) == []


async def test_a_run_over_midnight_is_in_the_series_of_its_task(connection: Connection) -> None:
    samples = AwsSamples(connection)
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    for seconds in range(-60, 60, 20):
        at = (midnight - START).total_seconds() + seconds
        await samples.add(RUN, TASK, sample(at))
    span = midnight - timedelta(hours=1), midnight + timedelta(hours=1)
    assert len(await samples.series(OfTask(TASK), *span, points=7_200)) == 6
    after = await samples.series(OfTask(TASK), midnight, span[1], points=7_200)
    assert len(after) == 3


async def test_a_window_whose_first_answer_was_lost_is_thinned_all_the_same(
    proxy: AwsProxy, reached: Connection
) -> None:
    samples = AwsSamples(reached)
    proxy.add("UpdateItem", Reset(carried_out=True))
    await samples.add(RUN, TASK, sample(0))
    assert await samples.thin(THINNINGS[0], START + timedelta(hours=1)) == 1


# Lost answers


@pytest.fixture
async def proxy(ministack: MinistackServer) -> AsyncIterator[AwsProxy]:
    async with AwsProxy(ministack.endpoint.url) as listening:
        yield listening


@pytest.fixture
async def reached(
    ministack: MinistackServer, connection: Connection, proxy: AwsProxy
) -> AsyncIterator[Connection]:
    """The state, through the proxy."""
    opened = connection_to(ministack.endpoint.at(proxy.url), connection.name)
    yield opened
    await opened.aclose()


async def test_who_takes_a_seat_and_hears_nothing_has_it(
    proxy: AwsProxy, reached: Connection, clock: FakeClock
) -> None:
    lost = Reset(carried_out=True)
    seats = AwsSeats(reached, clock)
    for _ in range(2):
        proxy.add("PutItem", lost)
        seat = await seats.take("s", "a", timedelta(seconds=20))
        assert seat is not None
        assert (seat.holder, seat.number) == ("a", 1)
    assert await seats.take("s", "b", timedelta(seconds=20)) is None


async def test_who_writes_and_hears_nothing_is_no_other_writer(
    proxy: AwsProxy, reached: Connection, clock: FakeClock
) -> None:
    people, vault, store = AwsPeople(reached), AwsVault(reached), AwsChannels(reached, clock)
    proxy.add("PutItem", Reset(carried_out=True), times=6)
    await people.create_user(user("ann"))
    await people.update_user(user("ann"))
    await vault.create(sealed("a"))
    await vault.replace(sealed("a", version=2), sealed("a"))
    await store.create_channel(channel(clock, "slack"))
    was = channel(clock, "slack").sealed
    await store.replace(replace(was, key_id="k2", box="again"), was)
    proxy.add("DeleteItem", Reset(carried_out=True))
    assert await vault.delete("a")
    assert len([at for at in proxy.seen if at.fault]) == 7


async def test_who_takes_a_link_and_hears_nothing_gets_it(
    proxy: AwsProxy, reached: Connection
) -> None:
    people = AwsPeople(reached)
    await people.create_link(link("x"))
    proxy.add("UpdateItem", Reset(carried_out=True))
    proxy.add("DeleteItem", Reset(carried_out=True))
    assert await people.take_link("x", NOW) == link("x")
    assert await people.take_link("x", NOW) is None


async def test_a_message_whose_answers_are_lost_is_sent_once(
    proxy: AwsProxy, reached: Connection, clock: FakeClock
) -> None:
    store, outbox = AwsChannels(reached, clock), AwsOutbox(reached, clock)
    await store.create_channel(channel(clock, "slack"))
    to = [Addressee(channel="slack", window=timedelta(0))]
    proxy.add("TransactWriteItems", Reset(carried_out=True))
    assert await outbox.add(notice(clock, "n"), to, ["m"])
    clock.advance(60)
    [message] = await outbox.claim(timedelta(minutes=1))
    assert message.count == 1
    proxy.add("UpdateItem", Reset(carried_out=True))
    assert await outbox.settle(message, MessageState.SENT, due_at=None)
    clock.advance(600)
    assert await outbox.claim(timedelta(minutes=1)) == []


async def test_events_and_logs_come_through_throttling(
    proxy: AwsProxy, reached: Connection, clock: FakeClock
) -> None:
    slow = Refusal("ProvisionedThroughputExceededException")
    for action in ("PutItem", "UpdateItem", "Query", "GetItem", "BatchGetItem", "BatchWriteItem"):
        proxy.add(action, slow, times=2)
    inbox, logs = AwsInbox(reached, clock), AwsLogs(reached, clock)
    await inbox.put(TASK, [event(key) for key in "abc"])
    assert len(await inbox.waiting(TASK, limit=9)) == 3
    proxy.add("BatchWriteItem", Unprocessed(1))
    await logs.append(long_lines(20))
    assert len(await said(logs)) == 20


# The rest


async def test_any_name_can_be_asked_for(connection: Connection) -> None:
    people = AwsPeople(connection)
    long = "é" * 3_000
    for name in ("", long, f"{long}!", "half \ud800", "\x00"):
        assert await people.get_user(name) is None
        assert await people.replace_strikes(name, None, Strikes(count=1, at=NOW))
        assert await people.strikes(name) == Strikes(count=1, at=NOW)
    await people.create_user(user("ann"))
    assert await people.users() == [user("ann")]
    assert await people.users(after=long) == []


async def test_an_entry_of_the_audit_log_is_found_under_any_words(connection: Connection) -> None:
    audit = AwsAudit(connection)
    long = "x" * 3_000
    written = await audit.append(entry(long, action="a", subject="#"))
    assert await audit.entries(who=long) == [written]
    assert await audit.entries(subject="#", action="a", who=long) == [written]
    assert await audit.entries(before=1 << 70) == [written]
    assert await audit.entries(before=-5) == []


async def test_a_notice_goes_to_very_many_channels(
    connection: Connection, clock: FakeClock
) -> None:
    store, outbox = AwsChannels(connection, clock), AwsOutbox(connection, clock)
    names = [f"channel {number}" for number in range(70)]
    for name in names:
        await store.create_channel(channel(clock, name))
    to = [Addressee(channel=name, window=timedelta(minutes=5)) for name in names]
    assert await outbox.add(notice(clock, "n"), to, [f"m {name}" for name in names])
    assert not await outbox.add(notice(clock, "n"), to, [f"m {name}" for name in names])
    assert {at.channel for at in await outbox.messages(limit=100)} == {*names}
    clock.advance(60)
    assert len(await outbox.claim(timedelta(minutes=1), limit=100)) == 70


async def test_a_state_that_is_not_there_is_told(ministack: MinistackServer) -> None:
    other = connection_to(ministack.endpoint, "nowhere")
    with pytest.raises(StateError, match="create-state") as caught:
        await AwsSeats(other).take("s", "a", timedelta(seconds=1))
    assert caught.value.code == "state_missing"
    await other.aclose()
