"""Multipart uploads of ours, and the parts that are leased."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from transferhub.errors import LeaseLostError
from transferhub.model.transfer import Lease, Part, RunId, Upload, UploadRecord
from transferhub.state.rules import keeps_replaced_upload
from transferhub.state.sql.codec import (
    IN_PARTS,
    LEASED,
    PART_DONE,
    WAITING,
    from_text,
    to_text,
)
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.held import Held, HeldTransfer
from transferhub.state.sql.ledgers import find_run
from transferhub.state.sql.session import Session
from transferhub.state.sql.tallies import Tallies
from transferhub.state.values import from_micros, to_micros

_PART_COLUMNS: Columns = (
    ("number", "BIGINT"),
    ("start", "BIGINT"),
    ("size", "BIGINT"),
    ("etag", "TEXT"),
    ("proven", "BIGINT"),
    ("state", "BIGINT"),
)
_PART_NAMES = ", ".join(name for name, _ in _PART_COLUMNS)
_UPLOAD_NAMES = "key, upload_id, started_at, note"


def load_uploads(session: Session, refs: Collection[int]) -> dict[int, Upload]:
    rows = session.fetch_ids(f"id, {_UPLOAD_NAMES}", "FROM uploads WHERE id {ids}", sorted(refs))
    return {ref: _upload(*upload) for ref, *upload in rows}


def save_upload(session: Session, lease: Lease, upload: Upload) -> None:
    _save(session, lease, _held(session, lease), upload)


def save_parts(
    session: Session, lease: Lease, upload: Upload, parts: Sequence[Part], now: datetime
) -> None:
    row = _held(session, lease)
    _save(session, lease, row, upload)
    open_parts = sum(not part.etag for part in parts)
    session.execute("DELETE FROM parts WHERE transfer_id = ?", row.ident)
    session.execute_rows(
        f"INSERT INTO parts (transfer_id, run_id, {_PART_NAMES}) "
        f"SELECT ?, ?, {_PART_NAMES} FROM ({{rows}}) AS v",
        _PART_COLUMNS,
        [_part_row(part) for part in parts],
        row.ident,
        row.run_id,
    )
    # Planned well: not held against the attempts of FINISH.
    session.execute(
        "UPDATE transfers SET state = ?, finish = ?, open_parts = ?, due = ?, "
        "attempts = attempts - 1 WHERE id = ?",
        IN_PARTS if open_parts else WAITING,
        int(not open_parts),
        open_parts,
        to_micros(now),
        row.ident,
    )
    tallies = Tallies()
    tallies.move(row.run_id, row.action, row.size, LEASED, IN_PARTS if open_parts else WAITING)
    tallies.save(session)


def uploads(session: Session, run: RunId) -> Sequence[UploadRecord]:
    rows = session.fetch(
        f"transfer_key, abandoned, {_UPLOAD_NAMES}",
        "FROM uploads WHERE run_id = ? ORDER BY id",
        find_run(session, run),
    )
    return [
        UploadRecord(from_text(transfer_key), _upload(*upload), bool(abandoned))
        for transfer_key, abandoned, *upload in rows
    ]


def forget_upload(session: Session, run: RunId, record: UploadRecord) -> None:
    session.execute(
        "DELETE FROM uploads WHERE run_id = ? AND transfer_key = ? AND key = ? AND upload_id = ? "
        "AND started_at = ? AND abandoned = 1",
        find_run(session, run),
        to_text(record.transfer_key),
        to_text(record.upload.key),
        to_text(record.upload.upload_id),
        to_micros(record.upload.started_at),
    )


def _part_row(part: Part) -> Row:
    state = PART_DONE if part.etag else WAITING
    return part.number, part.offset, part.size, to_text(part.etag), int(part.proven), state


def _upload(key: str, upload_id: str, started_at: int, note: str) -> Upload:
    return Upload(from_text(key), from_text(upload_id), from_micros(started_at), from_text(note))


def _held(session: Session, lease: Lease) -> HeldTransfer:
    row = Held(session, [lease]).transfer(lease)
    if row is None:
        raise LeaseLostError(f"The lease of {lease.transfer.key!r} was lost.")
    return row


def _save(session: Session, lease: Lease, row: HeldTransfer, upload: Upload) -> None:
    if row.upload_ref is not None:
        old = load_uploads(session, [row.upload_ref])[row.upload_ref]
        if keeps_replaced_upload(old, upload):
            session.execute("UPDATE uploads SET abandoned = 1 WHERE id = ?", row.upload_ref)
        else:
            session.execute("DELETE FROM uploads WHERE id = ?", row.upload_ref)
    ref = session.insert(
        f"INSERT INTO uploads (run_id, transfer_key, {_UPLOAD_NAMES}) "
        "VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        row.run_id,
        to_text(lease.transfer.key),
        to_text(upload.key),
        to_text(upload.upload_id),
        to_micros(upload.started_at),
        to_text(upload.note),
    )
    session.execute("UPDATE transfers SET upload_ref = ? WHERE id = ?", ref, row.ident)
