"""The suites of the ports ChannelStore and Outbox: a test for each of their guarantees.

A subclass gives the fixtures `channels` and `outboxes`: instances over one state, and `clock`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.errors import ConflictError
from transferhub.model.notice import (
    MOST_TOLD,
    Cause,
    Message,
    MessageState,
    Notice,
    NoticeKind,
    StoredChannel,
)
from transferhub.state.notices import BURST, Addressee, ChannelStore, Outbox

WINDOW = timedelta(minutes=5)
LEASE = timedelta(minutes=2)
_numbers = count(1)


def channel(clock: FakeClock, name: str, version: int = 1, key_id: str = "k1") -> StoredChannel:
    return StoredChannel(
        name=name,
        document={"kind": "slack", "name": name, "tags": ["é\x00😀"]},
        created_at=clock(),
        updated_at=clock.after(1),
        version=version,
        key_id=key_id,
        box=f"box {version}",
    )


def notice(clock: FakeClock, ident: str, task: str = "t") -> Notice:
    return Notice(
        ident=ident,
        kind=NoticeKind.COMPLETED_WITH_FAILURES,
        at=clock(),
        task=task,
        task_kind="images",
        task_name="Photos \x00é😀",
        run="r",
        objects=3,
        bytes=1 << 40,
        seconds=1.5,
        failed=2,
        causes=(Cause(code="denied", count=2),),
        keys=("a\x00b", "\n😀"),
        code="denied",
        detail="It's 100%",
        lag=0.25,
    )


def to(*names: str, window: timedelta = WINDOW) -> Sequence[Addressee]:
    return [Addressee(channel=name, window=window) for name in names]


class NoticesFacts:
    @pytest.fixture
    def store(self, channels: Sequence[ChannelStore]) -> ChannelStore:
        return channels[0]

    @pytest.fixture
    def outbox(self, outboxes: Sequence[Outbox]) -> Outbox:
        return outboxes[0]

    @pytest.fixture
    async def slack(self, store: ChannelStore, clock: FakeClock) -> str:
        await store.create_channel(channel(clock, "slack"))
        return "slack"


async def add(outbox: Outbox, told: Notice, *names: str, window: timedelta = WINDOW) -> bool:
    chosen = to(*names, window=window)
    return await outbox.add(told, chosen, [f"m{next(_numbers)}" for _ in chosen])


async def claimed(outbox: Outbox) -> Message:
    [message] = await outbox.claim(LEASE)
    return message


class ChannelStoreSuite(NoticesFacts):
    async def test_a_channel_comes_back_as_it_was(
        self, channels: Sequence[ChannelStore], clock: FakeClock
    ) -> None:
        await channels[0].create_channel(channel(clock, "a"))
        assert await channels[1].get_channel("a") == channel(clock, "a")
        assert await channels[1].get_channel("b") is None

    async def test_a_name_is_given_once(self, store: ChannelStore, clock: FakeClock) -> None:
        await store.create_channel(channel(clock, "a"))
        with pytest.raises(ConflictError, match="Channel a exists"):
            await store.create_channel(channel(clock, "a", version=7))
        assert await store.channels() == [channel(clock, "a")]

    async def test_of_two_that_replace_one_version_one_comes_first(
        self, channels: Sequence[ChannelStore], clock: FakeClock
    ) -> None:
        was = channel(clock, "a")
        await channels[0].create_channel(was)
        results = await asyncio.gather(
            *(at.replace_channel(channel(clock, "a", version=2), was) for at in channels),
            return_exceptions=True,
        )
        assert sum(result is None for result in results) == 1
        assert await channels[0].get_channel("a") == channel(clock, "a", version=2)
        with pytest.raises(ConflictError):
            await channels[0].replace_channel(channel(clock, "b", version=2), channel(clock, "b"))

    async def test_channels_are_paged_by_name(self, store: ChannelStore, clock: FakeClock) -> None:
        for name in ("b", "B", "a-1", "a.1"):
            await store.create_channel(channel(clock, name))
        assert [at.name for at in await store.channels()] == ["B", "a-1", "a.1", "b"]
        assert [at.name for at in await store.channels(after="a-1", limit=1)] == ["a.1"]

    async def test_what_is_sealed_is_paged_and_replaced_by_key(
        self, store: ChannelStore, clock: FakeClock
    ) -> None:
        for name in ("a", "b"):
            await store.create_channel(channel(clock, name))
        [first] = await store.all(limit=1)
        [second] = await store.all(after=first.credential.name)
        assert (first, second) == (channel(clock, "a").sealed, channel(clock, "b").sealed)
        again = replace(first, key_id="k2", box="again")
        await store.replace(again, first)
        with pytest.raises(ConflictError):
            await store.replace(again, first)
        kept = await store.get_channel("a")
        assert kept is not None
        assert kept == replace(channel(clock, "a"), key_id="k2", box="again")

    async def test_no_box_of_a_channel_is_bound_like_a_credentials(self, clock: FakeClock) -> None:
        assert " " in channel(clock, "a").sealed.credential.name

    async def test_what_waits_for_a_deleted_channel_is_given_up(
        self, store: ChannelStore, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        await store.create_channel(channel(clock, "other"))
        await add(outbox, notice(clock, "n"), slack, "other")
        clock.advance(60)
        await outbox.claim(LEASE)
        assert await store.delete_channel(slack)
        assert not await store.delete_channel(slack)
        [gone] = await outbox.messages(channel=slack)
        assert gone.state is MessageState.GIVEN_UP
        assert gone.error == "The channel was deleted."
        assert not await outbox.settle(gone, MessageState.SENT, due_at=None)
        clock.advance(600)
        assert [at.channel for at in await outbox.claim(LEASE)] == ["other"]

    async def test_nothing_is_added_for_a_channel_that_is_gone(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        await add(outbox, notice(clock, "n"), slack, "gone")
        assert {at.channel for at in await outbox.messages()} <= {slack, "gone"}
        assert len(await outbox.messages(channel=slack)) == 1


class OutboxSuite(NoticesFacts):
    async def test_a_notice_comes_back_as_it_was(
        self, outboxes: Sequence[Outbox], slack: str, clock: FakeClock
    ) -> None:
        assert await outboxes[0].add(notice(clock, "n"), to(slack), ["m"])
        [message] = await outboxes[1].messages()
        assert message == Message(
            ident="m",
            channel=slack,
            kind=NoticeKind.COMPLETED_WITH_FAILURES,
            task="t",
            notices=(notice(clock, "n"),),
            count=1,
            created_at=clock(),
            planned_at=clock() + BURST,
            due_at=clock() + BURST,
            number=message.number,
        )

    async def test_a_notice_is_added_once_however_many_add_it(
        self, outboxes: Sequence[Outbox], slack: str, clock: FakeClock
    ) -> None:
        results = await asyncio.gather(*(add(at, notice(clock, "n"), slack) for at in outboxes))
        assert sorted(results) == [False, False, False, True]
        [message] = await outboxes[0].messages()
        assert message.count == 1

    async def test_a_notice_for_nobody_is_not_added_later(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        assert await add(outbox, notice(clock, "n"))
        assert not await add(outbox, notice(clock, "n"), slack)
        assert await outbox.messages() == []

    async def test_notices_of_a_group_become_one_message_whoever_adds_them(
        self, outboxes: Sequence[Outbox], slack: str, clock: FakeClock
    ) -> None:
        await asyncio.gather(
            *(add(outboxes[n % 4], notice(clock, f"n{n}"), slack) for n in range(40))
        )
        [message] = await outboxes[0].messages()
        assert message.count == 40
        assert len({told.ident for told in message.notices}) == MOST_TOLD

    async def test_other_tasks_kinds_and_channels_are_other_groups(
        self, outbox: Outbox, store: ChannelStore, slack: str, clock: FakeClock
    ) -> None:
        await store.create_channel(channel(clock, "other"))
        await add(outbox, notice(clock, "1"), slack, "other")
        await add(outbox, notice(clock, "2", task="u"), slack)
        await add(outbox, replace(notice(clock, "3"), kind=NoticeKind.RUN_FAILED), slack)
        assert len(await outbox.messages()) == 4

    async def test_a_group_waits_until_its_window_has_passed(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        await add(outbox, notice(clock, "1"), slack)
        first = clock.advance(5)
        await outbox.settle(await claimed(outbox), MessageState.SENT, due_at=None)
        clock.advance(10)
        await add(outbox, notice(clock, "2"), slack)
        clock.advance(10)
        await add(outbox, notice(clock, "3"), slack)
        second, _ = await outbox.messages()
        assert (second.count, second.due_at) == (2, first + WINDOW)
        clock.advance(100)
        assert await outbox.claim(LEASE) == []
        clock.advance(200)
        assert [told.ident for told in (await claimed(outbox)).notices] == ["2", "3"]
        clock.advance(3_600)
        await add(outbox, notice(clock, "4"), slack)
        assert (await outbox.messages())[0].due_at == clock() + BURST

    async def test_a_message_that_is_sent_takes_in_nothing_more(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        await add(outbox, notice(clock, "1"), slack)
        clock.advance(5)
        sending = await claimed(outbox)
        await add(outbox, notice(clock, "2"), slack)
        _, first = await outbox.messages()
        assert first == sending
        assert (sending.count, sending.state, sending.attempts) == (1, MessageState.SENDING, 1)

    async def test_a_message_is_claimed_by_one_of_many(
        self, outboxes: Sequence[Outbox], slack: str, clock: FakeClock
    ) -> None:
        for number in range(30):
            await add(outboxes[0], notice(clock, f"{number}", task=f"t{number}"), slack)
        clock.advance(5)
        found = await asyncio.gather(*(at.claim(LEASE, limit=5) for at in outboxes for _ in "ab"))
        found.append(await outboxes[0].claim(LEASE, limit=40))
        numbers = [message.number for messages in found for message in messages]
        assert len(numbers) == len(set(numbers)) == 30

    async def test_what_waits_longest_is_claimed_first(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        for task in ("b", "a", "c"):
            await add(outbox, notice(clock, task, task=task), slack)
            clock.advance(1)
        clock.advance(5)
        assert [at.task for at in await outbox.claim(LEASE, limit=2)] == ["b", "a"]

    async def test_a_dead_couriers_message_is_due_again_and_fenced(
        self, outboxes: Sequence[Outbox], slack: str, clock: FakeClock
    ) -> None:
        await add(outboxes[0], notice(clock, "n"), slack)
        clock.advance(5)
        dead = await claimed(outboxes[0])
        assert await outboxes[1].claim(LEASE) == []
        clock.advance(120)
        alive = await claimed(outboxes[1])
        assert (alive.ident, alive.attempts) == (dead.ident, 2)
        assert not await outboxes[0].settle(dead, MessageState.SENT, due_at=None)
        assert await outboxes[1].settle(alive, MessageState.SENT, due_at=None)
        clock.advance(3_600)
        assert await outboxes[0].claim(LEASE) == []

    async def test_a_failed_attempt_is_due_again_when_it_was_said(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        await add(outbox, notice(clock, "n"), slack)
        clock.advance(5)
        message = await claimed(outbox)
        again = clock.after(30)
        assert await outbox.settle(message, MessageState.SENDING, error="500 é", due_at=again)
        assert (await outbox.messages())[0].error == "500 é"
        assert await outbox.claim(LEASE) == []
        clock.advance(30)
        retried = await claimed(outbox)
        assert retried.attempts == 2
        assert await outbox.settle(retried, MessageState.GIVEN_UP, error="no", due_at=None)
        [ended] = await outbox.messages()
        assert (ended.state, ended.error, ended.ended_at) == (MessageState.GIVEN_UP, "no", clock())
        assert not await outbox.settle(retried, MessageState.SENT, due_at=None)

    async def test_messages_are_paged_newest_first(
        self, outbox: Outbox, store: ChannelStore, slack: str, clock: FakeClock
    ) -> None:
        await store.create_channel(channel(clock, "other"))
        for task in "abc":
            await add(outbox, notice(clock, task, task=task), slack)
        await add(outbox, notice(clock, "d", task="d"), "other")
        first, second = await outbox.messages(channel=slack, limit=2)
        assert (first.task, second.task) == ("c", "b")
        assert [at.task for at in await outbox.messages(before=second.number)] == ["a"]
        assert len(await outbox.messages()) == 4

    async def test_only_what_ended_is_purged(
        self, outbox: Outbox, slack: str, clock: FakeClock
    ) -> None:
        began = clock.now
        for task in "ab":
            await add(outbox, notice(clock, task, task=task), slack)
        clock.advance(5)
        ended, waits = await outbox.claim(LEASE)
        await outbox.settle(ended, MessageState.SENT, due_at=None)
        assert await outbox.purge(began) == 0
        assert not await add(outbox, notice(clock, "b", task="b"), slack)
        assert await outbox.purge(clock.advance(1)) == 1
        assert [at.number for at in await outbox.messages()] == [waits.number]
        assert await add(outbox, notice(clock, "a", task="a"), slack)
