"""What migrations build, what `schema` says, and what a first start creates are one."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text

from transferhub.state.sql import SqlLedger
from transferhub.state.sql.database import parse_url
from transferhub.state.sql.migrate import HEAD, MIGRATIONS, migrate, stored_revision, upgrade
from transferhub.state.sql.schema import metadata


def definitions(connection: Connection) -> object:
    """Everything that a database says of its tables."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(
            text("SELECT type, name, sql FROM sqlite_master WHERE name != 'alembic_version'")
        )
        return sorted((kind, name, sorted(_lines(sql))) for kind, name, sql in rows)
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


def _lines(sql: str | None) -> list[str]:
    return [line.strip().rstrip(",") for line in (sql or "").splitlines()]


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    engine = create_engine(parse_url(state_url))
    yield engine
    engine.dispose()


def test_the_migrations_build_what_the_schema_says(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection, "here")
    with engine.connect() as connection:
        assert stored_revision(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_first_start_creates_what_the_migrations_build(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        created = definitions(connection)
        assert stored_revision(connection) == HEAD
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        upgrade(connection, "here")
    with engine.connect() as connection:
        assert definitions(connection) == created


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
