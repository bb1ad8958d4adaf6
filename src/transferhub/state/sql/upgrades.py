"""Creates or upgrades the tables with SQLAlchemy and Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from transferhub.errors import StateError
from transferhub.state.sql import connection as plain
from transferhub.state.sql.drivers import Driver
from transferhub.state.sql.revision import HEAD, MARK_AS_HEAD, stored_revision
from transferhub.state.sql.tables import metadata

MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK = 0x6474_685F_7374_6174  # any number, the same in every process


def bring_up_to_date(driver: Driver) -> None:
    """Processes that start together wait for the first one.

    Raises:
        StateError: a newer version of the program wrote the tables.
        Exception: the driver's own error.
    """
    try:
        with _alone(engine_of(driver)) as connection:
            revision = revision_of(connection, driver)
            if revision is None:
                _create(connection)
            elif revision != HEAD:
                upgrade(connection, driver.url.place)
    except DBAPIError as error:
        raise error.orig or error from error


def engine_of(driver: Driver) -> Engine:
    name = "sqlite" if driver.url.is_sqlite else "postgresql+psycopg"
    return create_engine(f"{name}://", creator=driver.connect, poolclass=NullPool)


def revision_of(connection: Connection, driver: Driver) -> str | None:
    raw = cast("plain.Connection", connection.connection.dbapi_connection)
    return stored_revision(raw, driver.dialect)


def upgrade(connection: Connection, where: str, revision: str = "head") -> None:
    from alembic import command  # noqa: PLC0415 - a third of a second, and not to create tables
    from alembic.config import Config  # noqa: PLC0415 - the same
    from alembic.util import CommandError  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StateError(
            f"The state in {where} was written by a newer version of this program: "
            "install that one.",
            code="state_newer",
        ) from error


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    for statement in MARK_AS_HEAD:
        connection.exec_driver_sql(statement)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migration runs beside."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection
        connection.commit()
