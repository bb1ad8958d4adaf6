"""`WholeCopies`: what a replication says of parts where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from transferhub.engine.replication import Copied, PartPlan
from transferhub.model.transfer import Part, Transfer, Upload


class WholeCopies:
    """The verbs of a `Replication` on parts, for one that copies everything whole. The engine asks
    for none but `plan`; the others raise."""

    async def plan(self, transfer: Transfer) -> PartPlan | None:
        return None

    async def begin(self, transfer: Transfer, intent: Upload) -> Upload | Copied:
        _refuse(transfer.key)

    async def copy_part(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        _refuse(transfer.key)

    def finish_weight(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        _refuse(transfer.key)

    async def finish(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Copied:
        _refuse(transfer.key)

    async def abort(self, upload: Upload) -> None:
        _refuse(upload.key)


def _refuse(key: str) -> NoReturn:
    raise AssertionError(f"{key!r} is copied whole, and has no upload")
