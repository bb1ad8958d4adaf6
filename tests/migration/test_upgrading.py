"""Upgrades beside each other, and beside those who use the tables."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from transferhub.state.sql import upkeep
from transferhub.state.sql.drivers import driver_of
from transferhub.state.sql.revision import HEAD
from transferhub.state.sql.upgrades import engine_of
from transferhub.state.sql.upgrades import upgrade as migrate_to
from transferhub.state.sql.url import parse_url

FIRST = "0001"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"
)


@pytest.fixture
def old_url(state_url: str) -> str:
    """A database of the first version."""
    engine = engine_of(driver_of(parse_url(state_url)))
    with engine.begin() as connection:
        migrate_to(connection, "here", FIRST)
    engine.dispose()
    return state_url


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_of_many_upgrades_at_once_one_does_it(old_url: str, pool: ThreadPoolExecutor) -> None:
    done = [*pool.map(upkeep.upgrade, [old_url] * 4)]
    assert sorted(done, key=str) == [(FIRST, HEAD), *[(HEAD, HEAD)] * 3]


@pytest.mark.postgresql
def test_an_upgrade_steps_back_from_a_table_in_use_and_tries_again(
    postgres_url: str, pool: ThreadPoolExecutor
) -> None:
    engine = engine_of(driver_of(parse_url(postgres_url)))
    with engine.begin() as connection:
        migrate_to(connection, "here", FIRST)
    engine.dispose()
    with (
        psycopg.connect(postgres_url) as reader,
        psycopg.connect(postgres_url, autocommit=True) as watcher,
    ):

        def until(holds: Callable[[int], bool]) -> None:
            """Asks the server, which answers in its own time, until the upgrade waits or not."""
            while not upgrading.done():
                [waiting] = watcher.execute(_WAITING).fetchone() or (0,)
                if holds(waiting):
                    return
            raise AssertionError(f"the upgrade has ended: {upgrading.result()}")

        reader.execute("SELECT count(*) FROM runs, tasks, transfers")
        upgrading = pool.submit(upkeep.upgrade, postgres_url)
        until(lambda waiting: waiting > 0)
        until(lambda waiting: waiting == 0)
        # Whoever wants the table meanwhile gets it.
        watcher.execute("DELETE FROM runs")
        reader.rollback()
        assert upgrading.result() == (FIRST, HEAD)
