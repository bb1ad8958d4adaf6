"""The suite of the Inbox port.

A subclass gives `inboxes`, several instances over one empty state that use `clock`.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.model.event import EventKind, ObjectEvent, Waiting
from transferhub.model.run import TaskId
from transferhub.state.events import Inbox

TASK, OTHER = TaskId("task é"), TaskId("task b")
SECOND = timedelta(seconds=1)


def event(key: str, sequencer: str = "", kind: EventKind = EventKind.CREATED) -> ObjectEvent:
    return ObjectEvent("bucket", key, kind, sequencer)


class InboxSuite:
    """Every test of the port."""

    @pytest.fixture
    def inbox(self, inboxes: Sequence[Inbox]) -> Inbox:
        return inboxes[0]

    async def test_events_wait_until_they_are_done(self, inbox: Inbox, clock: FakeClock) -> None:
        odd = "é\x00\x01😀'%"
        await inbox.put(TASK, [event("a"), event(odd, kind=EventKind.REMOVED)])
        found = await inbox.waiting(TASK, limit=9)
        assert {at.key: (at.kind, at.since) for at in found} == {
            "a": (EventKind.CREATED, clock.now),
            odd: (EventKind.REMOVED, clock.now),
        }
        assert await inbox.done(TASK, found) == 2
        assert await inbox.waiting(TASK, limit=9) == []
        assert await inbox.done(TASK, found) == 0

    async def test_a_key_waits_once_and_since_its_first_event(
        self, inbox: Inbox, clock: FakeClock
    ) -> None:
        await inbox.put(TASK, [event("a", "0A"), event("a", "0B")])
        first = clock.now
        clock.advance(5)
        await inbox.put(TASK, [event("a", "0C", EventKind.REMOVED)])
        [waiting] = await inbox.waiting(TASK, limit=9)
        assert (waiting.kind, waiting.since) == (EventKind.REMOVED, first)
        assert await inbox.count(TASK) == 1

    @pytest.mark.parametrize("sequencer", ["0A", "0B", "0C", ""])
    async def test_an_event_that_came_meanwhile_waits_on(
        self, inbox: Inbox, sequencer: str
    ) -> None:
        await inbox.put(TASK, [event("a", "0B")])
        looked_at = await inbox.waiting(TASK, limit=9)
        await inbox.put(TASK, [event("a", sequencer)])
        assert await inbox.done(TASK, looked_at) == 0
        assert await inbox.done(TASK, await inbox.waiting(TASK, limit=9)) == 1

    async def test_a_mark_is_not_given_again_to_a_later_event(self, inbox: Inbox) -> None:
        await inbox.put(TASK, [event("a")])
        former = await inbox.waiting(TASK, limit=9)
        await inbox.done(TASK, former)
        await inbox.put(TASK, [event("a")])
        assert await inbox.done(TASK, former) == 0

    async def test_a_stale_event_does_not_tell_what_happened_last(
        self, inbox: Inbox, clock: FakeClock
    ) -> None:
        removed = event("by place", "0B", EventKind.REMOVED)
        timed = event("by time", "", EventKind.REMOVED)._replace(at=clock.now)
        await inbox.put(TASK, [removed, timed])
        earlier = event("by time")._replace(at=clock.now - SECOND)
        await inbox.put(TASK, [event("by place", "0A"), earlier])
        found = await inbox.waiting(TASK, limit=9)
        assert {at.kind for at in found} == {EventKind.REMOVED}
        await inbox.put(TASK, [event("by place", "0B01"), event("by time")])
        assert {at.kind for at in await inbox.waiting(TASK, limit=9)} == {EventKind.CREATED}

    async def test_those_that_wait_longest_come_first(self, inbox: Inbox, clock: FakeClock) -> None:
        happened = event("b")._replace(at=clock.now - 5 * SECOND)
        ahead = event("a")._replace(at=clock.now + 5 * SECOND)
        await inbox.put(TASK, [event("c"), ahead, happened])
        assert [at.key for at in await inbox.waiting(TASK, limit=9)] == ["b", "a", "c"]
        [first] = await inbox.waiting(TASK, limit=1)
        assert (first.key, first.since) == ("b", clock.now - 5 * SECOND)

    async def test_tasks_are_apart(self, inbox: Inbox, clock: FakeClock) -> None:
        assert await inbox.lag() == {}
        await inbox.put(TASK, [event("a")])
        await inbox.put(OTHER, [event("a")._replace(at=clock.now - SECOND), event("b")])
        assert await inbox.lag() == {TASK: clock.now, OTHER: clock.now - SECOND}
        assert (await inbox.count(TASK), await inbox.count(OTHER)) == (1, 2)
        assert await inbox.forget(OTHER) == 2
        assert await inbox.lag() == {TASK: clock.now}

    async def test_many_put_and_end_the_same_keys_at_once(self, inboxes: Sequence[Inbox]) -> None:
        keys = [f"key {number}" for number in range(200)]

        async def work(inbox: Inbox, order: Sequence[str]) -> int:
            await inbox.put(TASK, [event(key) for key in order])
            return await inbox.done(TASK, await inbox.waiting(TASK, limit=100))

        async with asyncio.TaskGroup() as group:
            for number, inbox in enumerate(inboxes):
                group.create_task(work(inbox, keys if number % 2 else keys[::-1]))
        left: Sequence[Waiting] = await inboxes[0].waiting(TASK, limit=999)
        assert await inboxes[0].done(TASK, left) == len(left)
        assert await inboxes[0].lag() == {}

    async def test_nothing_is_nothing(self, inbox: Inbox) -> None:
        await inbox.put(TASK, [])
        assert (await inbox.done(TASK, []), await inbox.count(TASK)) == (0, 0)
