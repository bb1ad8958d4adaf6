"""Runs of a hub, carried by the real `dth up` and `dth worker`."""

import asyncio
import signal
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.fleet import SLOW, fill, kill_carriages, on_machine, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until
from transferhub.model.clock import utc_now
from transferhub.model.run import Run, RunState, Trigger
from transferhub.model.transfer import Action, Totals, TransferState

DAILY = {"cron": "0 0 1 1 *"}
"""So seldom that no test meets it."""
SECOND = timedelta(seconds=1)


def closed_now() -> dict[str, str]:
    """A window that opens in some hours."""
    now = utc_now()
    opens, closes = now + timedelta(hours=6), now + timedelta(hours=7)
    return {"from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}", "kind": "run"}


def under_lease(totals: Totals) -> int:
    return totals.tally(Action.COPY, TransferState.LEASED).count


def in_parts(totals: Totals) -> int:
    return totals.tally(Action.COPY, TransferState.IN_PARTS).count


async def both_work(desk: Desk, run: Run) -> None:
    """Returns when two members of the fleet work on the run."""
    deadline = time.monotonic() + 60
    while True:
        members = await desk.state.fleet.members()
        if sum(run.ident in member.load.runs for member in members) > 1:
            return
        assert time.monotonic() < deadline, f"nobody joined: {members}"
        await asyncio.sleep(0.1)


