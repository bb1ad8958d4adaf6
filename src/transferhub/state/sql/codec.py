"""How values are written in rows: small integers, microseconds, and text without NUL."""

from __future__ import annotations

from dataclasses import fields
from hashlib import blake2b

from transferhub.model.transfer import (
    Action,
    Difference,
    ScanCounts,
    Transfer,
    TransferState,
)
from transferhub.state.values import from_micros, whole_text

# The place of a value is its code. New ones go to the end; none is ever moved.
STATES = (
    TransferState.WAITING,
    TransferState.LEASED,
    TransferState.IN_PARTS,
    TransferState.HELD,
    TransferState.DONE,
    TransferState.FAILED,
    TransferState.VANISHED,
    TransferState.SKIPPED,
    TransferState.ARCHIVED,
)
WAITING, LEASED, IN_PARTS, HELD, DONE, FAILED, VANISHED, SKIPPED, ARCHIVED = range(len(STATES))
PART_DONE = 2  # parts are WAITING, LEASED or this

ACTIONS = (Action.COPY, Action.DELETE)
DIFFERENCES = (Difference.NEW, Difference.CHANGED, Difference.SAME, Difference.EXTRA)

STATE_CODES = {state: code for code, state in enumerate(STATES)}
ACTION_CODES = {action: code for code, action in enumerate(ACTIONS)}
DIFFERENCE_CODES = {difference: code for code, difference in enumerate(DIFFERENCES)}

_START_STATES = {HELD: TransferState.HELD, ARCHIVED: TransferState.ARCHIVED}


def to_text(text: str) -> str:
    r"""Text as both databases hold it, reversibly and in the same byte order.

    PostgreSQL's text cannot hold \x00 (and SQLite's JSON functions end at it), but keys may: \x01
    becomes the mark of an escape.
    """
    if "\x00" in text or "\x01" in text:
        return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return text


def from_text(text: str) -> str:
    if "\x01" in text:
        return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")
    return text


def to_words(text: str) -> str:
    """Words for people, which may quote anything (see `whole_text`), as `from_text` reads them."""
    return to_text(whole_text(text))


def worker_code(worker: str) -> int:
    """A number for a worker's name: short enough for every row, and never the same for two."""
    return int.from_bytes(blake2b(worker.encode(), digest_size=8).digest(), "big", signed=True)


def to_transfer(
    state: int,
    key: str,
    difference: int,
    size: int,
    etag: str,
    modified_at: int | None,
    storage_class: str,
    action: int,
    detail: str,
) -> Transfer:
    """Reads the present state and the columns of TRANSFER_COLUMNS."""
    return Transfer(
        from_text(key),
        DIFFERENCES[difference],
        size,
        etag,
        None if modified_at is None else from_micros(modified_at),
        storage_class,
        ACTIONS[action],
        _START_STATES.get(state, TransferState.WAITING),
        from_text(detail),
    )


TRANSFER_COLUMNS = "key, difference, size, etag, modified_at, storage_class, action, detail"
SCAN_COLUMNS = tuple(field.name for field in fields(ScanCounts))
