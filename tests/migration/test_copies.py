"""Backups of a SQLite database and their way back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance.ledger_facts import news
from transferhub.errors import InputError, StateError
from transferhub.model.transfer import RunId
from transferhub.state.sql import SqlLedger, copies, upkeep
from transferhub.state.sql.drivers import driver_of
from transferhub.state.sql.revision import HEAD
from transferhub.state.sql.upgrades import engine_of
from transferhub.state.sql.upgrades import upgrade as migrate_to
from transferhub.state.sql.url import parse_url

RUN = RunId("run")
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dth.sqlite3"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.sqlite3"


async def fill(path: Path, count: int) -> None:
    path.parent.mkdir(exist_ok=True)
    ledger = await SqlLedger.open(f"sqlite:///{path}")
    await ledger.purge(RUN)
    await ledger.record(RUN, news(count))
    await ledger.aclose()


async def count(path: Path) -> int:
    ledger = await SqlLedger.open(f"sqlite:///{path}")
    totals = await ledger.totals(RUN)
    await ledger.aclose()
    return totals.open


def restored(copy: Path, database: Path) -> Path | None:
    return copies.restore(copy, database, clock=lambda: NOON)


@pytest.fixture
def writer(database: Path) -> Iterator[sqlite3.Connection]:
    """Another process at work: what it wrote is not in the file itself yet."""
    database.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield connection


async def test_a_backup_is_the_state_at_one_moment_while_others_write(
    writer: sqlite3.Connection, database: Path, copy: Path
) -> None:
    await fill(database, 500)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM transfers")
    assert copies.back_up(database, copy) == copy.stat().st_size
    writer.execute("ROLLBACK")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in copy.parent.iterdir()) == ["copy.sqlite3", "state"]
    assert await count(copy) == 500


async def test_a_backup_never_overwrites(database: Path, copy: Path) -> None:
    await fill(database, 1)
    copy.write_text("precious")
    with pytest.raises(InputError, match="is there already; name another one"):
        copies.back_up(database, copy)
    assert copy.read_text() == "precious"


async def test_a_backup_that_cannot_be_written_leaves_nothing(
    database: Path, tmp_path: Path
) -> None:
    await fill(database, 1)
    with pytest.raises(InputError, match="cannot be written: No such file"):
        copies.back_up(database, tmp_path / "none" / "copy")
    with pytest.raises(StateError, match="There is nothing in"):
        copies.back_up(tmp_path / "none.sqlite3", tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


async def test_a_damaged_database_is_not_backed_up(database: Path, copy: Path) -> None:
    await fill(database, 5_000)
    content = bytearray(database.read_bytes())
    half = len(content) // 2
    content[half : half + 20_000] = bytes(20_000)
    database.write_bytes(content)
    with pytest.raises(StateError, match="is damaged") as caught:
        copies.back_up(database, copy)
    assert caught.value.code == "state_corrupt"
    assert [path.name for path in copy.parent.iterdir()] == ["state"]


async def test_a_backup_is_restored_and_the_former_database_kept(
    writer: sqlite3.Connection, database: Path, copy: Path
) -> None:
    await fill(database, 3)
    copies.back_up(database, copy)
    await fill(database, 7)
    writer.close()
    kept = restored(copy, database)
    assert kept == database.with_name("dth.sqlite3.before-20260114-120000")
    assert sorted(path.name for path in database.parent.iterdir()) == [
        "dth.sqlite3",
        "dth.sqlite3.before-20260114-120000",
    ]
    assert (await count(database), await count(kept)) == (3, 7)


async def test_a_backup_is_restored_where_there_is_nothing(database: Path, copy: Path) -> None:
    await fill(database, 3)
    copies.back_up(database, copy)
    database.unlink()
    assert restored(copy, database) is None
    assert await count(database) == 3


async def test_a_damaged_database_is_replaced_and_kept(database: Path, copy: Path) -> None:
    await fill(database, 3)
    copies.back_up(database, copy)
    database.write_bytes(b"noise" * 10_000)
    kept = restored(copy, database)
    assert kept is not None
    assert kept.read_bytes() == b"noise" * 10_000
    assert await count(database) == 3


async def test_an_older_backup_is_upgraded_at_the_next_start(database: Path, copy: Path) -> None:
    engine = engine_of(driver_of(parse_url(f"sqlite:///{copy}")))
    with engine.begin() as connection:
        migrate_to(connection, "here", "0001")
    engine.dispose()
    await fill(database, 3)
    restored(copy, database)
    assert upkeep.measure(f"sqlite:///{database}").revision == "0001"
    assert await count(database) == 0
    assert upkeep.measure(f"sqlite:///{database}").revision == HEAD


@pytest.mark.parametrize("content", [b"", b"notes of somebody" * 100], ids=["empty", "text"])
async def test_what_is_no_backup_changes_nothing(
    database: Path, copy: Path, content: bytes
) -> None:
    await fill(database, 3)
    copy.write_bytes(content)
    with pytest.raises(InputError, match="is no backup of this program"):
        restored(copy, database)
    with pytest.raises(InputError, match="there is no file"):
        restored(copy.with_name("none"), database)
    assert await count(database) == 3
    assert [path.name for path in database.parent.iterdir()] == ["dth.sqlite3"]


async def test_a_backup_of_a_newer_version_is_refused(database: Path, copy: Path) -> None:
    await fill(database, 3)
    copies.back_up(database, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE compatibility SET since = '9999'")
    with pytest.raises(InputError, match="of a newer version"):
        restored(copy, database)
    assert await count(database) == 3


async def test_what_is_in_a_database_is_counted(state_url: str) -> None:
    with pytest.raises(StateError, match="There is nothing in"):
        upkeep.measure(state_url)
    assert upkeep.upgrade(state_url) == (None, HEAD)
    assert upkeep.upgrade(state_url) == (HEAD, HEAD)
    ledger = await SqlLedger.open(state_url)
    await ledger.record(RUN, news(123))
    await ledger.aclose()
    if state_url.startswith("postgres"):
        engine = engine_of(driver_of(parse_url(state_url)))
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE transfers")
        engine.dispose()
    use = upkeep.measure(state_url)
    assert {table.name: table.rows for table in use.tables}["transfers"] == 123
    assert use.size == upkeep.size(state_url) > 4_096
    assert use.revision == HEAD
