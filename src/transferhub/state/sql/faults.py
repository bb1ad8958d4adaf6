"""Turns the errors of SQLAlchemy and its drivers into StateErrors."""

from __future__ import annotations

import re

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from transferhub.errors import StateError

# By the words of SQLite's own messages, which are stable, in the order of looking.
_SQLITE = (
    ("disk is full", "state_full", "is on a full disk", "free some space and run it again"),
    (
        "disk i/o error",
        "state_io",
        "could not be read or written",
        "check that the disk has room, its quota, and any limit on file sizes",
    ),
    ("readonly", "state_readonly", "may not be written", "make the file and its folder writable"),
    (
        "locked",
        "state_locked",
        "was locked by another process for too long",
        "see which process holds it, and never put it on a network file system",
    ),
    (
        "not a database",
        "state_corrupt",
        "is not a SQLite database",
        "name another file, or remove this one",
    ),
    (
        "malformed",
        "state_corrupt",
        "is damaged",
        "restore it, or remove it and let the next run compare anew",
    ),
    (
        "unable to open",
        "state_unreachable",
        "could not be opened",
        "check that its folder exists and that you may write there",
    ),
)
_POSTGRES = (
    ("53100", "state_full", "is on a full disk", "free some space on the server"),
    ("28", "state_denied", "refused the user or the password", "check both"),
    ("3D000", "state_unreachable", "does not exist", "create the database first"),
    ("42501", "state_denied", "does not permit this", "grant the user the rights to its schema"),
    ("25006", "state_readonly", "is read-only", "name the primary server"),
    ("53", "state_unreachable", "has no room for another connection", "allow more connections"),
)
# The driver tells no state of a connection that the server refused, only its words.
_REFUSALS = (
    (re.compile("^database "), "3D000"),
    (re.compile(r"^role |password|authentication|pg_hba\.conf"), "28000"),
    (re.compile("too many clients|connection slots"), "53300"),
)
_SHUT_DOWN = "57P"
_REPEATABLE = ("40001", "40P01")  # serialization failure, deadlock: the server chose a victim


def place(url: URL) -> str:
    """The database as people may see it: without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def is_repeatable(error: SQLAlchemyError) -> bool:
    """Whether the same transaction will succeed when it is tried again."""
    return _sqlstate(error) in _REPEATABLE


def is_lost(error: SQLAlchemyError, url: URL) -> bool:
    """Whether the server is away, perhaps to come back soon: it is being restarted."""
    if url.get_backend_name() == "sqlite" or not isinstance(error, DBAPIError):
        return False
    sqlstate = _sqlstate(error)
    if error.connection_invalidated or sqlstate.startswith(_SHUT_DOWN):
        return True
    unreachable = type(error.orig).__name__ == "OperationalError" and not sqlstate
    return unreachable and not _refusal(_reason(error))


def state_error(error: SQLAlchemyError, url: URL) -> StateError:
    where = place(url)
    reason = _reason(error)
    if url.get_backend_name() == "sqlite":
        lower = reason.lower()
        found = next((row for row in _SQLITE if row[0] in lower), None)
    else:
        found = _of_postgres(error, _sqlstate(error) or _refusal(reason))
    if found is None:
        return StateError(f"The state in {where} could not be used: {reason}.")
    _, code, what, advice = found
    return StateError(f"The state in {where} {what} ({reason}): {advice}.", code=code)


def _of_postgres(error: SQLAlchemyError, sqlstate: str) -> tuple[str, str, str, str] | None:
    for row in _POSTGRES:
        if sqlstate and sqlstate.startswith(row[0]):
            return row
    # A connection that fails or breaks has no state of its own.
    if isinstance(error, DBAPIError) and type(error.orig).__name__ == "OperationalError":
        advice = "check that the server runs and that the URL names its host, port and user"
        return ("", "state_unreachable", "could not be reached", advice)
    return None


def _refusal(reason: str) -> str:
    _, _, words = reason.partition("FATAL:")
    return next((state for said, state in _REFUSALS if said.search(words.strip())), "")


def _sqlstate(error: SQLAlchemyError) -> str:
    orig = getattr(error, "orig", None)
    return getattr(orig, "sqlstate", None) or ""


def _reason(error: SQLAlchemyError) -> str:
    """The first line of the driver's own words."""
    words = str(getattr(error, "orig", None) or error).strip()
    return words.splitlines()[0].rstrip(".") if words else type(error).__name__
