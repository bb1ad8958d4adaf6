"""Workers that fall silent, and starts that meet another one at work."""

import os
import signal
import time

import pytest

from tests.acceptance.aws import IN_EACH_STATE
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until, workers_of
from tests.conftest import ProxyFactory
from tests.servers.rules import Hold, Latency

FAILED = 3
SMALL = {f"small/{n:03d}": content_of(str(n), 400 + n) for n in range(60)}
LARGE = content_of("large", 22 * MIB)
LEASE_S = 2.0


@IN_EACH_STATE
def test_a_worker_that_sleeps_through_its_lease_changes_nothing_when_it_wakes(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    proxy.add(Latency(0.3), method="PUT")
    dth = dth.between(source.endpoint, seen).having(DTH_LEASE=f"{LEASE_S:g}s")
    words = ("transfer", source, destination, "--json", "--processes", 2, "--concurrency", 16)
    with dth.start(*words) as running:
        wait_until(lambda: proxy.count("UploadPart") >= 2, "parts are under way")
        (worker,) = workers_of(running)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(2 * LEASE_S)  # real: leases are kept on the database's clock
        os.kill(worker, signal.SIGCONT)
        ended = running.wait()
    assert ended.code == 0, str(ended)
    assert_moved(ended.json, source, destination)


@pytest.mark.parametrize("verb", ["transfer", "resume"])
def test_a_second_start_leaves_the_first_alone(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory, verb: str
) -> None:
    source.fill(SMALL)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, operation="PutObject", skip=10)
    dth = dth.between(source.endpoint, seen)
    words = ("transfer", source, destination, "--json")
    with dth.start(*words) as running:
        hold.wait()
        second = dth(*(words if verb == "transfer" else (verb, "last")))
        hold.release()
        ended = running.wait()
    assert second.code == FAILED, str(second)
    assert f"is being worked on by process {running.process.pid}; wait for it" in second.err
    assert ended.code == 0, str(ended)
    assert_moved(ended.json, source, destination)
    assert len(dth.well("runs", "--json").json) == 1
