"""Many servers send what one outbox holds: each message once, and at least once when one dies."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.courier_process import open_courier
from tests.servers.receivers import Answer, HttpReceiver
from tests.unit.control.hub_desk import ADMIN
from transferhub.control.channels import Channels
from transferhub.control.courier import Courier
from transferhub.control.journal import Journal
from transferhub.control.key_ring import KeyFile
from transferhub.control.letters import Desk
from transferhub.control.notices import Notices
from transferhub.model.clock import utc_now
from transferhub.model.notice import MessageState, Notice, NoticeKind
from transferhub.state.memory import MemoryAudit
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.outbox import SqlOutbox


@dataclass
class Post:
    url: str
    keys: Path
    outbox: SqlOutbox
    notices: Notices
    receiver: HttpReceiver
    ahead: timedelta = timedelta(0)

    def clock(self) -> datetime:
        return utc_now() + self.ahead

    async def tell(self, count: int) -> None:
        for number in range(count):
            notice = Notice(
                ident=f"n{number}",
                kind=NoticeKind.RUN_FAILED,
                at=self.clock(),
                task=f"t{number}",
                task_name=f"Task {number}",
            )
            assert await self.notices.tell(notice)

    @property
    def received(self) -> Counter[str]:
        return Counter(got.headers["webhook-id"] for got in self.receiver.received)


@pytest.fixture
async def post(state_url: str, tmp_path: Path) -> AsyncIterator[Post]:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(HttpReceiver())
        database = await Database.open(state_url)
        stack.push_async_callback(database.aclose)
        outbox, store = SqlOutbox(database), SqlChannels(database)
        ids = iter(range(1_000))
        notices = Notices(store, SqlTaskStore(database), outbox, new_ident=lambda: f"m{next(ids)}")
        post = Post(state_url, tmp_path / "keys", outbox, notices, receiver)

        async def resolve(_: str) -> list[str]:
            return []

        channels = Channels(
            store,
            outbox,
            KeyFile(post.keys),
            {},
            Desk("", clock=utc_now, new_ident=lambda: "x"),
            Journal(MemoryAudit(), utc_now),
            clock=utc_now,
            resolve=resolve,
        )
        await channels.put(
            ADMIN,
            {"kind": "webhook", "name": "own", "url": receiver.url, "secret": "0123456789abcdef"},
        )
        yield post


async def test_two_servers_send_each_message_once(post: Post) -> None:
    await post.tell(40)
    post.ahead = timedelta(seconds=6)
    async with AsyncExitStack() as stack:
        couriers = [await open_courier(post.url, post.keys, stack, post.clock) for _ in range(2)]

        async def empty(courier: Courier) -> None:
            while await courier.tick():
                pass

        await asyncio.gather(*(empty(courier) for courier in couriers for _ in "ab"))
    assert sorted(post.received.values()) == [1] * 40
    assert {message.state for message in await post.outbox.messages()} == {MessageState.SENT}


async def test_what_a_killed_server_was_sending_is_sent_again_with_the_same_id(post: Post) -> None:
    post.receiver.answers.append(Answer(hold=True))
    await post.tell(1)
    command = [sys.executable, "-m", "tests.integration.courier_process", post.url, str(post.keys)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await post.receiver.count(1)
    finally:
        process.kill()
        await process.wait()
    async with AsyncExitStack() as stack:
        survivor = await open_courier(post.url, post.keys, stack, post.clock)
        assert await survivor.tick() == 0
        post.ahead = timedelta(minutes=3)
        assert await survivor.tick() == 1
        assert await survivor.tick() == 0
    assert post.received == {"m0": 2}
    [message] = await post.outbox.messages()
    assert (message.state, message.attempts) == (MessageState.SENT, 2)
    first, second = post.receiver.received
    assert json.loads(first.body)["data"]["id"] == json.loads(second.body)["data"]["id"] == "m0"
    # Each attempt is signed anew, so that it stands within the receiver's replay window.
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]


async def test_a_receiver_that_comes_back_has_everything_in_few_messages(post: Post) -> None:
    await post.tell(3)
    post.receiver.usual = Answer(status=500, body="down")
    post.ahead = timedelta(seconds=6)
    async with AsyncExitStack() as stack:
        courier = await open_courier(post.url, post.keys, stack, post.clock)
        assert await courier.tick() == 3
        shown = await post.outbox.messages(channel="own")
        assert {message.error for message in shown} == {"127.0.0.1 answered 500: down"}
        await post.receiver.stop()
        post.ahead += timedelta(minutes=1)
        assert await courier.tick() == 3
        await post.receiver.start()
        post.receiver.usual = Answer()
        post.ahead += timedelta(minutes=2)
        assert await courier.tick() == 3
    assert post.received == {"m0": 2, "m1": 2, "m2": 2}
    assert {message.attempts for message in await post.outbox.messages()} == {3}
