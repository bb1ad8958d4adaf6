"""`kill -9` at any moment, then the same command: nothing is lost, torn or left behind."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.acceptance.aws import IN_EACH_STATE
from tests.acceptance.balance import assert_balanced, assert_moved
from tests.acceptance.command import Dth, Ended
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import is_at_work, wait_until, workers_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A transfer through a proxy before either server."""

    dth: Dth
    source: Place
    destination: Place
    proxies: Mapping[str, FaultProxy]
    words: Sequence[object] = ()

    @classmethod
    def of(
        cls, dth: Dth, source: Place, destination: Place, front: ProxyFactory, *words: object
    ) -> Self:
        at_source, source_seen = front(source.endpoint)
        at_destination, destination_seen = front(destination.endpoint)
        return cls(
            dth=dth.between(source_seen, destination_seen),
            source=source,
            destination=destination,
            proxies={"source": at_source, "destination": at_destination},
            words=words,
        )

    def kill(self, moment: Moment) -> None:
        """Starts the command and kills it at this moment."""
        proxy, hold = self.proxies[moment.side], Hold(response=moment.response)
        rule = proxy.add(hold, operation=moment.operation, skip=moment.skip)
        with self.dth.start("transfer", self.source, self.destination, *self.words) as running:
            hold.wait()
            running.kill_all()
        hold.release()
        proxy.remove(rule)

    def finish(self) -> Ended:
        """Runs the command to its end, which must be that of one that was never killed."""
        places = (self.source, self.destination)
        ended = self.dth.well("transfer", *places, "--json", *self.words, timeout_s=60)
        assert_moved(ended.json, self.source, self.destination)
        return ended


def resumed(ended: Ended) -> str:
    """What the command says of the run that it goes on with."""
    (line,) = [line for line in ended.err.splitlines() if line.startswith("resuming run ")]
    return line


@pytest.mark.parametrize("moment", [*OF_OBJECTS, *OF_UPLOADS], ids=str)
def test_the_same_command_ends_what_a_kill_broke_off(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory, moment: Moment
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    route = Route.of(dth, source, destination, fault_proxy)
    route.kill(moment)
    route.finish()


# Not CreateMultipartUpload: an upload that nobody got the id of is known by its time, and moto says
# of every upload that it began in 2010.
@pytest.mark.parametrize("moment", OF_UPLOADS[4:], ids=str)
def test_the_same_holds_at_moto(
    dth: Dth, source: Place, moto_destination: Place, fault_proxy: ProxyFactory, moment: Moment
) -> None:
    source.put_multipart("large", LARGE)
    route = Route.of(dth, source, moto_destination, fault_proxy)
    route.kill(moment)
    route.finish()


@pytest.mark.parametrize("moment", [OF_UPLOADS[0], *OF_UPLOADS[4:]], ids=str)
def test_the_same_holds_at_rclone_which_forgets_completed_uploads(
    dth: Dth, source: Place, rclone_destination: Place, fault_proxy: ProxyFactory, moment: Moment
) -> None:
    source.put_multipart("large", LARGE)
    route = Route.of(dth, source, rclone_destination, fault_proxy)
    route.kill(moment)
    route.finish()


def test_the_next_start_says_what_it_resumes_and_sends_no_part_again(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put_multipart("large", LARGE)
    route = Route.of(dth, source, destination, fault_proxy)
    route.kill(Moment(side="destination", operation="CompleteMultipartUpload"))
    ended = route.finish()

    assert route.proxies["destination"].count("UploadPart") == 3
    assert resumed(ended).endswith(
        ": both sides are compared, 0 objects are copied, 1 wait, of which 1 were under way"
        " when it stopped"
    )


def test_a_start_that_is_killed_at_once_leaves_the_work_of_the_one_before_it_to_the_next(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    route = Route.of(dth, source, destination, fault_proxy)
    route.kill(Moment(side="destination", operation="PutObject", skip=10))
    route.kill(Moment(side="source", operation="ListObjectsV2"))
    ended = route.finish()
    assert not resumed(ended).endswith("of which 0 were under way when it stopped")


@pytest.mark.parametrize("response", [False, True], ids=["asked", "answered"])
def test_a_mirror_that_is_killed_while_it_deletes_deletes_no_more_than_it_would_have(
    dth: Dth,
    source: Place,
    destination: Place,
    fault_proxy: ProxyFactory,
    *,
    response: bool,
) -> None:
    source.fill(SMALL)
    destination.fill({f"extra/{n:02d}": b"extra" for n in range(20)})
    words = ("--mirror", "--max-delete", 20, "--max-delete-percent", 100)
    route = Route.of(dth, source, destination, fault_proxy, *words)
    route.kill(Moment(side="destination", operation="DeleteObjects", response=response))
    ended = route.finish()
    assert (ended.json["extra"], ended.json["deleted"]) == (20, 20)


def test_an_unfinished_run_with_other_options_is_told_and_can_be_given_up(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put_multipart("large", LARGE)
    route = Route.of(dth, source, destination, fault_proxy)
    route.kill(Moment(side="destination", operation="UploadPart", skip=1))
    left = destination.uploads()
    (killed,) = (run["run"] for run in dth.well("runs", "--json").json)
    assert f"{killed}  interrupted  " in dth.well("runs").out

    there = ("transfer", source, destination, "--exclude", "none/**")
    told = route.dth.well(*there).err
    assert f"run {killed} from and to the same places, with other options, is unfinished" in told
    assert f"dth resume {killed}" in told
    assert destination.uploads() == left != []

    assert killed not in route.dth.well(*there, "--no-resume").err
    assert destination.uploads() == []
    assert dth.well("show", killed, "--json").json["error"]["code"] == "superseded"


def test_a_run_with_other_options_that_is_at_work_is_not_given_up(
    dth: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold()
    proxy.add(hold, operation="UploadPart", skip=1, times=1)
    with dth.between(source.endpoint, seen).start("transfer", source, destination) as running:
        hold.wait()
        other = dth.between(source.endpoint, destination.endpoint)
        words = ("transfer", source, destination, "--exclude", "large")
        assert "unfinished" not in other.well(*words).err
        other.well(*words, "--no-resume")
        hold.release()
        ended = running.wait()

    assert ended.code == 0, str(ended)
    assert destination.contents() == {"large": LARGE}


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


@IN_EACH_STATE
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


# Into a folder


def test_a_folder_ends_without_a_trace_of_the_kill(
    dth: Dth, source: Place, tmp_path: Path, fault_proxy: ProxyFactory
) -> None:
    source.fill(SMALL)
    source.put_multipart("large", LARGE)
    proxy, seen = fault_proxy(source.endpoint)
    hold = Hold()
    proxy.add(hold, operation="GetObject", path="large$", skip=2)
    dth, there = dth.between(seen, None), tmp_path / "there"
    with dth.start("transfer", source, f"file://{there}") as running:
        hold.wait()
        running.kill_all()
    hold.release()
    proxy.clear()

    ended = dth.transfer(source, f"file://{there}")

    assert_balanced(ended)
    found = {str(p.relative_to(there)): p.read_bytes() for p in there.rglob("*") if p.is_file()}
    assert found == {**SMALL, "large": LARGE}
