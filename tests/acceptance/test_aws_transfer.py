"""A transfer whose ledger and runs are on AWS."""

from tests.acceptance.aws import Aws
from tests.acceptance.balance import assert_balanced, assert_moved
from tests.acceptance.command import Dth, report_rows
from tests.acceptance.fleet import on_machine
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until
from tests.conftest import ProxyFactory
from tests.servers.rules import Status
from transferhub.hosts import aws_state


def fill(source: Place, small: int = 60) -> None:
    source.fill({f"{n % 7}/{n:03d}": content_of(str(n), 100 * n) for n in range(small)})
    source.put_multipart("large", content_of("large", 11 * MIB))


def wait_for(place: Place, count: int) -> None:
    wait_until(lambda: len(place.keys()) >= count, f"{count} are copied")


def assert_quiet(aws: Aws, *, but_hidden: bool = False) -> None:
    """Nothing is left in the queues."""
    for queue in aws_state.describe(aws.place).queues:
        assert (queue.waiting, queue.delayed) == (0, 0), queue
        assert but_hidden or not queue.in_flight, queue


def test_what_failed_is_told_tried_again_and_reported(
    aws_pair: Dth, aws: Aws, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    fill(source)
    proxy, seen = fault_proxy(destination.endpoint)
    dth = aws_pair.between(source.endpoint, seen)
    denied = Status(status=403, code="AccessDenied", message="Access Denied")
    proxy.add(denied, method="PUT", path=r"/3/")

    ended = dth.transfer(source, destination, code=1)

    assert_balanced(ended)
    failed = len(source.keys("3/"))
    assert (ended["new"], ended["failed"], ended["done"]) == (61, failed, 61 - failed)
    told = dth.well("failures", "last", "--json").json
    assert {(group["code"], group["count"]) for group in told["groups"]} == {("denied", failed)}
    assert [at["key"] for at in told["failures"]] == source.keys("3/")
    assert report_rows(ended["report"])["3/003"]["code"] == "denied"

    proxy.clear()
    again = dth.well("redrive", "last", "--json").json

    assert (again["redriven"], again["failed"], again["done"]) == (failed, 0, 61)
    assert_moved(again, source, destination)
    assert not (dth.state / "dth.sqlite3").exists()
    assert_quiet(aws)


def test_another_machine_finds_the_runs_and_compares_at_no_cost(
    aws_pair: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    fill(source)
    first = aws_pair.transfer(source, destination, "--processes", 2)
    assert_moved(first, source, destination)
    other = on_machine(aws_pair, "other")

    again = other.transfer(source, destination)

    assert (again["same"], again["done"], again["bytes"]) == (61, 0, 0)
    runs = other.well("runs", "--json").json
    assert [run["run"] for run in runs] == [again["run"], first["run"]]
    assert "copying  61 of 61 objects" in other.well("show", first["run"]).out
    report = other.well("report", first["run"]).out.strip()
    assert report_rows(report).keys() == source.listing().keys()
    assert_quiet(aws)


def test_a_profile_gives_the_region_and_the_keys(
    dth: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    source.put("key", b"content")
    folder = dth.home / ".aws"
    folder.mkdir(parents=True)
    (folder / "config").write_text(f"[profile moves]\nregion = {aws.endpoint.region}\n")
    (folder / "credentials").write_text(
        f"[moves]\naws_access_key_id = {aws.endpoint.access_key_id}\n"
        f"aws_secret_access_key = {aws.endpoint.secret_access_key}\n"
    )
    far = dth.between(source.endpoint, destination.endpoint).having(
        aws.endpoint.secret_access_key,
        AWS_ENDPOINT_URL_DYNAMODB=aws.endpoint.url,
        AWS_ENDPOINT_URL_SQS=aws.endpoint.url,
    )

    ended = far.transfer(source, destination, "--ledger", f"aws://{aws.name}?profile=moves")

    assert_moved(ended, source, destination)
    assert [run["run"] for run in aws.used_by(dth).well("runs", "--json").json] == [ended["run"]]


def test_a_transfer_that_was_killed_goes_on(
    aws_pair: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    fill(source, small=400)
    words = ("transfer", source, destination, "--json", "--processes", 2)
    for done in (20, 150):
        with aws_pair.start(*words, "--requests", "150/s") as running:
            wait_for(destination, done)
            running.kill_all()
    ended = aws_pair.well(*words)

    assert "resuming run" in ended.err
    assert ended.json["done"] == 401
    assert_moved(ended.json, source, destination)
    # What the killed ones had received stays hidden until it is received again, for nothing.
    assert_quiet(aws, but_hidden=True)
