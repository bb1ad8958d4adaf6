"""`kill -9` at any moment, then the same command: nothing is lost, torn or left behind."""

import os
import signal
from dataclasses import dataclass

import pytest

from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import is_at_work, wait_until, workers_of
from tests.conftest import ProxyFactory
from tests.servers.rules import Hold

SMALL = {f"small/{n:03d}": content_of(str(n), 400 + n) for n in range(40)}
LARGE = content_of("large", 12 * MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A request that is under way when the command is killed.

    Attributes:
        side: which server it is for.
        skip: so many of its kind pass before.
        response: the server has carried it out, and its answer is under way.
    """

    side: str
    operation: str
    skip: int = 0
    response: bool = False

    def __str__(self) -> str:
        return f"{self.operation}-{self.skip}-{'answered' if self.response else 'asked'}"


OF_OBJECTS = [
    Moment(side="source", operation="ListObjectsV2", skip=1),
    Moment(side="source", operation="GetObject", skip=20),
    Moment(side="destination", operation="PutObject", skip=20),
    Moment(side="destination", operation="PutObject", skip=20, response=True),
]
OF_UPLOADS = [
    Moment(side="destination", operation=operation, skip=skip, response=response)
    for operation, skip in (
        ("CreateMultipartUpload", 0),
        ("UploadPart", 1),
        ("CompleteMultipartUpload", 0),
    )
    for response in (False, True)
]


def killed_at(
    moment: Moment, dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> Dth:
    """Kills a transfer at this moment; returns the `dth` to go on with."""
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    proxy = at_source if moment.side == "source" else at_destination
    hold = Hold(response=moment.response)
    proxy.add(hold, operation=moment.operation, skip=moment.skip)
    dth = dth.between(source_seen, destination_seen)
    with dth.start("transfer", source, destination) as running:
        hold.wait()
        running.kill_all()
    hold.release()
    proxy.clear()
    return dth


@pytest.mark.parametrize("moment", [*OF_OBJECTS, *OF_UPLOADS], ids=str)
def test_the_same_command_ends_what_a_kill_broke_off(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory, moment: Moment
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    dth = killed_at(moment, dth, source, destination, fault_proxy)

    assert_moved(dth.transfer(source, destination), source, destination)


# Not CreateMultipartUpload: an upload that nobody got the id of is known by its time, and moto says
# of every upload that it began in 2010.
@pytest.mark.parametrize("moment", OF_UPLOADS[3:], ids=str)
def test_the_same_holds_for_a_server_that_forgets_completed_uploads(
    dth: Dth,
    moto_source: Place,
    moto_destination: Place,
    fault_proxy: ProxyFactory,
    moment: Moment,
) -> None:
    moto_source.put_multipart("large", LARGE)
    dth = killed_at(moment, dth, moto_source, moto_destination, fault_proxy)

    ended = dth.transfer(moto_source, moto_destination)

    assert_moved(ended, moto_source, moto_destination)


def test_the_next_start_says_what_it_resumes_and_sends_no_part_again(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, operation="CompleteMultipartUpload")
    dth = dth.between(source.endpoint, seen)
    with dth.start("transfer", source, destination) as running:
        hold.wait()
        running.kill_all()
    hold.release()
    sent = proxy.count("UploadPart")
    proxy.clear()

    ended = dth.well("transfer", source, destination)

    assert sent == 3
    assert proxy.count("UploadPart") == 0
    (line,) = [line for line in ended.err.splitlines() if line.startswith("resuming run ")]
    assert line.endswith(
        ": 1 of 1 key ranges are compared, 0 objects are copied, 1 wait, of which 1 were under way"
        " when it stopped"
    )
    assert destination.get("large") == LARGE
    assert destination.uploads() == []


# Some of the processes


def test_workers_end_when_the_finder_is_killed(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, operation="PutObject", skip=10)
    dth = dth.between(source.endpoint, seen)
    with dth.start("transfer", source, destination, "--processes", 3) as running:
        hold.wait()
        workers = workers_of(running)
        running.kill()
        wait_until(lambda: not any(map(is_at_work, workers)), "the workers end", within_s=5)
    hold.release()
    proxy.clear()

    assert len(workers) == 2
    assert_moved(dth.transfer(source, destination, "--processes", 3), source, destination)


def test_a_killed_worker_is_done_without(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, when=lambda request: request.method == "PUT", skip=4)
    dth = dth.between(source.endpoint, seen)
    with dth.start("transfer", source, destination, "--json", "--processes", 3) as running:
        hold.wait()
        for pid in workers_of(running):
            os.kill(pid, signal.SIGKILL)
        hold.release()
        ended = running.wait()

    assert ended.code == 0, str(ended)
    assert "a worker process died and its work was taken back" in ended.err
    assert_moved(ended.json, source, destination)
