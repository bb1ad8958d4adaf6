"""Runs remembered by a PostgreSQL server instead of a file."""

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.rules import Hold

pytestmark = pytest.mark.postgresql


@pytest.fixture
def on_server(pair: Dth, postgres_url: str) -> Dth:
    """`pair` with its database on a server, reached with a password that must not be seen."""
    user, at, place = postgres_url.partition("@")
    scheme, _, name = user.partition("://")
    name = name.partition(":")[0]
    url = f"{scheme}://{name}:a-password-of-a-database{at}{place}"
    return pair.having("a-password-of-a-database", DTH_DATABASE=url)


def test_a_transfer_is_remembered_on_a_server(
    on_server: Dth, source: Place, destination: Place
) -> None:
    source.fill({f"{n:02d}": content_of(str(n), 100) for n in range(30)})

    first = on_server.transfer(source, destination, "--processes", "2")
    again = on_server.transfer(source, destination)
    runs = on_server.well("runs", "--json").json
    doctor = on_server.well("doctor").out

    assert (first["done"], again["same"]) == (30, 30)
    assert [run["run"] for run in runs] == [again["run"], first["run"]]
    assert destination.contents() == source.contents()
    assert not list(on_server.state.glob("*.sqlite3"))
    assert ":***@" in doctor
    assert "environment DTH_DATABASE" in doctor


def test_an_interrupted_run_goes_on_from_a_server(
    on_server: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill({f"{n:02d}": str(n).encode() for n in range(30)})
    proxy, seen = fault_proxy(destination.endpoint)
    hold = Hold(response=True)
    proxy.add(hold, operation="PutObject", skip=3)
    dth = on_server.between(source.endpoint, seen)
    with dth.start("transfer", source, destination, "--json", "--concurrency", "4") as running:
        hold.wait()
        running.kill_all()
    hold.release()

    ended = dth.transfer(source, destination)

    assert ended["status"] == "succeeded"
    assert (ended["new"], ended["done"]) == (30, 30)
    assert destination.contents() == source.contents()


def test_a_server_that_does_not_answer_is_named_without_its_password(dth: Dth) -> None:
    url = "postgresql://me:a-password-of-a-database@127.0.0.1:9/dth"
    dth = dth.having("a-password-of-a-database", DTH_DATABASE=url)

    runs = dth.well("runs", code=3)
    doctor = dth.well("doctor", code=1)

    assert "127.0.0.1" in runs.err
    assert runs.err.count("\n") == 1
    assert "cannot be used" in doctor.out
