import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.conformance.ledger_facts import news
from transferhub.errors import StateError
from transferhub.model.transfer import RunId, Shard
from transferhub.state.sql import SqlLedger
from transferhub.state.sql.database import Database
from transferhub.state.sql.faults import is_lost, is_repeatable, state_error
from transferhub.state.sql.session import Session
from transferhub.state.sql.url import parse_url

RUN = RunId("run")
SHARD = Shard(ident="s", done=False, detail="{}")


SERVER = parse_url("postgresql://host/name")


class ServerError(psycopg.OperationalError):
    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Deadlock(sqlite3.OperationalError):
    """As only a server meets them, but in a database that each test has."""

    sqlstate = "40P01"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.sqlite3")
    yield database
    await database.aclose()


async def test_a_batch_that_cannot_be_written_leaves_nothing(database: Database) -> None:
    ledger = SqlLedger(database)
    good = news(150)
    with pytest.raises(UnicodeEncodeError):
        await ledger.record(RUN, [*good, good[0]._replace(key="\ud800")], [SHARD])
    assert (await ledger.totals(RUN)).tallies == {}
    assert await ledger.shards(RUN) == []
    assert await ledger.record(RUN, good, [SHARD]) == 150


async def test_work_that_raises_writes_nothing(database: Database) -> None:
    def work(session: Session) -> None:
        session.execute("INSERT INTO ledgers (run) VALUES (?)", "run")
        raise KeyError("run")

    with pytest.raises(KeyError):
        await database.write(work)
    assert await database.read(lambda session: session.fetch("id", "FROM ledgers")) == []


async def test_work_that_met_a_deadlock_is_done_again(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> int:
        session.execute("INSERT INTO ledgers (run) VALUES (?)", str(len(tries)))
        tries.append(1)
        if len(tries) < 3:
            raise Deadlock("deadlock detected")
        return len(tries)

    assert await database.write(work) == 3
    assert await database.read(lambda session: session.fetch("run", "FROM ledgers")) == [["2"]]


async def test_work_is_not_done_again_for_ever(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        raise Deadlock("deadlock detected")

    with pytest.raises(StateError, match="deadlock detected"):
        await database.write(work)
    assert len(tries) == 5


async def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateError, match=r"pip install .*postgresql") as caught:
        await Database.open("postgresql://user:s3cret@host/name")
    assert caught.value.code == "state_driver"
    assert "s3cret" not in caught.value.message


def test_only_what_the_server_chose_to_end_is_repeated() -> None:
    assert is_repeatable(ServerError("could not serialize access", "40001"))
    assert not is_repeatable(ServerError("server closed the connection", None))
    assert not is_repeatable(ServerError("could not extend file", "53100"))


def test_a_server_that_may_come_back_is_lost_and_one_that_refuses_is_not() -> None:
    assert is_lost(ServerError("server closed the connection unexpectedly"), SERVER)
    assert is_lost(psycopg.errors.AdminShutdown("terminating connection"), SERVER)
    assert is_lost(psycopg.errors.ConnectionTimeout("connection timeout expired"), SERVER)
    assert not is_lost(ServerError('… FATAL:  role "u" does not exist'), SERVER)
    assert not is_lost(ServerError("could not extend file", "53100"), SERVER)
    file = parse_url("sqlite:////state.sqlite3")
    assert not is_lost(sqlite3.OperationalError("unable to open database file"), file)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://user:s3cret@host:5433/name", "postgresql://user:***@host:5433/name"),
        ("postgres+psycopg://host/name", "postgresql://host/name"),
        ("postgresql://u@/n?host=/run&password=s3cret", "postgresql://u@/n?host=/run&password=***"),
        ("sqlite:////var/lib/dth.sqlite3", "/var/lib/dth.sqlite3"),
    ],
)
def test_a_place_is_shown_without_its_password(url: str, place: str) -> None:
    assert parse_url(url).place == place
    assert "s3cret" not in repr(parse_url(url))


@pytest.mark.parametrize("password", ["s3/c?r%e#t", "s3%2Fc%3Fr%25e%23t"])
def test_a_password_reaches_the_driver_encoded_or_not(password: str) -> None:
    target = parse_url(f"postgresql://me:{password}@host/name").target
    assert psycopg.conninfo.conninfo_to_dict(target) == {
        "user": "me",
        "password": "s3/c?r%e#t",
        "host": "host",
        "dbname": "name",
    }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("database or disk is full", "state_full"),
        ("disk I/O error", "state_io"),
        ("attempt to write a readonly database", "state_readonly"),
        ("database is locked", "state_locked"),
        ("file is not a database", "state_corrupt"),
        ("database disk image is malformed", "state_corrupt"),
        ("unable to open database file", "state_unreachable"),
        ("something else", "state"),
    ],
)
def test_the_words_of_sqlite_become_codes(message: str, code: str) -> None:
    url = parse_url("sqlite:////state.sqlite3")
    error = state_error(sqlite3.OperationalError(message), url)
    assert error.code == code
    assert error.message.startswith("The state in /state.sqlite3 ")
    assert message in error.message


@pytest.mark.parametrize(
    ("message", "sqlstate", "code"),
    [
        ("could not extend file: No space left on device", "53100", "state_full"),
        ("permission denied for schema public", "42501", "state_denied"),
        ("cannot execute INSERT in a read-only transaction", "25006", "state_readonly"),
        ("sorry, too many clients already", "53300", "state_unreachable"),
        ('… FATAL:  password authentication failed for user "u"', None, "state_denied"),
        ('… FATAL:  no pg_hba.conf entry for host "::1"', None, "state_denied"),
        ('… FATAL:  role "u" does not exist', None, "state_denied"),
        ('… FATAL:  database "password" does not exist', None, "state_unreachable"),
        ("… FATAL:  sorry, too many clients already", None, "state_unreachable"),
        ("value out of range", "22003", "state"),
    ],
)
def test_the_states_of_postgresql_become_codes(
    message: str, sqlstate: str | None, code: str
) -> None:
    error = state_error(ServerError(message, sqlstate), SERVER)
    assert error.code == code
    assert error.message.startswith("The state in postgresql://host/name ")
