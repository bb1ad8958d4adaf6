import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.conformance.ledger_facts import news
from transferhub.errors import StateError
from transferhub.model.transfer import RunId, Shard
from transferhub.state.sql import SqlLedger
from transferhub.state.sql.database import Database, parse_url
from transferhub.state.sql.faults import is_repeatable, place, state_error
from transferhub.state.sql.session import Session

RUN = RunId("run")
SHARD = Shard(ident="s", done=False, detail="{}")


class DriverError(Exception):
    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def wrapped(message: str, sqlstate: str | None = None) -> OperationalError:
    return OperationalError("SELECT 1", None, DriverError(message, sqlstate))


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
            raise wrapped("deadlock detected", "40P01")
        return len(tries)

    assert await database.write(work) == 3
    assert await database.read(lambda session: session.fetch("run", "FROM ledgers")) == [["2"]]


async def test_work_is_not_done_again_for_ever(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        raise wrapped("deadlock detected", "40P01")

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
    assert is_repeatable(wrapped("could not serialize access", "40001"))
    assert not is_repeatable(wrapped("server closed the connection", None))
    assert not is_repeatable(wrapped("could not extend file", "53100"))


def test_a_place_is_shown_without_its_password() -> None:
    url = parse_url("postgresql://user:s3cret@host:5433/name")
    assert place(url) == "postgresql://user:***@host:5433/name"
    assert place(parse_url("sqlite:////var/lib/dth.sqlite3")) == "/var/lib/dth.sqlite3"


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
    error = state_error(wrapped(message), parse_url("sqlite:////state.sqlite3"))
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
    url = parse_url("postgresql://host/name")
    error = state_error(wrapped(message, sqlstate), url)
    assert error.code == code
    assert error.message.startswith("The state in postgresql://host/name ")
