"""The rows behind leases, locked until the transaction ends: the fence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transferhub.model.transfer import Lease, WorkKind
from transferhub.state.sql.codec import LEASED
from transferhub.state.sql.session import Session

# "+ 0" keeps planners off the index of all that is open: the ids are all they need.
_LEASED = f"state + 0 = {LEASED}"


class HeldTransfer(NamedTuple):
    ident: int
    run_id: int
    token: int
    action: int
    size: int
    attempts: int
    finish: int
    upload_ref: int | None


class HeldPart(NamedTuple):
    ident: int
    transfer_id: int
    token: int
    attempts: int


class TransferOfParts(NamedTuple):
    ident: int
    run_id: int
    action: int
    size: int
    attempts: int
    upload_ref: int | None


class Held:
    """The work whose leases are not stale; each lease is taken once.

    Rows are locked in one order everywhere (transfers, then parts, each by id), so that two writers
    never wait for each other in a circle.
    """

    def __init__(self, session: Session, leases: Sequence[Lease]) -> None:
        """Args:
        leases: of any kind of work.
        """
        whole = [_id(lease) for lease in leases if lease.kind is not WorkKind.PART]
        parts = [_id(lease) for lease in leases if lease.kind is WorkKind.PART]
        self._transfers = hold_transfers(session, whole)
        self.transfers_of_parts = _hold_transfers_of_parts(session, parts)
        self._parts = _hold_parts(session, parts)

    def transfer(self, lease: Lease) -> HeldTransfer | None:
        if lease.kind is WorkKind.PART:
            return None
        row = self._transfers.get(lease.ident)
        if row is None or row.token != lease.token:
            return None
        return self._transfers.pop(lease.ident)

    def part(self, lease: Lease) -> HeldPart | None:
        if lease.kind is not WorkKind.PART:
            return None
        row = self._parts.get(lease.ident)
        if row is None or row.token != lease.token:
            return None
        return self._parts.pop(lease.ident)


def hold_transfers(session: Session, ids: Sequence[int]) -> dict[int | str, HeldTransfer]:
    rows = session.fetch_ids(
        "id, run_id, token, action, size, attempts, finish, upload_ref",
        f"FROM transfers WHERE {_LEASED} AND id {{ids}} ORDER BY id {session.dialect.lock}",
        ids,
    )
    return {row[0]: HeldTransfer._make(row) for row in rows}


def _hold_transfers_of_parts(session: Session, ids: Sequence[int]) -> dict[int, TransferOfParts]:
    rows = session.fetch_ids(
        "id, run_id, action, size, attempts, upload_ref",
        "FROM transfers WHERE id IN (SELECT transfer_id FROM parts WHERE id {ids}) "
        f"ORDER BY id {session.dialect.lock}",
        ids,
    )
    return {row[0]: TransferOfParts._make(row) for row in rows}


def _hold_parts(session: Session, ids: Sequence[int]) -> dict[int | str, HeldPart]:
    rows = session.fetch_ids(
        "id, transfer_id, token, attempts",
        f"FROM parts WHERE {_LEASED} AND id {{ids}} ORDER BY id {session.dialect.lock}",
        ids,
    )
    return {row[0]: HeldPart._make(row) for row in rows}


def _id(lease: Lease) -> int:
    if isinstance(lease.ident, int):
        return lease.ident
    raise TypeError("the lease is of another ledger")
