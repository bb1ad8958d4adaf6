"""A transfer that is killed again and again, at moments nobody chose, ends as one that was not."""

import os
import random
import signal

from tests.acceptance.aws import IN_EACH_STATE
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Running
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until, workers_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy

SEED = 20261124
KILLS = 6
SMALL_COUNT, LARGE_COUNT = 3_000, 4


@IN_EACH_STATE
def test_a_transfer_survives_any_kill_as_often_as_it_comes(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    luck = random.Random(SEED)
    small = {f"{n % 11}/{n:04d}": content_of(str(n), 100 + n % 400) for n in range(SMALL_COUNT)}
    source.fill(small)
    for n in range(LARGE_COUNT):
        source.put_multipart(f"large/{n}", content_of(str(n), (11 + 5 * n) * MIB))
    proxy, seen = fault_proxy(destination.endpoint)
    dth = dth.between(source.endpoint, seen)
    words = ("transfer", source, destination, "--json", "--processes", 2, "--concurrency", 48)

    resumed = 0
    for _ in range(KILLS):
        with dth.start(*words) as running:
            kill_somehow(running, proxy, luck)
            resumed += "resuming run" in running.err
    ended = dth.well(*words)

    assert "resuming run" in ended.err
    assert resumed >= KILLS // 2
    assert ended.json["done"] == SMALL_COUNT + LARGE_COUNT
    assert_moved(ended.json, source, destination)
    (run,) = dth.well("runs", "--json").json
    assert run["resumed"] > resumed


def kill_somehow(running: Running, proxy: FaultProxy, luck: random.Random) -> None:
    """Kills all processes, or the finder alone, or a worker and later all."""
    after_requests(luck.randrange(1, 450), running, proxy)
    kind = luck.choice(["all", "finder", "worker"])
    if kind == "worker":
        for pid in workers_of(running):
            os.kill(pid, signal.SIGKILL)
        after_requests(luck.randrange(1, 150), running, proxy)
    if kind == "finder":
        running.kill()
    else:
        running.kill_all()


def after_requests(count: int, running: Running, proxy: FaultProxy) -> None:
    """Returns when the destination has been sent so many more, or the command has ended."""
    target = len(proxy.seen) + count
    wait_until(
        lambda: len(proxy.seen) >= target or running.process.poll() is not None,
        f"{count} more requests",
    )
