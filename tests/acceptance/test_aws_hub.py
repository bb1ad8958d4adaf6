"""A hub whose state is on AWS: its server, and workers that share nothing else with it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import SLOW, fill, on_machine, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until


@pytest.fixture
def scope() -> Iterator[ExitStack]:
    """Ends what was started."""
    with ExitStack() as scope:
        yield scope


@pytest.fixture
async def aws_desk(aws_pair: Dth, aws: Aws) -> AsyncIterator[Desk]:
    """Over the state of `aws_pair`."""
    async with AsyncExitStack() as stack:
        yield await Desk.open(aws_pair.state, "", stack, ledger=aws.url)


def work(dth: Dth, name: str, scope: ExitStack) -> Running:
    """A worker that is ready, on a machine of its own."""
    running = scope.enter_context(on_machine(dth, name).start("worker", "--name", name))
    wait_until(lambda: "takes up to" in running.out or running.process.poll() is not None, name)
    assert running.process.poll() is None, running.err
    return running


def test_commands_find_what_a_worker_did(
    aws_pair: Dth, scope: ExitStack, source: Place, destination: Place
) -> None:
    fill(source, count=120)
    source.put_multipart("large", content_of("large", 11 * MIB))
    server = up(aws_pair, scope, "--runs", 0)
    work(aws_pair, "one", scope)

    aws_pair.well("task", "create", source, destination, "--name", "moves")
    ended = aws_pair.well("task", "start", "moves", "--wait", "--json").json

    assert ended["status"] == "succeeded", ended
    (run,) = aws_pair.well("runs", "--json").json
    assert run["run"] == ended["run"]
    assert destination.contents() == source.contents()
    members = aws_pair.well("workers", "list", "--json").json
    assert {member["kind"] for member in members} == {"server", "worker"}
    lines = aws_pair.well("logs", ended["run"]).out
    assert "succeeded: 121 copied" in lines
    assert {"task.create", "run.start"} <= {
        entry["action"] for entry in aws_pair.well("audit", "--json").json
    }
    aws_pair.well("user", "create", "somebody", given="correct horse battery\n")
    users = on_machine(aws_pair, "two").well("user", "list", "--json").json
    assert [user["name"] for user in users] == ["somebody"]
    server.interrupt()
    assert server.wait(10).code == 0
    assert [*aws_pair.state.glob("*.sqlite3*")] == []


async def test_a_run_that_a_worker_gives_back_goes_on_at_another(
    aws_pair: Dth, aws_desk: Desk, scope: ExitStack, source: Place, destination: Place
) -> None:
    fill(source, count=300)
    task = await aws_desk.task(source, destination, limits={"bandwidth": SLOW})
    run = await aws_desk.start(task)
    one = work(aws_pair, "one", scope)
    await aws_desk.under_way(run, done=20)
    one.process.terminate()
    assert one.wait(20).code == 0
    work(aws_pair, "two", scope)
    await aws_desk.services.tasks.set_limits(ADMIN, task.ident, {})

    ended = await aws_desk.ended(run)

    assert ended.resumed == 1
    assert ended.summary["done"] == 300
    assert_moved(ended.summary, source, destination)
