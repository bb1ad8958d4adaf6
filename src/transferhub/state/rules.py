"""What every ledger decides in the same way, whatever it is built on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from fnmatch import translate
from typing import TypeVar

from transferhub.model.transfer import (
    Action,
    Failure,
    Transfer,
    TransferState,
    Upload,
    WorkKind,
)

HISTORY_LIMIT = 20
"""The newest failed attempts that are kept of a transfer."""

GATHER = timedelta(seconds=0.25)
"""See `Ledger.gather`: of a ledger whose verbs cost time alone. Small leases cost it more than
copying costs the worker, and large ones leave other workers idle at the end."""

START_STATES = frozenset({TransferState.WAITING, TransferState.HELD, TransferState.ARCHIVED})
"""A transfer may be recorded in one of these."""

END_STATES = frozenset({TransferState.DONE, TransferState.VANISHED, TransferState.SKIPPED})
"""An outcome may be one of these."""

_CODED_STATES = (TransferState.FAILED, TransferState.SKIPPED)

_Item = TypeVar("_Item")


def check_start(transfers: Sequence[Transfer]) -> None:
    if not START_STATES.issuperset([transfer.state for transfer in transfers]):
        raise ValueError("a transfer starts in WAITING, HELD or ARCHIVED")


def key_matcher(glob: str) -> Callable[[str], bool]:
    """Tells whether a key matches: case-sensitive, over the whole key, `*` also matches `/`."""
    if glob == "*":
        return lambda _key: True
    pattern = re.compile(translate(glob))
    return lambda key: pattern.match(key) is not None


def glob_prefix(glob: str) -> str:
    """What every key starts with that the glob matches."""
    return re.split(r"[*?[]", glob, maxsplit=1)[0]


def states_with_code(states: Sequence[TransferState]) -> Sequence[TransferState]:
    """Those of the states (of all where there are none) whose transfers may have an error code."""
    return [state for state in _CODED_STATES if state in (states or _CODED_STATES)]


def weight(kind: WorkKind, action: Action, size: int) -> int:
    """The bytes that a piece of work moves through its worker."""
    return 0 if kind is WorkKind.FINISH or action is Action.DELETE else size


def keeps_replaced_upload(old: Upload | None, new: Upload) -> bool:
    """Whether a replaced upload must stay known, as abandoned: only an abort ends one that has an
    id. An intent and the upload that came of it are one."""
    return old is not None and old.upload_id not in ("", new.upload_id)


def attempts_after_part(of_transfer: int, of_part: int, failure: Failure) -> int:
    """The attempts of a transfer whose parts are dropped because one failed.

    A dead letter shows the attempts that its part had. A fresh start counts as one more, or a
    source that always changes would never become a dead letter.
    """
    if failure.retry_at is None:
        return max(of_transfer, of_part)
    return of_transfer + failure.counted


def fair_batch(
    streams: Sequence[Sequence[_Item]],
    weigh: Callable[[_Item], int],
    *,
    limit: int,
    max_bytes: int,
    first: int,
) -> list[_Item]:
    """Takes from the streams in turns, starting with stream `first`, up to `limit` items.

    A stream's turns end at the item that would make the batch heavier than `max_bytes`; the very
    first item is taken whatever it weighs. A caller that moves `first` on with each batch starves
    no stream, and no heavy item.
    """
    turn = first % len(streams)
    waiting = [iter(stream) for stream in (*streams[turn:], *streams[:turn]) if stream]
    batch: list[_Item] = []
    room = max_bytes
    while waiting and len(batch) < limit:
        for stream in tuple(waiting):
            item = next(stream, None)
            cost = 0 if item is None else weigh(item)
            if item is None or (batch and cost > max(room, 0)):
                waiting.remove(stream)
                continue
            batch.append(item)
            room -= cost
            if len(batch) == limit:
                break
    return batch
