"""A run that loses its state on AWS says why, and goes on once the state is back."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Ended
from tests.acceptance.places import Place, content_of
from tests.acceptance.processes import wait_until
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Status

COUNT = 150


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Attributes:
    begin, end: what is done to the way to AWS.
    sentences: that are told.
    """

    begin: Callable[[FaultProxy], object]
    end: Callable[[FaultProxy], object]
    sentences: tuple[str, ...]


def refused(code: str, message: str) -> Callable[[FaultProxy], object]:
    return lambda proxy: proxy.add(Status(status=400, code=code, message=message))


LOSSES = {
    "the server is gone": Loss(
        begin=FaultProxy.refuse,
        end=FaultProxy.accept,
        sentences=("check the region, the network and the endpoint",),
    ),
    "the credentials expire": Loss(
        begin=refused(
            "com.amazon.coral.service#ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        end=FaultProxy.clear,
        sentences=("(ExpiredTokenException The security token", "have expired", "renew them"),
    ),
    "it is throttled for good": Loss(
        begin=refused(
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded",
        ),
        end=FaultProxy.clear,
        sentences=("AWS kept slowing it down; use on-demand tables",),
    ),
}


@pytest.fixture
def proxy(aws: Aws, fault_proxy: ProxyFactory) -> FaultProxy:
    """On the way to AWS."""
    return fault_proxy(aws.endpoint)[0]


@pytest.fixture
def far(pair: Dth, aws: Aws, proxy: FaultProxy) -> Dth:
    """`pair` with its state behind `proxy`, and little patience."""
    return aws.through(aws.endpoint.at(proxy.url)).used_by(pair).having(DTH_PATIENCE="1s")


def interrupted(dth: Dth, source: Place, destination: Place, happen: Callable[[], object]) -> Ended:
    """A transfer in whose middle something happens."""
    source.fill({f"{n:03d}": content_of(str(n), 100) for n in range(COUNT)})
    with dth.start("transfer", source, destination, "--json", "--requests", "100/s") as running:
        wait_until(lambda: len(destination.keys()) >= 20, "20 are copied")
        happen()
        return running.wait()


@pytest.mark.parametrize("name", LOSSES)
def test_it_says_why_and_goes_on(
    far: Dth, proxy: FaultProxy, source: Place, destination: Place, name: str
) -> None:
    loss = LOSSES[name]
    ended = interrupted(far, source, destination, lambda: loss.begin(proxy))

    assert ended.code == 3, str(ended)
    (said,) = [line for line in ended.err.splitlines() if line.startswith("dth: ")]
    assert all(sentence in said for sentence in loss.sentences), said
    assert ended.json["status"] == "failed"
    assert ended.json["error"]["code"].startswith("state_")

    loss.end(proxy)
    again = far.well("transfer", source, destination, "--json")
    assert "resuming run" in again.err
    assert (again.json["run"], again.json["done"]) == (ended.json["run"], COUNT)
    assert_moved(again.json, source, destination)


def test_what_lasts_a_moment_costs_time_only(
    far: Dth, proxy: FaultProxy, source: Place, destination: Place
) -> None:
    def happen() -> None:
        proxy.disconnect()
        throttled = Status(status=400, code="ThrottlingException", message="Rate exceeded")
        proxy.add(throttled, times=6)
        proxy.add(Status(status=500, code="InternalServerError", message="Try again"), times=3)

    ended = interrupted(far.having(DTH_PATIENCE="30s"), source, destination, happen)
    assert ended.code == 0, str(ended)
    assert ended.json["done"] == COUNT
    assert_moved(ended.json, source, destination)


def test_a_state_that_is_not_there_is_told_with_what_makes_it(
    pair: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    dth = aws.used_by(pair).having(DTH_LEDGER="aws://nothing?region=us-east-1")
    ended = dth.well("transfer", source, destination, code=3)
    assert "of the state nothing in us-east-1 failed" in ended.err
    assert "create it with `dth aws create-state`" in ended.err
    assert not destination.keys()
