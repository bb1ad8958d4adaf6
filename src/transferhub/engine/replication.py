"""The seam between the engine and a plugin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transferhub.engine.finder import ScanRecord
from transferhub.errors import TransferHubError
from transferhub.model.transfer import Part, RunId, Transfer, TransferState, Upload
from transferhub.state.base import Ledger

Find = Callable[[RunId, Ledger, Path, Callable[[str], None]], Awaitable[None]]
"""Records what a run is to do, as `Replication.find` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """How a copy ended without an error.

    Attributes:
        state: DONE, VANISHED (the source is gone) or SKIPPED (with `code`).
        moved_bytes: that passed through this worker; 0 for a copy on the server's side.
        etag: of the destination.
        note: what the destination could not keep, with NOT_KEPT before it, or what was done; "" for
            nothing.
    """

    state: TransferState = TransferState.DONE
    moved_bytes: int = 0
    etag: str = ""
    code: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """A transfer that is worth parts: the destination's key and the parts."""

    key: str
    parts: Sequence[Part]


class Replication(Protocol):
    """One task, opened: what a plugin does for the engine. Leasing, retry, limits, heartbeat,
    progress and cancellation are the engine's. Verbs raise TransferHubError; NotFoundError of the
    *source* never leaves them: the transfer has VANISHED. `whole.WholeCopies` has the verbs on
    parts for a plugin without them."""

    @property
    def fatal_codes(self) -> Collection[str]:
        """Codes of errors that every other transfer would meet too: the run fails, and keeps its
        work for a resume. `retry.FATAL_CODES` are those of a run between two places."""

    async def check(self) -> None:
        """Raises what is wrong with either side, before anything is changed."""

    async def find(
        self, run: RunId, record: ScanRecord, spool: Path, talk: Callable[[str], None]
    ) -> None:
        """Lists, compares and records; goes on where an earlier call for this run ended."""

    async def plan(self, transfer: Transfer) -> PartPlan | None:
        """Parts for a large transfer; None where `copy` takes it whole."""

    def weight(self, transfer: Transfer) -> int:
        """Bytes of memory that `copy` needs."""

    async def copy(self, transfer: Transfer) -> Copied: ...

    async def begin(self, transfer: Transfer, intent: Upload) -> Upload | Copied:
        """Creates the upload that is intended, and returns it with its id and its note, or says
        why there is nothing to upload."""

    async def copy_part(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        """Returns the part with its etag, and whether that proves its bytes."""

    def finish_weight(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        """Bytes of memory that `finish` needs."""

    async def finish(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Copied:
        """Makes the object of its parts; succeeds too where an earlier call did it and was not
        heard.

        Raises:
            NotFoundError: code "no_upload", the upload is lost and its parts with it.
        """

    async def abort(self, upload: Upload) -> None:
        """Gives up an upload; of an intent, the uploads that its worker can have created."""

    async def delete(self, transfers: Sequence[Transfer]) -> Mapping[str, TransferHubError]:
        """Deletes EXTRA keys; returns the failures by `Transfer.key`."""

    async def refresh(self, transfer: Transfer) -> Transfer | None:
        """The transfer with the source's present identity, None where the source is gone."""

    async def aclose(self) -> None: ...
