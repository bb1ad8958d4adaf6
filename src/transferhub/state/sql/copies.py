"""Copies of a SQLite database: backups, and their way back. These functions block."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from transferhub.errors import InputError, StateError
from transferhub.model.clock import Clock, utc_now
from transferhub.state.sql.drivers import SqliteDriver
from transferhub.state.sql.revision import HEAD, is_usable, stored_revision
from transferhub.state.sql.upkeep import told_as_state
from transferhub.state.sql.url import DatabaseUrl


def back_up(database: Path, copy: Path) -> int:
    """Copies the database as it is at one moment, while others work with it.

    The copy is there whole and found sound, or not at all.

    Returns:
        Its size in bytes.

    Raises:
        InputError: `copy` is there already, or cannot be written.
        StateError: the database cannot be read.
    """
    if not database.exists():
        raise StateError(f"There is nothing in {database} yet.")
    with _new_file(copy) as partial:
        _copy(database, partial)
        return partial.stat().st_size


def restore(copy: Path, database: Path, *, clock: Clock = utc_now) -> Path | None:
    """Puts a copy in the place of the database, with which nobody works meanwhile.

    Returns:
        Where the former database is kept; None where there was none.

    Raises:
        InputError: `copy` is no backup that this program can use; nothing was changed.
        StateError: the database's folder cannot be written.
    """
    if not copy.is_file():
        raise InputError("file", f"there is no file {copy}")
    fresh = database.with_name(f"{database.name}.restored")
    fresh.unlink(missing_ok=True)
    try:
        _copy(copy, fresh)
        _refuse_foreign(fresh, copy)
        kept = _set_aside(database, clock()) if database.exists() else None
        fresh.replace(database)
        _sync(database.parent)
    except StateError as error:
        raise InputError("file", f"{copy} is no backup of this program: {error.message}") from error
    except OSError as error:
        raise StateError(f"{database} cannot be replaced: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
    return kept


def _copy(source: Path, target: Path) -> None:
    """Copies and checks; the copy is one file, whatever stood beside the source."""
    driver = _driver(source)
    with closing(told_as_state(driver, driver.connect)) as reader:
        told_as_state(driver, lambda: _fill(reader, target))


def _fill(reader: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as writer:
        # In one step: of several, each would begin anew when somebody writes.
        reader.backup(writer, pages=-1)
        writer.execute("PRAGMA journal_mode = DELETE")
        found = writer.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _refuse_foreign(fresh: Path, copy: Path) -> None:
    """Raises InputError where the tables are not ours, or of a version that we cannot use."""
    driver = _driver(fresh)
    with closing(driver.connect()) as connection:
        revision = stored_revision(connection, driver.dialect)
        usable = is_usable(connection, driver.dialect, revision)
    if revision is None:
        raise InputError("file", f"{copy} is no backup of this program: it has no tables of it")
    if not usable and revision > HEAD:
        raise InputError("file", f"{copy} is of a newer version of this program: install that one")


def _set_aside(database: Path, now: datetime) -> Path:
    """Keeps the former database under a name of its own; it stays in its place, too."""
    kept = database.with_name(f"{database.name}.before-{now:%Y%m%d-%H%M%S}")
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            # What stands beside the file goes into it: it must not be taken for the copy's.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError:  # it is damaged, which may be why it is replaced
        pass
    os.link(database, kept)
    for end in ("-wal", "-shm"):
        beside = database.with_name(f"{database.name}{end}")
        if beside.exists():
            beside.replace(kept.with_name(f"{kept.name}{end}"))
    return kept


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Gives a file to write, which becomes `path` when the block ends, and is gone where it
    raises. Never overwrites."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.exists():
        raise _there_already(path)
    try:
        partial.touch(mode=0o600, exist_ok=False)
        yield partial
        os.link(partial, path)
        _sync(path.parent)
    except FileExistsError:
        raise _there_already(path) from None
    except OSError as error:
        raise InputError("file", f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _there_already(path: Path) -> InputError:
    return InputError("file", f"{path} is there already; name another one")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _driver(path: Path) -> SqliteDriver:
    return SqliteDriver(DatabaseUrl(is_sqlite=True, target=str(path), place=str(path)))
