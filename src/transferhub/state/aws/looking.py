"""What the verbs of the ledger look up, change nothing of, and show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transferhub.model.pages import Page
from transferhub.model.transfer import Transfer, TransferRecord, TransferState
from transferhub.state.aws.group import Entry, Group
from transferhub.state.aws.groups import Groups
from transferhub.state.aws.sort_keys import row_key
from transferhub.state.cursors import write_key_cursor

_MOST_SEEN = 4_000
"""Transfers that are looked at for one page: some sixteen groups."""


async def by_group(
    groups: Groups, keys: Sequence[str], *, read: bool = False
) -> list[tuple[Group, list[str]]]:
    """Keys, in the order of their bytes, with the groups that cover them.

    Args:
        read: the groups are read now, and not kept from before.
    """
    found: list[tuple[Group, list[str]]] = []
    for key in keys:
        if not (found and found[-1][0].covers(key.encode())):
            group = await (groups.read(key) if read else groups.of_key(key))
            found.append((group, []))
        found[-1][1].append(key)
    return found


def covered_by(group: Group, transfers: Sequence[Transfer], start: int) -> Sequence[Transfer]:
    """The transfers, in the order of their keys, that a group covers of those from `start` on."""
    end = start
    while end < len(transfers) and group.covers(transfers[end].key.encode()):
        end += 1
    return transfers[start:end]


def those_of(group: Group, keys: Sequence[str]) -> list[Entry]:
    """The entries of these keys that there are."""
    return [entry for key in keys if (entry := group.find(key)) is not None]


async def entries_of(
    groups: Groups,
    *,
    prefix: str,
    states: Sequence[TransferState],
    code: str,
    last: str | None,
    limit: int,
) -> tuple[list[Entry], str]:
    """A page of entries, and the cursor of the next one."""
    found: list[Entry] = []
    seen = 0
    start = max(prefix.encode(), b"" if last is None else last.encode() + b"\x00")
    async for entries in groups.scan(start):
        for entry in entries:
            key = entry.transfer.key
            if not key.startswith(prefix):
                return found, ""
            if (states and entry.state not in states) or code not in ("", entry.code):
                continue
            if len(found) == limit:
                return found, write_key_cursor(found[-1].transfer.key)
            found.append(entry)
        seen += len(entries)
        if seen >= _MOST_SEEN:
            return found, write_key_cursor(entries[-1].transfer.key)
    return found, ""


async def dead_page(
    groups: Groups, *, prefix: str, code: str, last: str | None, limit: int
) -> Page[TransferRecord]:
    """A page of dead letters alone."""
    found: list[TransferRecord] = []
    start = max(before(prefix), b"" if last is None else row_key(last))
    async for records in groups.dead(code, start):
        for record in records:
            key = record.transfer.key
            if key.startswith(prefix):
                if len(found) == limit:
                    return Page(items=tuple(found), cursor=write_key_cursor(found[-1].transfer.key))
                found.append(record)
            elif key.encode() > prefix.encode():
                return Page(items=tuple(found), cursor="")
    return Page(items=tuple(found), cursor="")


def before(prefix: str) -> bytes:
    """What the rows of all keys with this prefix sort after."""
    return row_key(prefix)[:-1]


def shown(entry: Entry, troubles: Mapping[str, TransferRecord]) -> TransferRecord:
    """The entry with what failed of it."""
    known = troubles.get(entry.transfer.key)
    if known is None:
        return entry.record()
    message = known.message if entry.state is TransferState.FAILED else ""
    return entry.record(message, known.history)


def is_sound(text: str) -> bool:
    """False of what no stored text can be: half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
