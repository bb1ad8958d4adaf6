"""`Group`: consecutive keys of a run, and what became of each of them.

The body holds what was recorded and is written once. The head holds the states, is small, and is
written with each change under the version that was read.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transferhub.aws.attributes import Item
from transferhub.model.transfer import (
    Action,
    Attempt,
    Difference,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    WorkKind,
)
from transferhub.state.aws.sort_keys import head_key
from transferhub.state.rules import weight
from transferhub.state.values import (
    from_micros,
    from_micros_or_none,
    to_micros,
    to_micros_or_none,
)

MOST_ENTRIES = 256
MOST_BYTES = 48 << 10
"""Of what is recorded, before it is packed: an item holds 400 KB, and it packs to a third."""

MOST_SIZE = 256 << 20
"""Bytes of objects: a larger one is alone."""

AT_ONCE = 0
"""Due of work that never started."""

_STARTABLE = frozenset({TransferState.WAITING, TransferState.LEASED})
_SAME = 1
"""Stands for a result that is what the source has."""


def due_key(micros: int) -> bytes:
    """Sorts as the number does."""
    return micros.to_bytes(8, "big")


@dataclass(slots=True)
class Entry:
    """One transfer.

    Attributes:
        due: in microseconds since 1970; of leased work, when its lease runs out.
        token: of its lease; "" where it is not leased.
        generation: names its parts; "" where it has none.
        chunks: how many rows hold them.
        upload_row: names the row of its upload.
        troubled: it has a row of failed attempts.
    """

    transfer: Transfer
    state: TransferState
    attempts: int = 0
    due: int = AT_ONCE
    token: str = ""
    worker: str = ""
    finish: bool = False
    generation: str = ""
    chunks: int = 0
    open_parts: int = 0
    part_bytes: int = 0
    upload: Upload | None = None
    upload_row: str = ""
    moved_bytes: int = 0
    etag: str = ""
    code: str = ""
    note: str = ""
    ended_at: int = 0
    troubled: bool = False
    replaced: bool = False  # its transfer is not the one of the body any more

    @property
    def kind(self) -> WorkKind:
        return WorkKind.FINISH if self.finish else WorkKind.TRANSFER

    @property
    def weight(self) -> int:
        return weight(self.kind, self.transfer.action, self.transfer.size)

    @property
    def is_fresh(self) -> bool:
        return self.due == AT_ONCE

    def may_start(self, now: int) -> bool:
        return self.state in _STARTABLE and self.due <= now

    def wait(self, due: int) -> None:
        """Ends the lease; whoever moves the state says so to the counts."""
        self.token, self.worker, self.due = "", "", due

    def record(self, message: str = "", history: Sequence[Attempt] = ()) -> TransferRecord:
        return TransferRecord(
            transfer=self.transfer,
            state=self.state,
            attempts=self.attempts,
            moved_bytes=self.moved_bytes,
            destination_etag=self.etag,
            code=self.code,
            message=message,
            note=self.note,
            ended_at=from_micros(self.ended_at) if self.ended_at else None,
            history=tuple(history),
        )


@dataclass(slots=True)
class Group:
    """Attributes:
    low: the first key that it may hold.
    until: the first key of the next one; None where there is none.
    version: that was read; 0 of a new one.
    body: the sort key of its body; b"" where it holds nothing.
    born: when it was made, in microseconds since 1970.
    entries: by the bytes of their keys.
    """

    low: bytes
    until: bytes | None
    version: int
    body: bytes
    born: int
    entries: list[Entry]
    is_read: bool = True  # just now, and not kept from before
    is_changed: bool = False
    body_is_new: bool = False
    _keys: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keys = [entry.transfer.key.encode() for entry in self.entries]

    @property
    def sort_key(self) -> bytes:
        return head_key(self.low)

    def covers(self, key: bytes) -> bool:
        return self.low <= key and (self.until is None or key < self.until)

    def find(self, key: str) -> Entry | None:
        raw = key.encode()
        at = bisect_left(self._keys, raw)
        return self.entries[at] if at < len(self._keys) and self._keys[at] == raw else None

    @property
    def last(self) -> bytes:
        return self._keys[-1] if self._keys else self.low

    def startable(self, now: int) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.may_start(now))

    def place(self) -> tuple[str, int] | None:
        """Its place in the index of work: the stream, and when something of it may start."""
        dues = [entry.due for entry in self.entries if entry.state in _STARTABLE]
        if not dues:
            return None
        if not any(dues) and not any(entry.attempts for entry in self.entries):
            return "fresh", self.born
        if AT_ONCE in dues:  # begun: before all that are not
            return "fresh", AT_ONCE
        return "again", min(dues)

    # As items

    def pack_body(self) -> bytes:
        return pack([_recorded(entry.transfer) for entry in self.entries])

    def pack_states(self) -> bytes:
        return pack([_stated(entry) for entry in self.entries])

    @classmethod
    def of(cls, low: bytes, head: Mapping[str, Any], transfers: Sequence[Transfer]) -> Group:
        """Args:
        transfers: of the head's body.

        Raises:
            ValueError: they are not.
        """
        states = unpack(head["states"])
        entries = [_entry(*both) for both in zip(transfers, states, strict=True)]
        return cls(
            low=low,
            until=head.get("until"),
            version=head["version"],
            body=head.get("body", b""),
            born=head["born"],
            entries=entries,
        )

    def item(self, epoch: str, expires: int) -> Item:
        """The head, of the next version."""
        item: Item = {
            "pk": groups_of(epoch),
            "sk": self.sort_key,
            "low": self.low,
            "version": self.version + 1,
            "body": self.body,
            "born": self.born,
            "states": self.pack_states(),
            "expires": expires,
        }
        if self.until is not None:
            item["until"] = self.until
        if (place := self.place()) is not None:
            stream, due = place
            item |= {"due_of": f"{epoch}|{stream}", "due": due_key(due)}
        return item


def read_body(body: bytes) -> Sequence[Transfer]:
    return [_transfer(row) for row in unpack(body)]


def groups_of(epoch: str) -> str:
    """The partition of an epoch's groups."""
    return f"{epoch}|groups"


