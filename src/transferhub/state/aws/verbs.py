"""What each verb of the ledger makes of a transfer or part, as `settling.Apply` wants it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from transferhub.model.transfer import (
    Attempt,
    Failure,
    Outcome,
    Part,
    PartOutcome,
    Transfer,
    TransferState,
    Upload,
    WorkKind,
)
from transferhub.state.aws.chunk import Chunk
from transferhub.state.aws.counts import MOVED, PART_BYTES
from transferhub.state.aws.group import Entry, Group
from transferhub.state.aws.groups import Change
from transferhub.state.aws.settling import Hold
from transferhub.state.rules import HISTORY_LIMIT, attempts_after_part, keeps_replaced_upload
from transferhub.state.values import from_micros, to_micros


class Verbs:
    """Attributes:
    now: the moment of the verb, in microseconds since 1970.
    """

    def __init__(self, now: int) -> None:
        self.now = now

    # Ends

    def complete(self, hold: Hold, outcome: Outcome, change: Change) -> bool:
        entry = hold.entry
        if hold.lease.kind is WorkKind.PART or entry is None:
            return False
        if entry.finish and outcome.state is TransferState.DONE and entry.upload is not None:
            change.delete_upload(entry.upload_row)
            entry.upload, entry.upload_row = None, ""
        abandon(entry, change)
        drop_parts(entry, change)
        entry.wait(0)
        move(hold.group, entry, outcome.state, change)
        change.counts[MOVED] += outcome.moved_bytes
        entry.moved_bytes, entry.etag = outcome.moved_bytes, outcome.etag
        entry.code, entry.note, entry.ended_at = outcome.code, outcome.note, self.now
        return True

    def complete_part(self, hold: Hold, outcome: PartOutcome, change: Change) -> bool:
        entry, part = hold.entry, hold.part
        if entry is None or part is None or hold.chunk is None:
            return False
        part.part = part.part._replace(etag=outcome.etag, proven=outcome.proven)
        part.wait(0)
        hold.chunk.is_changed = True
        entry.open_parts -= 1
        entry.part_bytes += part.part.size
        change.counts[PART_BYTES] += part.part.size
        hold.group.is_changed = True
        self.finish_if_whole(hold.group, entry, change)
        return True

    def finish_if_whole(self, group: Group, entry: Entry, change: Change) -> None:
        if not entry.open_parts:
            entry.finish = True
            self._wait(group, entry, self.now, change)

    # Leases

    def release(self, hold: Hold, _told: object, change: Change) -> bool:
        """Gives work back unstarted."""
        if hold.part is not None and hold.chunk is not None:
            hold.part.attempts -= 1
            hold.part.wait(self.now)
            hold.chunk.is_changed = True
            change.ring_chunk(hold.chunk, self.now)
        elif hold.entry is not None:
            hold.entry.attempts -= 1
            self._wait(hold.group, hold.entry, self.now, change)
        return True

    def renew(self, hold: Hold, until: int, change: Change) -> bool:
        if hold.part is not None and hold.chunk is not None:
            hold.part.due = until
            hold.chunk.is_changed = True
        elif hold.entry is not None:
            hold.entry.due = until
            hold.group.is_changed = True
        return True

    # Failures

    def fail(self, hold: Hold, failure: Failure, change: Change) -> bool:
        entry, part = hold.entry, hold.part
        assert entry is not None
        if failure.counted or failure.retry_at is None:
            self._note(hold.group, entry, failure, change)
        owner = part or entry
        if not failure.counted:
            owner.attempts -= 1
        if failure.retry_at is not None and failure.fresh is None:
            due = to_micros(failure.retry_at)
            if part is None:
                self._wait(hold.group, entry, due, change)
            elif hold.chunk is not None:
                part.wait(due)
                hold.chunk.is_changed = True
                change.ring_chunk(hold.chunk, due)
            return True
        if part is not None:
            entry.attempts = attempts_after_part(entry.attempts, part.attempts, failure)
        self._start_over(hold.group, entry, failure, change)
        return True

    def _note(self, group: Group, entry: Entry, failure: Failure, change: Change) -> None:
        known = change.histories.get(entry.transfer.key)
        attempt = Attempt(from_micros(self.now), failure.code, failure.message)
        history = (*(known.history if known else ()), attempt)[-HISTORY_LIMIT:]
        change.note_trouble(entry.record("", history), dead=False)
        entry.troubled = True
        group.is_changed = True

    def _start_over(self, group: Group, entry: Entry, failure: Failure, change: Change) -> None:
        """Gives up parts and upload; the transfer waits for a new beginning or is a dead letter."""
        drop_parts(entry, change)
        abandon(entry, change)
        fresh = failure.fresh and failure.fresh._replace(
            key=entry.transfer.key, action=entry.transfer.action, state=entry.transfer.state
        )
        if failure.retry_at is not None:
            self._wait(group, entry, to_micros(failure.retry_at), change, fresh)
            return
        entry.wait(0)
        move(group, entry, TransferState.FAILED, change, fresh)
        entry.code, entry.ended_at = failure.code, self.now
        change.counts.add_failure(failure.code, entry.transfer.size)
        history = change.histories[entry.transfer.key].history
        change.note_trouble(entry.record(failure.message, history), dead=True)

    def redrive(self, group: Group, entry: Entry, change: Change) -> None:
        self._revive(entry, change)
        entry.code, entry.ended_at, entry.attempts = "", 0, 0
        self._wait(group, entry, self.now, change)
        self._bury_no_more(entry, change)

    def begin_anew(self, group: Group, entry: Entry, transfer: Transfer, change: Change) -> None:
        was_dead = entry.state is TransferState.FAILED
        if was_dead:
            self._revive(entry, change)
        entry.moved_bytes, entry.etag, entry.ended_at, entry.attempts = 0, "", 0, 0
        entry.code, entry.note = "", ""
        entry.wait(0)
        move(group, entry, transfer.state, change, transfer)
        if was_dead:
            self._bury_no_more(entry, change)
        if transfer.state is TransferState.WAITING:
            change.ring(group, self.now)

    def release_held(self, group: Group, entry: Entry, change: Change) -> None:
        waiting = entry.transfer._replace(state=TransferState.WAITING)
        entry.wait(0)
        move(group, entry, TransferState.WAITING, change, waiting)

    def _revive(self, entry: Entry, change: Change) -> None:
        change.counts.add_failure(entry.code, entry.transfer.size, -1)

    def _bury_no_more(self, entry: Entry, change: Change) -> None:
        """Its failed attempts stay, but they are no dead letter's."""
        known = change.histories.get(entry.transfer.key)
        change.note_trouble(entry.record("", known.history if known else ()), dead=False)

    # Uploads

    def save_upload(self, hold: Hold, upload: Upload, change: Change) -> None:
        entry = hold.entry
        assert entry is not None
        if keeps_replaced_upload(entry.upload, upload):
            abandon(entry, change)
        if entry.upload is None:
            entry.upload_row = uuid4().hex
            change.uploads += 1
        entry.upload = upload
        change.put_upload(entry, upload)
        hold.group.is_changed = True

    def save_parts(
        self, hold: Hold, upload: Upload, chunks: Sequence[Chunk], change: Change
    ) -> None:
        """Args:
        chunks: are written already, and nothing names them yet.
        """
        entry = hold.entry
        assert entry is not None
        self.save_upload(hold, upload, change)
        drop_parts(entry, change)
        entry.attempts -= 1
        entry.wait(0)
        move(hold.group, entry, TransferState.IN_PARTS, change)
        planned: list[Part] = [at.part for chunk in chunks for at in chunk.parts]
        entry.generation = chunks[0].generation if chunks else ""
        entry.chunks = len(chunks)
        entry.open_parts = sum(not part.etag for part in planned)
        entry.part_bytes = sum(part.size for part in planned if part.etag)
        change.counts[PART_BYTES] += entry.part_bytes
        for chunk in chunks:
            if any(not at.part.etag for at in chunk.parts):
                change.ring_chunk(chunk, self.now)
        self.finish_if_whole(hold.group, entry, change)

    def _wait(
        self,
        group: Group,
        entry: Entry,
        due: int,
        change: Change,
        transfer: Transfer | None = None,
    ) -> None:
        entry.wait(due)
        move(group, entry, TransferState.WAITING, change, transfer)
        change.ring(group, due)


def move(
    group: Group,
    entry: Entry,
    state: TransferState,
    change: Change,
    transfer: Transfer | None = None,
) -> None:
    """Every change of a state or an identity goes through here, so that totals are exact."""
    change.counts.add_transfer(entry.transfer, entry.state, -1)
    entry.state = state
    if transfer is not None:
        entry.transfer, entry.replaced = transfer, True
    change.counts.add_transfer(entry.transfer, entry.state)
    group.is_changed = True


def abandon(entry: Entry, change: Change) -> None:
    """Its upload stays known until it is aborted and forgotten."""
    if entry.upload is not None:
        change.put_upload(entry, entry.upload, abandoned=True)
        entry.upload, entry.upload_row = None, ""


def drop_parts(entry: Entry, change: Change) -> None:
    if entry.generation:
        change.dropped.append((entry.generation, entry.chunks))
        change.counts[PART_BYTES] -= entry.part_bytes
    entry.generation, entry.chunks, entry.open_parts, entry.part_bytes = "", 0, 0, 0
    entry.finish = False
