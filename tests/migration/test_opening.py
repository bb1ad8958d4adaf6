"""Opening a database that is new, in use, of a newer version, or none at all."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.conformance.ledger_facts import WORKER, lease, new, news
from transferhub.errors import InputError, StateError
from transferhub.model.transfer import RunId
from transferhub.state.sql import SqlLedger, SqlTaskStore, upkeep
from transferhub.state.sql.drivers import driver_of
from transferhub.state.sql.revision import HEAD
from transferhub.state.sql.upgrades import engine_of
from transferhub.state.sql.url import parse_url

RUN = RunId("run")
_OPEN_AND_RECORD = """
import asyncio, sys
from transferhub.model.transfer import Difference, RunId, Transfer
from transferhub.state.sql import SqlLedger, SqlTaskStore

async def main(url, key):
    ledger, tasks = await SqlLedger.open(url), await SqlTaskStore.open(url)
    assert await ledger.record(RunId("run"), [Transfer(key, Difference.NEW)]) == 1
    assert (await tasks.tasks()).items == ()
    await ledger.aclose()
    await tasks.aclose()

sys.stdin.readline()
asyncio.run(main(*sys.argv[1:]))
"""


async def test_many_processes_may_open_a_new_database_at_once(state_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN_AND_RECORD, state_url, str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    # All are told to begin before any is waited for.
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 4
    ledger = await SqlLedger.open(state_url)
    assert {at.transfer.key async for at in ledger.transfers(RUN)} == {*"0123"}
    await ledger.aclose()


async def test_what_was_recorded_is_there_after_a_restart(state_url: str) -> None:
    ledger = await SqlLedger.open(state_url)
    await ledger.record(RUN, news(10))
    taken = await lease(ledger, RUN, limit=4)
    await ledger.aclose()
    ledger = await SqlLedger.open(state_url)
    assert len(await lease(ledger, RUN)) == 6
    assert await ledger.reclaim(RUN, [WORKER]) == 10
    assert len(taken) == 4
    await ledger.aclose()


async def test_one_process_may_open_a_database_many_times(state_url: str) -> None:
    first, second, tasks = (
        await SqlLedger.open(state_url),
        await SqlLedger.open(state_url),
        await SqlTaskStore.open(state_url),
    )
    await first.record(RUN, [new("a")])
    assert len(await lease(second, RUN)) == 1
    assert (await tasks.tasks()).items == ()
    for opened in (first, second, tasks):
        await opened.aclose()


def of_version(url: str, revision: str, since: str) -> Engine:
    engine = engine_of(driver_of(parse_url(url)))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
        connection.execute(text("UPDATE compatibility SET since = :it"), {"it": since})
    return engine


async def test_a_database_of_a_newer_version_is_used_where_it_only_has_more(
    state_url: str,
) -> None:
    await (await SqlLedger.open(state_url)).aclose()
    of_version(state_url, "9999", HEAD).dispose()
    ledger = await SqlLedger.open(state_url)
    assert await ledger.record(RUN, news(3)) == 3
    await ledger.aclose()
    assert upkeep.upgrade(state_url) == ("9999", "9999")
    assert upkeep.measure(state_url).revision == "9999"


async def test_a_database_of_a_newer_version_is_refused(state_url: str) -> None:
    await (await SqlLedger.open(state_url)).aclose()
    engine = of_version(state_url, "9999", "9998")
    with pytest.raises(StateError, match=r"was written by a newer version .* install") as caught:
        await SqlLedger.open(state_url)
    assert caught.value.code == "state_newer"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).scalar() == "9999"
        assert connection.execute(text("SELECT count(*) FROM transfers")).scalar() == 0
    engine.dispose()


async def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="check that its folder exists") as caught:
        await SqlLedger.open(f"sqlite:///{tmp_path}/missing/state.sqlite3")
    assert caught.value.code == "state_unreachable"


async def test_a_file_that_is_no_database_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    path.write_text("These are notes of somebody. " * 100)
    with pytest.raises(StateError, match="is not a SQLite database") as caught:
        await SqlLedger.open(f"sqlite:///{path}")
    assert caught.value.code == "state_corrupt"
    assert path.read_text().startswith("These are notes")


async def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a b?c=d%20é#😀.sqlite3"
    await (await SqlLedger.open(f"sqlite:///{path}")).aclose()
    assert path.exists()


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", "", "postgresql+asyncpg:"])
async def test_a_url_of_no_database_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="sqlite:///PATH nor postgresql://"):
        await SqlLedger.open(url)


async def test_a_server_that_is_not_there_is_told_without_its_password(unused_port: int) -> None:
    url = f"postgresql://user:s3cret@127.0.0.1:{unused_port}/name"
    with pytest.raises(StateError, match="check that the server runs") as caught:
        await SqlLedger.open(url)
    assert caught.value.code == "state_unreachable"
    assert "s3cret" not in str(caught.value)
    assert f"127.0.0.1:{unused_port}/name" in caught.value.message


@pytest.mark.postgresql
async def test_a_database_that_the_server_has_not_is_told(postgres_url: str) -> None:
    with pytest.raises(StateError, match="create the database first") as caught:
        await SqlLedger.open(f"{postgres_url}_missing")
    assert caught.value.code == "state_unreachable"
