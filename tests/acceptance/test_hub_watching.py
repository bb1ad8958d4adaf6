"""What people can see of the runs of a real `dth up`: samples, logs and metrics."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import SLOW, fill, kill_carriages, on_machine, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import Place
from tests.unit.metrics.test_prometheus import Told, told
from transferhub.model.clock import utc_now
from transferhub.model.history import LogLine, OfRun, OfTask
from transferhub.model.people import Role
from transferhub.model.run import Run

DAY = timedelta(days=1)


async def lines_of(desk: Desk, run: Run, **how: Any) -> Sequence[LogLine]:
    return (await desk.services.history.logs(ADMIN, OfRun(run.ident), **how)).lines


async def told_of(desk: Desk, run: Run, action: str) -> None:
    """Returns when the log of the run has such a line."""
    deadline = time.monotonic() + 20
    while action not in [line.action for line in await lines_of(desk, run)]:
        assert time.monotonic() < deadline, f"no {action}"
        await asyncio.sleep(0.1)


async def metrics(hub: Running, desk: Desk) -> Told:
    """As Prometheus reads them, with a token of a viewer."""
    made = await desk.services.accounts.create_token(
        ADMIN, "prometheus", role=Role.VIEWER, duration=DAY
    )
    found = re.search(r"http://(\S+?)/", hub.out)
    assert found
    connection = HTTPConnection(found[1], timeout=10)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {made.secret}"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text
    return told(text)


async def test_what_a_run_did_can_be_seen_afterwards(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    with ExitStack() as scope:
        hub = up(pair, scope)
        task = await desk.task(source, destination)
        run = await desk.start(task)
        ended = await desk.ended(run)
        await told_of(desk, run, "run_ended")
        found = await metrics(hub, desk)
        hub.process.terminate()
        assert hub.wait().code == 0
    assert_moved(ended.summary, source, destination)
    points = await desk.services.history.series(
        ADMIN, OfTask(task.ident), utc_now() - DAY, utc_now(), points=24
    )
    assert points[-1].last.objects == 300
    assert points[-1].last.bytes == ended.summary["bytes"]
    assert points[-1].last.open == 0
    actions = [line.action for line in await lines_of(desk, run)]
    assert actions[0] == "run_carried"
    assert [at for at in actions if at in ("run_begun", "run_ended")] == ["run_begun", "run_ended"]
    [end] = await lines_of(desk, run, words="300 COPIED")
    assert (end.action, end.task, end.run) == ("run_ended", task.ident, run.ident)
    assert end.message.startswith("succeeded: 300 copied, 0 failed")
    assert found["dth_copied_objects_total", ()] == 300
    assert found["dth_copied_bytes_total", ()] == ended.summary["bytes"]
    assert found["dth_runs_ended_total", (("state", "succeeded"),)] == 1
    assert found["dth_members", (("kind", "server"),)] == 1
    assert found["dth_scheduler_acting", ()] == 1


async def test_a_run_under_way_can_be_watched(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    with ExitStack() as scope:
        hub = up(pair, scope, "--concurrency", 4)
        run = await desk.start(task)
        await desk.under_way(run, done=5)
        found = await metrics(hub, desk)
    assert found["dth_runs", (("state", "running"),)] == 1
    assert 0 < found["dth_open_transfers", ()] < 300
    assert found["dth_task_open_transfers", (("task", task.ident),)] > 0


async def test_processes_of_a_hub_log_json_lines(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source, count=20)
    run = await desk.start(await desk.task(source, destination))
    with ExitStack() as scope:
        hub = up(pair.having(DTH_LOG="info"), scope, "--log-format", "json")
        await desk.ended(run)
        hub.process.terminate()
        ended = hub.wait()
    lines = [json.loads(line) for line in ended.err.splitlines()]
    of_run = {line["action"]: line for line in lines if line.get("run") == run.ident}
    assert {"run_carried", "run_begun", "run_ended"} <= of_run.keys()
    assert of_run["run_ended"]["worker"].startswith(of_run["run_begun"]["worker"])
    assert {line["level"] for line in lines} <= {"info", "warning"}


async def test_a_run_tells_of_the_death_of_its_process(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    fill(source)
    task = await desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await desk.start(task)
    with ExitStack() as scope:
        hub = up(pair, scope, "--concurrency", 4)
        await desk.under_way(run, done=5)
        await told_of(desk, run, "run_begun")
        kill_carriages(hub)
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        await desk.ended(run)
        await told_of(desk, run, "run_ended")
        hub.process.terminate()
        assert hub.wait().code == 0
    actions = [line.action for line in await lines_of(desk, run)]
    assert actions.count("run_begun") == 2
    assert actions.index("carriage_died") < actions.index("run_ended")


@pytest.mark.postgresql
async def test_what_a_worker_does_is_seen_at_the_server(
    pair: Dth, source: Place, destination: Place, postgres_url: str, shared_desk: Desk
) -> None:
    fill(source)
    desk = shared_desk
    with ExitStack() as scope:
        server = up(on_machine(pair, "server", postgres_url), scope, "--runs", 0)
        machine = on_machine(pair, "worker", postgres_url)
        scope.enter_context(machine.start("worker", "--name", "carrier"))
        run = await desk.start(await desk.task(source, destination))
        ended = await desk.ended(run)
        await told_of(desk, run, "run_ended")
        found = await metrics(server, desk)
    assert_moved(ended.summary, source, destination)
    lines = await lines_of(desk, run)
    assert {line.worker.partition("-")[0] for line in lines} == {"carrier"}
    assert {"run_carried", "run_begun", "run_ended"} <= {line.action for line in lines}
    assert found["dth_members", (("kind", "worker"),)] == 1
    assert found["dth_copied_objects_total", ()] == 300


async def test_a_run_that_cannot_begin_says_why_in_its_log(
    pair: Dth, source: Place, destination: Place, desk: Desk
) -> None:
    missing = Place(endpoint=source.endpoint, bucket=f"{source.bucket}-missing", boto=source.boto)
    run = await desk.start(await desk.task(missing, destination))
    with ExitStack() as scope:
        hub = up(pair, scope)
        ended = await desk.ended(run)
        hub.process.terminate()
        assert hub.wait().code == 0
    assert ended.error_code == "no_bucket"
    [line] = [line for line in await lines_of(desk, run) if line.action == "run_failed"]
    assert line.message == ended.error
