import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.control.notice_desk import NoticeDesk
from transferhub.errors import StateError
from transferhub.model.notice import Cause, Message, Notice, NoticeKind
from transferhub.model.run import Run, RunState


@pytest.fixture
async def desk(tmp_path: Path) -> NoticeDesk:
    desk = NoticeDesk(tmp_path)
    await desk.put(events=[*NoticeKind], window=0)
    return desk


async def told(desk: NoticeDesk) -> Sequence[Notice]:
    """All notices so far, oldest first."""
    await desk.lookout.tick()
    messages: Sequence[Message] = await desk.outbox.messages()
    return [notice for message in reversed(messages) for notice in message.notices]


@pytest.mark.parametrize(
    ("state", "code", "kind"),
    [
        (RunState.SUCCEEDED, "", NoticeKind.RUN_FINISHED),
        (RunState.FAILED, "no_bucket", NoticeKind.RUN_FAILED),
        (RunState.FAILED, "max_delete", NoticeKind.GUARD_TRIPPED),
        (RunState.COMPLETED_WITH_FAILURES, "", NoticeKind.COMPLETED_WITH_FAILURES),
    ],
)
async def test_the_end_of_a_run_is_told_once(
    desk: NoticeDesk, state: RunState, code: str, kind: NoticeKind
) -> None:
    task = await desk.task()
    run = await desk.claimed(task)
    desk.now += timedelta(seconds=9)
    ended = replace(run, state=state, ended_at=desk.now, error_code=code, error="why")
    await desk.store.update_run(replace(ended, started_at=desk.now - timedelta(seconds=7)))
    [notice] = await told(desk)
    assert (notice.kind, notice.task, notice.task_name) == (kind, task.ident, "Photos")
    assert (notice.run, notice.code, notice.detail) == (run.ident, code, "why")
    assert notice.seconds == 7
    assert await told(desk) == [notice]


async def test_the_failures_of_a_run_are_told_with_causes_and_keys(desk: NoticeDesk) -> None:
    run = await desk.claimed(await desk.task())
    await desk.dead_letters(run.ident, *"gfedcba")
    ended = replace(run, state=RunState.COMPLETED_WITH_FAILURES, ended_at=desk.now)
    await desk.store.update_run(ended)
    [notice] = await told(desk)
    assert (notice.failed, notice.causes) == (7, (Cause(code="denied", count=7),))
    assert notice.keys == ("a", "b", "c", "d", "e")


async def test_a_run_that_a_person_stopped_is_nobodys_news(desk: NoticeDesk) -> None:
    task = await desk.task()
    await desk.ended(task, RunState.CANCELLED)
    assert await told(desk) == []
    assert await desk.store.untold_runs() == []


async def test_a_run_that_ends_again_is_told_again(desk: NoticeDesk) -> None:
    task = await desk.task()
    run = await desk.ended(task, RunState.FAILED)
    assert len(await told(desk)) == 1
    await again(desk, run)
    assert [notice.kind for notice in await told(desk)] == [
        NoticeKind.RUN_FAILED,
        NoticeKind.RUN_FINISHED,
    ]


async def again(desk: NoticeDesk, run: Run) -> None:
    queued = await desk.store.update_run(replace(run, state=RunState.QUEUED, ended_at=None))
    await told(desk)
    desk.now += timedelta(seconds=1)
    ended = replace(queued, state=RunState.SUCCEEDED, ended_at=desk.now)
    await desk.store.update_run(ended)


async def test_dead_letters_are_told_while_the_run_goes_on_at_each_power_of_ten(
    desk: NoticeDesk,
) -> None:
    run = await desk.claimed(await desk.task())
    assert await told(desk) == []
    counts = []
    for number in range(12):
        await desk.dead_letters(run.ident, f"key {number:02}")
        counts = [notice.failed for notice in await told(desk)]
    assert counts == [1, 10]
    assert {notice.kind for notice in await told(desk)} == {NoticeKind.DEAD_LETTERS}


async def test_a_run_of_dth_transfer_is_not_the_hubs(desk: NoticeDesk) -> None:
    run = await desk.claimed(await desk.task())
    await desk.store.release_run(run)
    queued = await desk.store.get_run(run.ident)
    assert queued is not None
    await desk.store.update_run(replace(queued, state=RunState.RUNNING))
    await desk.dead_letters(run.ident, "a")
    assert await told(desk) == []


async def test_events_that_wait_too_long_are_told_once_an_hour(desk: NoticeDesk) -> None:
    task = await desk.task()
    desk.now = desk.now.replace(minute=0)
    desk.lags = {task.ident: desk.now}
    desk.now += timedelta(minutes=10)
    assert await told(desk) == []
    desk.now += timedelta(minutes=1)
    for _ in range(2):
        [notice] = await told(desk)
    assert (notice.kind, notice.task_name, notice.lag) == (NoticeKind.EVENT_LAG, "Photos", 660)
    desk.now += timedelta(hours=1)
    assert [notice.lag for notice in await told(desk)] == [660, 4_260]


async def test_a_lookout_that_dies_between_telling_and_noting_tells_nothing_twice(
    desk: NoticeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.ended(await desk.task())

    async def die(_: Run) -> None:
        raise StateError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "note_told", die)
        with pytest.raises(StateError):
            await desk.lookout.tick()
    assert len(await told(desk)) == 1


async def test_one_of_many_looks_and_another_one_when_it_dies(desk: NoticeDesk) -> None:
    other = desk.new_lookout("two")
    assert await desk.lookout.tick()
    assert not await other.tick()
    desk.now += timedelta(seconds=21)
    assert await other.tick()
    assert not await desk.lookout.tick()


async def test_it_looks_until_it_is_stopped_whatever_fails_and_gives_the_seat_up(
    desk: NoticeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = desk.store.untold_runs, [StateError("away"), ValueError("a bug")]

    stop = asyncio.Event()

    async def fail(*, limit: int = 100) -> Sequence[Run]:
        if failures:
            raise failures.pop()
        stop.set()
        return await real(limit=limit)

    monkeypatch.setattr(desk.store, "untold_runs", fail)
    await desk.ended(await desk.task())
    await desk.lookout.run(stop)
    assert len(await desk.outbox.messages()) == 1
    assert await desk.new_lookout("two").tick()


async def test_a_task_that_was_deleted_is_told_of_by_its_id(desk: NoticeDesk) -> None:
    run = await desk.ended(await desk.task())
    await desk.store.delete_task(run.task, with_runs=False)
    [notice] = await told(desk)
    assert notice.task_name == run.task
    assert notice.task == run.task
