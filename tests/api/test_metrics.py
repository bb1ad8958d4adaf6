"""/metrics on a real server: who may read it, and what it tells."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.api.web import Client, Hub, served
from tests.unit.metrics.test_prometheus import CENSUS, told
from transferhub.api.metrics import ROUTES, Watch
from transferhub.errors import StateError
from transferhub.metrics.prometheus import Prometheus
from transferhub.model.census import Census


class State:
    """What a census is taken of."""

    def __init__(self) -> None:
        self.is_away = False

    async def census(self) -> Census:
        if self.is_away:
            raise StateError("The state cannot be reached.")
        return CENSUS


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def state() -> State:
    return State()


def watch(state: State, *, is_open: bool = False) -> Watch:
    prometheus = Prometheus("1", acts=lambda: False, routes=ROUTES)
    return Watch(prometheus=prometheus, census=state.census, is_open=is_open)


@pytest.fixture
def client(hub: Hub, state: State) -> Iterator[Client]:
    with served(hub, watch=watch(state)) as client:
        yield client


def bearer(hub: Hub) -> dict[str, str]:
    return {"authorization": f"Bearer {asyncio.run(hub.token())}"}


def test_a_token_may_read_the_metrics(client: Client, hub: Hub) -> None:
    status, text = client.ask("GET", "/metrics", **bearer(hub))
    assert status == 200
    assert client.headers["content-type"].startswith("text/plain; version=")
    assert told(text.encode())["dth_open_transfers", ()] == 1_000


def test_nobody_else_may(client: Client) -> None:
    assert client.ask("GET", "/metrics")[0] == 401
    assert client.ask("GET", "/metrics", authorization="Bearer wrong")[0] == 401


def test_whoever_reaches_it_may_where_the_setting_says_so(hub: Hub, state: State) -> None:
    with served(hub, watch=watch(state, is_open=True)) as client:
        assert client.ask("GET", "/metrics")[0] == 200


def test_a_server_without_its_state_still_answers(client: Client, hub: Hub, state: State) -> None:
    state.is_away = True
    status, text = client.ask("GET", "/metrics", **bearer(hub))
    assert status == 200
    assert told(text.encode())["dth_state_up", ()] == 0


def test_requests_are_counted_with_their_status(client: Client, hub: Hub) -> None:
    client.ask("GET", "/healthz")
    client.ask("GET", "/healthz?guess=1")
    client.ask("GET", "/nothing/here")
    client.ask("GET", "/metrics")
    found = told(client.ask("GET", "/metrics", **bearer(hub))[1].encode())
    requests = {
        (dict(labels)["route"], dict(labels)["status"]): count
        for (name, labels), count in found.items()
        if name == "dth_http_requests_total"
    }
    assert requests == {
        ("/healthz", "200"): 2,
        ("other", "404"): 1,
        ("/metrics", "401"): 1,
    }


def test_a_server_without_metrics_has_no_such_page(hub: Hub) -> None:
    with served(hub) as client:
        assert client.ask("GET", "/metrics", **bearer(hub))[0] == 404
