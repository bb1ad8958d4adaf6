"""How new transfers find their place among the groups of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import pairwise
from typing import NamedTuple

from transferhub.model.transfer import Transfer, TransferState
from transferhub.state.aws.group import (
    MOST_BYTES,
    MOST_ENTRIES,
    MOST_SIZE,
    Entry,
    Group,
)
from transferhub.state.aws.sort_keys import separator

_ENOUGH = 8
"""Rows in which one transfer always finds its place."""


class Placed(NamedTuple):
    """The first ones of some transfers in a group.

    Attributes:
        taken: how many of them.
        known: the entries of those whose keys were there.
        new: the others.
        pieces: the groups that take the group's place; the group itself where nothing is new.
    """

    taken: int
    known: Sequence[Entry]
    new: Sequence[Transfer]
    pieces: Sequence[Group]


def place(group: Group, transfers: Sequence[Transfer], born: int, room: int) -> Placed:
    """As many of the first transfers, in the order of their keys, as need no more rows than `room`:
    each piece is one, and so is what failed of a dead letter."""
    taken = len(transfers)
    while taken:
        known = [entry for at in transfers[:taken] if (entry := group.find(at.key)) is not None]
        new = [at for at in transfers[:taken] if group.find(at.key) is None]
        most = _ENOUGH if taken == 1 and room >= _ENOUGH else len(transfers) + len(group.entries)
        pieces = insert(group, [Entry(at, at.state) for at in new], born, most)
        if len(pieces) + sum(at.state is TransferState.FAILED for at in known) <= room:
            return Placed(taken, known, new, pieces)
        taken //= 2
    return Placed(0, (), (), ())


def insert(group: Group, new: Sequence[Entry], born: int, most: int) -> list[Group]:
    """The groups that take a group's place, with new entries in the order of their keys. The first
    one is the group itself.

    Args:
        most: how many, also where they become too large.
    """
    if not new:
        return [group]
    pieces = _appended(group, new) or [*_split([*merge(group.entries, new, key=_raw)], most)]
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
    return [group.entries, *_split(new, len(new))]


def _split(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    piece: list[Entry] = []
    pieces, size, written = 1, 0, 0
    for entry in entries:
        transfer = entry.transfer
        length = _length(transfer)
        full = (
            len(piece) >= MOST_ENTRIES
            or written + length > MOST_BYTES
            or size + transfer.size > MOST_SIZE
        )
        full = full and pieces < most
        if piece and full and separator(_raw(piece[-1]), _raw(entry)) is not None:
            yield piece
            piece, pieces, size, written = [], pieces + 1, 0, 0
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