def pack(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows of one shape, by columns: those that are alike all the way are written once."""
    columns: list[Any] = []
    for column in zip(*rows, strict=True):
        first = column[0]
        alike = column.count(first) == len(column) and len({*map(type, column)}) == 1
        columns.append([first] if alike else column)
    text = json.dumps([len(rows), *columns], separators=(",", ":"))
    # Digests and names hold hardly a sequence twice: so it takes 7 % less.
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    return packer.compress(text.encode()) + packer.flush()


def unpack(packed: bytes) -> list[tuple[Any, ...]]:
    count, *columns = json.loads(zlib.decompress(packed))
    whole = [column * count if len(column) == 1 else column for column in columns]
    return list(zip(*whole, strict=True)) if count else []


_DIFFERENCES, _ACTIONS, _STATES = tuple(Difference), tuple(Action), tuple(TransferState)


def _code(members: tuple[Any, ...]) -> Callable[[Any], int]:
    return {member: number for number, member in enumerate(members)}.__getitem__


_difference, _action, _state = _code(_DIFFERENCES), _code(_ACTIONS), _code(_STATES)


def _recorded(transfer: Transfer) -> list[Any]:
    modified = transfer.modified_at
    return [
        transfer.key,
        _difference(transfer.difference),
        transfer.size,
        transfer.etag,
        to_micros_or_none(modified),
        transfer.storage_class,
        _action(transfer.action),
        _state(transfer.state),
        transfer.detail,
    ]


def _transfer(row: Sequence[Any]) -> Transfer:
    key, difference, size, etag, modified, storage_class, action, state, detail = row
    return Transfer(
        key,
        _DIFFERENCES[difference],
        size,
        etag,
        from_micros_or_none(modified),
        storage_class,
        _ACTIONS[action],
        _STATES[state],
        detail,
    )


def _stated(entry: Entry) -> list[Any]:
    transfer, upload = entry.transfer, entry.upload
    alike = entry.etag and entry.etag == transfer.etag
    return [
        _state(entry.state),
        entry.attempts,
        entry.due,
        entry.token,
        entry.worker,
        int(entry.finish),
        entry.generation,
        entry.chunks,
        entry.open_parts,
        entry.part_bytes,
        None if upload is None else packed_upload(upload),
        entry.upload_row,
        -_SAME if entry.moved_bytes and entry.moved_bytes == transfer.size else entry.moved_bytes,
        _SAME if alike else entry.etag,
        entry.code,
        entry.note,
        entry.ended_at,
        int(entry.troubled),
        _recorded(transfer) if entry.replaced else None,
    ]


def _entry(recorded: Transfer, row: Sequence[Any]) -> Entry:
    (
        state,
        attempts,
        due,
        token,
        worker,
        finish,
        generation,
        chunks,
        open_parts,
        part_bytes,
        upload,
        upload_row,
        moved_bytes,
        etag,
        code,
        note,
        ended_at,
        troubled,
        replaced,
    ) = row
    transfer = recorded if replaced is None else _transfer(replaced)
    return Entry(
        transfer=transfer,
        state=_STATES[state],
        attempts=attempts,
        due=due,
        token=token,
        worker=worker,
        finish=bool(finish),
        generation=generation,
        chunks=chunks,
        open_parts=open_parts,
        part_bytes=part_bytes,
        upload=None if upload is None else read_upload(upload),
        upload_row=upload_row,
        moved_bytes=transfer.size if moved_bytes == -_SAME else moved_bytes,
        etag=transfer.etag if etag == _SAME else etag,
        code=code,
        note=note,
        ended_at=ended_at,
        troubled=bool(troubled),
        replaced=replaced is not None,
    )


def packed_upload(upload: Upload) -> list[Any]:
    return [upload.key, upload.upload_id, to_micros(upload.started_at), upload.note]


def read_upload(row: Sequence[Any]) -> Upload:
    key, upload_id, started_at, note = row
    return Upload(key, upload_id, from_micros(started_at), note)


def pack_record(record: TransferRecord) -> bytes:
    """A dead letter, or what failed of a transfer so far, as a row of its own keeps it."""
    row = [
        _recorded(record.transfer),
        _state(record.state),
        record.attempts,
        record.moved_bytes,
        record.destination_etag,
        record.code,
        record.message,
        record.note,
        to_micros_or_none(record.ended_at),
        [[to_micros(at.at), at.code, at.message] for at in record.history],
    ]
    return zlib.compress(json.dumps(row, separators=(",", ":")).encode(), 6)


def read_record(packed: bytes) -> TransferRecord:
    transfer, state, attempts, moved, etag, code, message, note, ended_at, history = json.loads(
        zlib.decompress(packed)
    )
    return TransferRecord(
        transfer=_transfer(transfer),
        state=_STATES[state],
        attempts=attempts,
        moved_bytes=moved,
        destination_etag=etag,
        code=code,
        message=message,
        note=note,
        ended_at=from_micros_or_none(ended_at),
        history=tuple(Attempt(from_micros(at), code, message) for at, code, message in history),
    )
