"""Brings the tables up to date, whoever starts first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from transferhub.errors import StateError
from transferhub.state.sql.faults import place
from transferhub.state.sql.schema import metadata

HEAD = "0001"
"""The newest revision in migrations/versions, and what `schema` is."""

MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK = 0x6474_685F_7374_6174  # any number, the same in every process
_WAL_TRIES = 100


def migrate(engine: Engine) -> None:
    """Creates or upgrades the tables. Processes that start together wait for the first one.

    Raises:
        StateError: a newer version of the program wrote them.
    """
    if engine.dialect.name == "sqlite":
        _use_wal(engine)
    with engine.connect() as connection:
        if stored_revision(connection) == HEAD:
            return
    with _alone(engine) as connection:
        revision = stored_revision(connection)
        if revision is None:
            _create(connection)
        elif revision != HEAD:
            upgrade(connection, place(engine.url))


def stored_revision(connection: Connection) -> str | None:
    """None where there are no tables of ours."""
    try:
        with connection.begin_nested():
            found = connection.execute(text("SELECT version_num FROM alembic_version"))
            return found.scalar_one_or_none()
    except (OperationalError, ProgrammingError) as error:
        # Sent as it is where the reason is another one than the missing table.
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            return None
        raise


def upgrade(connection: Connection, where: str, revision: str = "head") -> None:
    # Alembic takes a third of a second to load, and hardly any start needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

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
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD}
    )


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


def _use_wal(engine: Engine) -> None:
    """Write-ahead logging is a property of the file, so most starts find it set."""
    with engine.connect() as connection:
        for _ in range(_WAL_TRIES):
            try:
                mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar_one()
            except OperationalError as error:
                # SQLite does not wait for the lock that this change needs.
                if "locked" not in str(error.orig):
                    raise
                time.sleep(0.05)
                continue
            if mode in ("wal", "memory"):
                return
