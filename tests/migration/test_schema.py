"""What migrations build, what `schema` says, and what a first start creates are one."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from transferhub.state.sql import SqlLedger
from transferhub.state.sql.drivers import Driver, driver_of
from transferhub.state.sql.migrate import TABLES
from transferhub.state.sql.revision import HEAD
from transferhub.state.sql.script import script
from transferhub.state.sql.tables import metadata
from transferhub.state.sql.upgrades import MIGRATIONS, engine_of, revision_of, upgrade
from transferhub.state.sql.url import parse_url


def definitions(connection: Connection) -> object:
    """Everything that a database says of its tables."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(
            text("SELECT type, name, sql FROM sqlite_master WHERE name != 'alembic_version'")
        )
        return sorted((kind, name, _pieces(kind, sql)) for kind, name, sql in rows)
    columns = connection.execute(
        text(
            "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, "
            "column_default, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        )
    )
    indexes = connection.execute(
        text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef")
    )
    constraints = connection.execute(
        text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace ORDER BY conname"
        )
    )
    return [[*map(tuple, rows)] for rows in (columns, indexes, constraints)]


def _pieces(kind: str, sql: str | None) -> list[str]:
    """The parts of a table in any order: a later column stands after the others, on their line."""
    # A table that was made anew has its name in quotes.
    text = (sql or "").replace('"', "")
    pieces = text.replace(",", "\n").splitlines() if kind == "table" else [text]
    return sorted(piece.strip() for piece in pieces if piece.strip(" )"))


@pytest.fixture
def driver(state_url: str) -> Driver:
    return driver_of(parse_url(state_url))


@pytest.fixture
def engine(driver: Driver) -> Engine:
    return engine_of(driver)


def test_the_migrations_build_what_the_schema_says(engine: Engine, driver: Driver) -> None:
    with engine.begin() as connection:
        upgrade(connection, "here")
    with engine.connect() as connection:
        assert revision_of(connection, driver) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


async def test_a_first_start_creates_what_the_migrations_build(
    state_url: str, engine: Engine, driver: Driver
) -> None:
    await (await SqlLedger.open(state_url)).aclose()
    with engine.connect() as connection:
        created = definitions(connection)
        assert revision_of(connection, driver) == HEAD
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        upgrade(connection, "here")
    with engine.connect() as connection:
        assert definitions(connection) == created


def test_the_script_of_sqlite_is_current() -> None:
    assert TABLES.read_text() == script(), "run `python -m transferhub.state.sql.script`"


def test_the_newest_revision_is_the_head() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [HEAD]


async def test_a_second_start_changes_nothing(state_url: str, engine: Engine) -> None:
    await (await SqlLedger.open(state_url)).aclose()
    with engine.connect() as connection:
        before = definitions(connection)
    await (await SqlLedger.open(state_url)).aclose()
    with engine.connect() as connection:
        assert definitions(connection) == before
