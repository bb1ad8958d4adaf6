"""How new transfers find their place among the groups of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import pairwise

from transferhub.model.transfer import Transfer
from transferhub.state.aws.group import (
    MOST_BYTES,
    MOST_ENTRIES,
    MOST_SIZE,
    Entry,
    Group,
)
from transferhub.state.aws.sort_keys import separator


def insert(group: Group, new: Sequence[Entry], born: int) -> list[Group]:
    """The groups that take a group's place, with new entries in the order of their keys. The first
    one is the group itself."""
    if not new:
        return [group]
    pieces = _appended(group, new) or [*_split([*merge(group.entries, new, key=_raw)])]
    lows = [group.low, *(_between(*pair) for pair in pairwise(pieces))]
    untils = [*lows[1:], group.until]
    first = Group(
        low=group.low,
        until=untils[0],
        version=group.version,
        body=group.body,
        born=group.born,
        entries=pieces[0],
        is_read=group.is_read,
        is_changed=True,
        body_is_new=pieces[0] is not group.entries,
    )
    others = [
        Group(
            low=low,
            until=until,
            version=0,
            body=b"",
            born=born,
            entries=entries,
            is_changed=True,
            body_is_new=True,
        )
        for low, until, entries in zip(lows[1:], untils[1:], pieces[1:], strict=True)
    ]
    return [first, *others]


def _appended(group: Group, new: Sequence[Entry]) -> list[list[Entry]] | None:
    """The group as it is and new ones after it; None where they belong among its keys, or where it
    is so small that one row for both costs less."""
    if not group.entries or _raw(new[0]) < group.last or len(group.entries) < len(new) // 2:
        return None
    if len(group.entries) + len(new) <= MOST_ENTRIES // 4:
        return None
    if separator(group.last, _raw(new[0])) is None:
        return None
    return [group.entries, *_split(new)]


def _split(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    piece: list[Entry] = []
    size = written = 0
    for entry in entries:
        transfer = entry.transfer
        length = _length(transfer)
        full = (
            len(piece) >= MOST_ENTRIES
            or written + length > MOST_BYTES
            or size + transfer.size > MOST_SIZE
        )
        if piece and full and separator(_raw(piece[-1]), _raw(entry)) is not None:
            yield piece
            piece, size, written = [], 0, 0
        piece.append(entry)
        size += transfer.size
        written += length
    if piece:
        yield piece


def _between(before: Sequence[Entry], after: Sequence[Entry]) -> bytes:
    low = separator(_raw(before[-1]), _raw(after[0]))
    assert low is not None, "groups are split where a short key separates them"
    return low


def _raw(entry: Entry) -> bytes:
    return entry.transfer.key.encode()


def _length(transfer: Transfer) -> int:
    """Bytes that it takes before it is packed, about."""
    return 64 + len(transfer.key) + len(transfer.etag) + len(transfer.detail)
