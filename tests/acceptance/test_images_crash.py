"""Replication of images that is killed: the same command goes on where it was."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import pytest

from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import on_machine, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.image_sets import Held, assert_holds, every_kind, heavy
from tests.acceptance.image_trial import Trial, private_files, tried
from tests.acceptance.images import Images
from tests.acceptance.processes import wait_until
from tests.servers.faults import FaultProxy
from tests.servers.rules import Hold, Latency
from transferhub.control.tasks import TaskDraft
from transferhub.model.run import RunState

pytestmark = pytest.mark.registries

SEED = 20261130
KILLS = 7
INTERRUPTED = 130
_AT_ONCE = 10
_TAG = re.compile(r"/manifests/(?!sha256:)")


@pytest.fixture
def trial(images: Images) -> Iterator[Trial]:
    with tried(images) as trial:
        yield trial


def slow(trial: Trial) -> None:
    """So that a run takes some seconds, and is somewhere in between when it is killed."""
    for proxy in (trial.before, trial.after):
        proxy.add(Latency(0.04))


def programs_of(dth: Dth) -> list[int]:
    """Pids of the programs of skopeo that work for this state, whoever their parent is."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"copy" in words and any(bytes(dth.state) in word for word in words):
                found.append(int(folder.name))
    return found


def put_tags(proxy: FaultProxy) -> Counter[str]:
    """How often each tag was put at the destination."""
    return Counter(
        one.request.path
        for one in proxy.seen
        if one.method == "PUT" and _TAG.search(one.request.path) and one.status == 201
    )


def uploads(proxy: FaultProxy) -> Counter[str]:
    """How often each blob was uploaded to its end."""
    return Counter(
        one.request.query.get("digest", "")
        for one in proxy.seen
        if one.method == "PUT" and "/blobs/uploads/" in one.request.path and one.status == 201
    )


def again(counted: Counter[str]) -> int:
    return sum(times - 1 for times in counted.values())


def assert_nothing_left(dth: Dth) -> None:
    wait_until(lambda: programs_of(dth) == [], "the end of every skopeo")
    assert private_files(dth.state) == []


@pytest.mark.timeout(240)
def test_a_run_that_is_killed_again_and_again_copies_everything_once(trial: Trial) -> None:
    luck = random.Random(SEED)
    held = every_kind()
    trial.push(held)
    slow(trial)
    moments = []
    for _ in range(KILLS):
        with trial.start() as running:
            begun = len(trial.after.seen)
            wait_until(lambda: len(trial.after.seen) > begun, "the first request")  # noqa: B023 - waited for here
            with suppress(Exception):
                running.process.wait(luck.uniform(0.3, 2.2))
            running.kill()
        moments.append(len(put_tags(trial.after)))
        wait_until(lambda: programs_of(trial.dth) == [], "the end of every skopeo", within_s=5)

    ended = trial.run()

    trial.assert_copied(ended, held)
    assert_nothing_left(trial.dth)
    assert len({moment for moment in moments if 0 < moment < len(held)}) > 1
    # What was under way may be done again, and nothing else.
    assert again(put_tags(trial.after)) <= KILLS * _AT_ONCE
    assert again(uploads(trial.after)) <= KILLS * _AT_ONCE * 2
    quiet = len(trial.after.seen)
    assert trial.run()["same"] == ended["scanned_source"]
    assert {one.method for one in trial.after.seen[quiet:]} <= {"GET", "HEAD"}


def held_up(trial: Trial, held: list[Held]) -> tuple[Hold, list[Held]]:
    """A heavy image, the upload of which waits in the middle."""
    large = [Held(repository="large", manifest=heavy("killed"), tags=("1",)), *held]
    trial.push(large)
    hold = Hold()
    trial.after.add(hold, method="PATCH", path="/large/blobs/uploads/")
    return hold, large


def test_a_kill_leaves_no_program_and_no_login_whatever_runs_next(trial: Trial) -> None:
    hold, held = held_up(trial, [])
    with trial.start() as running:
        hold.wait()
        assert len(programs_of(trial.dth)) == 1
        running.kill()
        wait_until(lambda: programs_of(trial.dth) == [], "the end of its skopeo", within_s=5)
    assert private_files(trial.dth.state)
    # Nothing heavy is in this one.
    trial.run("--images", "large:none", code=1)
    assert private_files(trial.dth.state) == []
    hold.release()
    trial.assert_copied(trial.run(), held)
    assert_nothing_left(trial.dth)


def test_a_killed_program_is_started_again(trial: Trial) -> None:
    hold, held = held_up(trial, [])
    with trial.start() as running:
        hold.wait()
        (program,) = programs_of(trial.dth)
        os.kill(program, signal.SIGKILL)
        hold.release()
        ended = running.wait()
    assert ended.code == 0, str(ended)
    trial.assert_copied(ended.json, held)
    assert_nothing_left(trial.dth)


def test_ctrl_c_ends_the_run_and_its_programs_and_the_same_command_goes_on(trial: Trial) -> None:
    hold, held = held_up(trial, [*every_kind()[:30]])
    with trial.start() as running:
        hold.wait()
        running.interrupt()
        # Of what waits at the proxy no end is to be waited for.
        wait_until(lambda: "stopping: " in running.err, "the first answer")
        running.interrupt()
        ended = running.wait(10)
    assert ended.code == INTERRUPTED, str(ended)
    assert "Traceback" not in ended.err
    assert_nothing_left(trial.dth)
    hold.release()
    whole = trial.run()
    trial.assert_copied(whole, held)
    assert whole["run"] == ended.json["run"]


# A hub


async def test_workers_of_a_hub_die_and_no_image_is_lost(
    trial: Trial, postgres_url: str, tmp_path: Path
) -> None:
    luck = random.Random(SEED)
    held = every_kind()
    trial.push(held)
    slow(trial)
    source, destination = trial.places
    spec = {
        "source": {"url": source, "plain_http": True},
        "destination": {"url": destination, "plain_http": True},
        "all": True,
    }
    async with AsyncExitStack() as stack:
        desk = await Desk.open(tmp_path / "desk", postgres_url, stack)
        draft = TaskDraft(name="images", kind="images", spec=spec, schedule={})
        task = await desk.services.tasks.create(ADMIN, draft)
        with ExitStack() as scope:
            await asyncio.to_thread(
                up, on_machine(trial.dth, "hub", postgres_url), scope, "--runs", 0
            )
            machines = [on_machine(trial.dth, f"worker-{n}", postgres_url) for n in range(2)]
            workers = [start(machine, scope) for machine in machines]
            run = await desk.start(task)
            # Whichever of them carries it.
            await desk.under_way(run, done=luck.randrange(3, 40))
            for worker in workers:
                worker.kill_all()
            workers = [start(machine, scope) for machine in machines]
            ended = await desk.ended(run, within_s=90)
        assert ended.state is RunState.SUCCEEDED, ended
        assert ended.resumed > 0
        await asyncio.to_thread(assert_holds, trial.images.destination, held)
        assert (ended.summary["failed"], ended.summary["waiting"]) == (0, 0)
        assert ended.summary["done"] == ended.summary["new"]


def start(machine: Dth, scope: ExitStack) -> Running:
    return scope.enter_context(machine.start("worker", "--runs", 1, "--concurrency", 4))
