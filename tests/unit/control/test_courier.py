import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.control.hub_desk import ADMIN
from tests.unit.control.notice_desk import NoticeDesk
from transferhub.control.courier import MOST_ATTEMPTS, pause
from transferhub.errors import SendError, StateError
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.notice import MessageState, NoticeKind
from transferhub.model.transfer import RunId

REFUSED = SendError("refused")


@pytest.fixture
async def desk(tmp_path: Path) -> NoticeDesk:
    desk = NoticeDesk(tmp_path)
    await desk.put()
    return desk


async def test_a_notice_is_sent_once(desk: NoticeDesk) -> None:
    await desk.tell("1", task="t", task_name="Photos")
    [letter] = await desk.deliver()
    assert letter.title == "Photos: the run has failed"
    assert len(await desk.deliver(9_999)) == 1
    [message] = await desk.outbox.messages()
    assert (message.state, message.ident) == (MessageState.SENT, letter.ident)


async def test_a_failed_attempt_is_tried_again_with_growing_pauses_and_one_id(
    desk: NoticeDesk,
) -> None:
    desk.receiver.faults = [REFUSED, TimeoutError(), ValueError("a bug")]
    await desk.tell("1", task="t")
    assert await desk.deliver(5) == []
    assert (await desk.outbox.messages())[0].error == "refused"
    assert await desk.deliver(9) == []
    assert len(desk.receiver.faults) == 2
    assert await desk.deliver(1) == []
    assert "within 45 seconds" in (await desk.outbox.messages())[0].error
    assert await desk.deliver(30) == []
    assert (await desk.outbox.messages())[0].error == "A fault of the hub; its log says more."
    [letter] = await desk.deliver(90)
    [message] = await desk.outbox.messages()
    assert (message.attempts, message.error, message.ident) == (4, "", letter.ident)


async def test_it_is_given_up_after_a_bound_and_shown(desk: NoticeDesk) -> None:
    desk.receiver.faults = [REFUSED] * (MOST_ATTEMPTS + 1)
    await desk.tell("1", task="t")
    for _ in range(MOST_ATTEMPTS + 5):
        await desk.deliver(3_601 * 1.25)
    [view] = await desk.channels.list(ADMIN)
    assert view.last is not None
    assert (view.last.state, view.last.error) == (MessageState.GIVEN_UP, "refused")
    assert view.last.attempts == MOST_ATTEMPTS
    assert len(desk.receiver.faults) == 1
    [shown] = await desk.channels.messages(ADMIN, channel="ops")
    assert shown == view.last


def test_pauses_grow_to_an_hour_and_are_spread() -> None:
    seconds = [pause(n, 0.5).total_seconds() for n in range(1, MOST_ATTEMPTS)]
    assert seconds[:4] == [10, 30, 90, 270]
    assert seconds[-1] == 3_600
    assert (pause(1, 0), pause(1, 1)) == (timedelta(seconds=7.5), timedelta(seconds=12.5))
    assert sum((pause(n, 0) for n in range(1, MOST_ATTEMPTS)), timedelta()) > timedelta(hours=10)


async def test_a_channel_that_is_switched_off_gets_nothing(desk: NoticeDesk) -> None:
    await desk.tell("1", task="t")
    await desk.put(enabled=False)
    await desk.tell("2", task="u")
    assert await desk.deliver() == []
    [message] = await desk.outbox.messages()
    assert message.error == "The channel was switched off."


async def test_a_channel_whose_key_is_missing_is_tried_again(
    desk: NoticeDesk, tmp_path: Path
) -> None:
    key = tmp_path / "keys"
    kept = key.read_bytes()
    key.unlink()
    await desk.tell("1", task="t")
    assert await desk.deliver() == []
    assert "key" in (await desk.outbox.messages())[0].error
    key.write_bytes(kept)
    key.chmod(0o600)
    assert len(await desk.deliver(10)) == 1


async def test_one_channel_that_fails_does_not_hold_up_another(desk: NoticeDesk) -> None:
    desk.receiver.faults = [REFUSED]
    await desk.put(name="zzz")
    await desk.tell("1", task="t")
    assert len(await desk.deliver()) == 1


async def test_a_courier_that_died_leaves_its_message_to_another(desk: NoticeDesk) -> None:
    await desk.tell("1", task="t")
    desk.receiver.faults = [asyncio.CancelledError()]
    assert await desk.deliver() == []
    desk.courier = desk.new_courier()
    assert await desk.deliver(119) == []
    assert len(await desk.deliver(1)) == 1
    assert (await desk.outbox.messages())[0].attempts == 2


async def test_it_works_until_it_is_stopped_whatever_fails(
    desk: NoticeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = desk.outbox.claim, [StateError("away"), ValueError("a bug")]

    async def claim_badly(duration: timedelta, *, limit: int = 10) -> object:
        if failures:
            raise failures.pop()
        return await real(duration, limit=limit)

    monkeypatch.setattr(desk.outbox, "claim", claim_badly)
    await desk.tell("1", task="t")
    desk.now += timedelta(seconds=5)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.courier.run(stop))
        await desk.receiver.came.wait()
        stop.set()
    assert (await desk.outbox.messages())[0].state is MessageState.SENT


async def test_old_messages_are_forgotten(
    desk: NoticeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, real = asyncio.Event(), desk.outbox.purge

    async def purge(before: datetime, *, limit: int = 1_000) -> int:
        stop.set()
        return await real(before, limit=limit)

    monkeypatch.setattr(desk.outbox, "purge", purge)
    await desk.tell("1", task="t")
    await desk.deliver()
    desk.now += timedelta(days=31)
    await desk.courier.run(stop)
    assert await desk.outbox.messages() == []


async def test_only_who_wants_to_hear_is_told(desk: NoticeDesk) -> None:
    task = await desk.task(tags=["night"])
    await desk.put(name="all", events=[*NoticeKind])
    await desk.put(name="tagged", tags=["night", "x"])
    await desk.put(name="named", tasks=["other"], tags=["y"])
    await desk.put(name="dead", events=["dead_letters"])
    await desk.tell("1", NoticeKind.RUN_FINISHED, task=task.ident)
    assert await hearers(desk) == {"all"}
    await desk.tell("2", NoticeKind.COMPLETED_WITH_FAILURES, task=task.ident)
    assert await hearers(desk) == {"all", "tagged", "dead", "ops"}
    await desk.tell("3", NoticeKind.RUN_FAILED, task="other")
    assert await hearers(desk) == {"all", "named", "ops"}
    await desk.tell("4", NoticeKind.GUARD_TRIPPED, task="third")
    assert await hearers(desk) == {"all", "ops"}
    lost = Member(
        ident="host-1",
        host="host",
        pid=1,
        version="1",
        kind=MemberKind.WORKER,
        started_at=desk.now,
        seen_at=desk.now,
        load=Load(runs=(RunId("r"),)),
    )
    await desk.notices.lost(lost)
    await desk.notices.lost(lost)
    assert await hearers(desk) == {"all", "ops"}
    assert await hearers(desk) == set()


async def hearers(desk: NoticeDesk) -> set[str]:
    """Who was told since the last time."""
    desk.now += timedelta(seconds=5)
    claimed = await desk.outbox.claim(timedelta(days=9), limit=99)
    assert len({at.channel for at in claimed}) == len(claimed)
    return {at.channel for at in claimed}
