"""The row of a run: its number, and the lock that keeps its rows together."""

from __future__ import annotations

from transferhub.model.transfer import RunId
from transferhub.state.sql.codec import to_text
from transferhub.state.sql.session import Session

NO_RUN = 0
"""The number of a run that the ledger does not know; no row has it."""


def find_run(session: Session, run: RunId) -> int:
    return _find(session, run, "")


def open_run(session: Session, run: RunId) -> int:
    """The run's number, given now if it has none, for a writer of its rows: nobody purges the run
    before the transaction ends."""
    found = _find(session, run, session.dialect.lock_run)
    while found == NO_RUN:
        session.execute("INSERT INTO ledgers (run) VALUES (?) ON CONFLICT DO NOTHING", to_text(run))
        found = _find(session, run, session.dialect.lock_run)
    return found


def seize_run(session: Session, run: RunId) -> int:
    """The run's number, for a writer that must not see new transfers until it is done."""
    return _find(session, run, session.dialect.lock_run_alone)


def _find(session: Session, run: RunId, lock: str) -> int:
    rows = session.fetch("id", f"FROM ledgers WHERE run = ? {lock}", to_text(run))
    return int(rows[0][0]) if rows else NO_RUN