async def test_a_hub_carries_what_is_queued(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    run = await desk.start(await desk.task(source, destination))
    with ExitStack() as scope:
        hub = up(pair, scope)
        ended = await desk.ended(run)
        hub.process.terminate()
        assert hub.wait().code == 0
    assert_moved(ended.summary, source, destination)
    assert ended.resumed == 0


async def test_a_stopped_run_goes_on_when_it_is_retried(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    with ExitStack() as scope:
        up(pair, scope, "--concurrency", 4)
        await desk.under_way(run)
        await desk.services.orders.stop(ADMIN, run.ident)
        stopped = await desk.ended(run)
        assert stopped.state is RunState.CANCELLED
        assert stopped.summary["waiting"]
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        await desk.services.orders.retry(ADMIN, run.ident)
        ended = await desk.ended(run)
    assert_moved(ended.summary, source, destination)


async def test_an_abandoned_run_ends_without_what_is_in_flight(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    """At this bandwidth a part takes half a minute, and a run that is stopped waits 10 s for it."""
    source.put_multipart("large", content_of("large", 32 * MIB), part_bytes=16 * MIB)
    task = await desk.task(source, destination, limits={"bandwidth": "500kB/s"})
    run = await desk.start(task)
    with ExitStack() as scope:
        up(pair, scope)
        await desk.until(run, "parts", lambda _, t: under_lease(t) + in_parts(t) > 0)
        asked = time.monotonic()
        await desk.services.orders.stop(ADMIN, run.ident, abandon=True)
        stopped = await desk.ended(run)
        assert (stopped.state, destination.keys()) == (RunState.CANCELLED, [])
        assert time.monotonic() - asked < 10
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        await desk.services.orders.retry(ADMIN, run.ident)
        ended = await desk.ended(run)
    assert_moved(ended.summary, source, destination)


async def test_an_age_is_counted_from_the_start_of_each_run(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    task = await desk.task(source, destination, newer_than="1s")
    source.put("old")
    with ExitStack() as scope:
        up(pair, scope)
        wait_until(lambda: utc_now() - source.head("old")["LastModified"] > SECOND, "its age")
        ended = await desk.ended(await desk.start(task))
    assert ended.summary["filtered"] == 1
    assert destination.keys() == []


async def test_limits_change_while_a_run_goes_on(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    """At 100 kB a second this took minutes."""
    fill(source, count=60, size=400_000)
    task = await desk.task(source, destination, limits={"bandwidth": "100kB/s"})
    run = await desk.start(task)
    with ExitStack() as scope:
        up(pair, scope, "--concurrency", 2)
        await desk.under_way(run)
        await desk.services.tasks.set_limits(ADMIN, task.ident, {"bandwidth": "100MB/s"})
        ended = await desk.ended(run, within_s=40)
    assert_moved(ended.summary, source, destination)


async def test_a_hub_that_was_killed_goes_on_where_it_was(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    source.put_multipart("large", content_of("large", 24 * MIB))
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    with ExitStack() as scope:
        hub = up(pair, scope, "--concurrency", 4)
        await desk.under_way(run, done=20)
        hub.kill_all()
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        again = up(pair, scope)
        ended = await desk.ended(run)
        assert f"picked up run {run.ident}" in again.out
    assert_moved(ended.summary, source, destination)
    assert ended.resumed == 1


async def test_a_hub_that_is_stopped_gives_back_what_is_under_way(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    with ExitStack() as scope:
        hub = up(pair, scope, "--concurrency", 4)
        await desk.under_way(run)
        hub.process.send_signal(signal.SIGTERM)
        assert hub.wait().code == 0
        assert (await desk.run(run)).state is RunState.QUEUED
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        up(pair, scope)
        ended = await desk.ended(run)
    assert_moved(ended.summary, source, destination)


async def test_a_run_waits_while_its_window_is_closed(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW}, schedule=DAILY)
    run = await desk.start(task, Trigger.SCHEDULE)
    with ExitStack() as scope:
        up(pair, scope, "--concurrency", 4)
        await desk.under_way(run)
        await desk.schedule(task, {**DAILY, "windows": [closed_now()]})
        await desk.until(run, "a pause", lambda r, t: r.resumed == 0 and not under_lease(t))
        waiting = await desk.totals(run)
        assert waiting.open
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        await desk.schedule(task, DAILY)
        ended = await desk.ended(run)
    assert_moved(ended.summary, source, destination)
    assert ended.resumed == 1


async def test_a_run_that_waits_for_its_window_can_be_stopped(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source, count=3)
    schedule = {**DAILY, "windows": [closed_now()]}
    task = await desk.task(source, destination, schedule=schedule)
    run = await desk.start(task, Trigger.SCHEDULE)
    with ExitStack() as scope:
        up(pair, scope)
        await desk.until(run, "its keeper", lambda r, _: r.state is RunState.RUNNING)
        await desk.services.orders.stop(ADMIN, run.ident)
        assert (await desk.ended(run)).state is RunState.CANCELLED
    assert destination.keys() == []


async def test_a_second_hub_of_the_same_folder_is_refused(pair: Dth) -> None:
    with ExitStack() as scope:
        first = up(pair, scope)
        second = pair.well("up", "--port", 0, code=3)
    assert f"is being worked on by process {first.process.pid}" in second.err


async def test_a_run_that_cannot_begin_fails_with_its_reason(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    source.put("a", b"a")
    gone = Place(endpoint=destination.endpoint, bucket="not-there", boto=destination.boto)
    run = await desk.start(await desk.task(source, gone))
    with ExitStack() as scope:
        up(pair, scope)
        ended = await desk.ended(run)
    assert (ended.state, ended.error_code) == (RunState.FAILED, "no_bucket")
    assert "not-there" in ended.error


async def test_a_dead_process_of_a_run_is_replaced(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    with ExitStack() as scope:
        hub = up(pair, scope, "--concurrency", 4)
        await desk.under_way(run, done=10)
        kill_carriages(hub)
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        ended = await desk.ended(run, within_s=90)
    assert_moved(ended.summary, source, destination)
    assert ended.resumed == 1


@pytest.mark.postgresql
async def test_another_machine_takes_over_from_one_that_died(
    pair: Dth, source: Place, destination: Place, shared_desk: Desk, postgres_url: str
) -> None:
    fill(source)
    desk = shared_desk
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    one, other = (on_machine(pair, name, postgres_url) for name in ("one", "other"))
    with ExitStack() as scope:
        first = scope.enter_context(one.start("worker", "--concurrency", 4))
        await desk.under_way(run, done=10)
        scope.enter_context(other.start("worker"))
        first.kill_all()
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        ended = await desk.ended(run, within_s=90)
    assert_moved(ended.summary, source, destination)


@pytest.mark.postgresql
async def test_machines_share_a_large_run(
    pair: Dth, source: Place, destination: Place, shared_desk: Desk, postgres_url: str
) -> None:
    fill(source, count=2_000, size=1_000)
    desk = shared_desk
    task = await desk.task(source, destination, limits={"requests": "200/s"})
    run = await desk.start(task)
    one, other = (on_machine(pair, name, postgres_url) for name in ("one", "other"))
    with ExitStack() as scope:
        workers = [
            scope.enter_context(at.start("worker", "--name", at.folder.name)) for at in (one, other)
        ]
        await both_work(desk, run)
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        ended = await desk.ended(run, within_s=90)
        for worker in workers:
            worker.process.terminate()
        assert [worker.wait().code for worker in workers] == [0, 0]
    assert_moved(ended.summary, source, destination)
    assert await desk.state.fleet.members() == []
