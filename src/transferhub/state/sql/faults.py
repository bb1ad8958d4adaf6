"""Turns the errors of the drivers into StateErrors."""

from __future__ import annotations

import re

from transferhub.errors import StateError
from transferhub.state.sql.url import DatabaseUrl

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


def is_repeatable(error: Exception) -> bool:
    """Whether the same transaction will succeed when it is tried again."""
    return _sqlstate(error) in _REPEATABLE


def is_lost(error: Exception, url: DatabaseUrl) -> bool:
    """Whether the server is away, perhaps to come back soon: it is being restarted."""
    if url.is_sqlite:
        return False
    if _sqlstate(error).startswith(_SHUT_DOWN):
        return True
    return _is_broken(error) and not _refusal(_reason(error))


def state_error(error: Exception, url: DatabaseUrl) -> StateError:
    where = url.place
    reason = _reason(error)
    if url.is_sqlite:
        lower = reason.lower()
        found = next((row for row in _SQLITE if row[0] in lower), None)
    else:
        found = _of_postgres(error, _sqlstate(error) or _refusal(reason))
    if found is None:
        return StateError(f"The state in {where} could not be used: {reason}.")
    _, code, what, advice = found
    return StateError(f"The state in {where} {what} ({reason}): {advice}.", code=code)


def _of_postgres(error: Exception, sqlstate: str) -> tuple[str, str, str, str] | None:
    for row in _POSTGRES:
        if sqlstate and sqlstate.startswith(row[0]):
            return row
    if _is_broken(error):
        advice = "check that the server runs and that the URL names its host, port and user"
        return ("", "state_unreachable", "could not be reached", advice)
    return None


def _is_broken(error: Exception) -> bool:
    """A connection that fails or breaks has no state of its own."""
    kinds = (kind.__name__ for kind in type(error).__mro__)
    return not _sqlstate(error) and "OperationalError" in kinds


def _refusal(reason: str) -> str:
    _, _, words = reason.partition("FATAL:")
    return next((state for said, state in _REFUSALS if said.search(words.strip())), "")


def _sqlstate(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""


def _reason(error: Exception) -> str:
    """The first line of the driver's own words."""
    words = str(error).strip()
    return words.splitlines()[0].rstrip(".") if words else type(error).__name__
