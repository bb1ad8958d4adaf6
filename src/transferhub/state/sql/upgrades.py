"""Creates or upgrades the tables with SQLAlchemy and Alembic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from transferhub.errors import StateError
from transferhub.state.sql import connection as plain
from transferhub.state.sql.drivers import Driver
from transferhub.state.sql.revision import (
    COMPATIBLE_SINCE,
    HEAD,
    MARK_AS_HEAD,
    is_usable,
    stored_revision,
)
from transferhub.state.sql.tables import metadata

MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK = 0x6474_685F_7374_6174  # any number, the same in every process
_LOCK_SECONDS = 3
"""How long a migration waits for a table, and makes whoever comes after it wait."""

_SET_SINCE = f"UPDATE compatibility SET since = '{COMPATIBLE_SINCE}'"
_IN_THE_WAY = ("55P03", "40P01")  # lock not available, deadlock
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)


def bring_up_to_date(driver: Driver) -> tuple[str | None, str]:
    """Processes that start together wait for the first one; those at work go on meanwhile.

    Returns:
        The revisions before and now; None where there were no tables.

    Raises:
        StateError: a newer version of the program wrote the tables, in a way that this one cannot
            use.
        Exception: the driver's own error.
    """
    for pause in (*_PAUSES, 0):
        try:
            return _bring_up_to_date(driver)
        except DBAPIError as error:
            reason = error.orig or error
            if not pause or getattr(reason, "sqlstate", None) not in _IN_THE_WAY:
                raise reason from error
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _bring_up_to_date(driver: Driver) -> tuple[str | None, str]:
    with _alone(engine_of(driver)) as connection:
        revision = revision_of(connection, driver)
        if revision is None:
            _create(connection)
        elif not is_usable(_raw(connection), driver.dialect, revision):
            upgrade(connection, driver.url.place)
            connection.exec_driver_sql(_SET_SINCE)
        return revision, max(revision or HEAD, HEAD)


def engine_of(driver: Driver) -> Engine:
    name = "sqlite" if driver.url.is_sqlite else "postgresql+psycopg"
    return create_engine(f"{name}://", creator=driver.connect, poolclass=NullPool)


def revision_of(connection: Connection, driver: Driver) -> str | None:
    return stored_revision(_raw(connection), driver.dialect)


def _raw(connection: Connection) -> plain.Connection:
    return cast("plain.Connection", connection.connection.dbapi_connection)


def upgrade(
    connection: Connection, where: str, revision: str = "head", *, migrations: Path = MIGRATIONS
) -> None:
    from alembic import command  # noqa: PLC0415 - a third of a second, and not to create tables
    from alembic.config import Config  # noqa: PLC0415 - the same
    from alembic.util import CommandError  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
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
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        yield connection
        connection.commit()
