"""What a preview needs of the differences that a scan finds."""

from __future__ import annotations

from transferhub.engine.compare import CompareMode
from transferhub.engine.multipart import is_whole, part_size
from transferhub.model.transfer import Difference, ScanCounts, Transfer, TransferState
from transferhub.plugins.objects.estimate import (
    FIRST_KEYS,
    FirstKey,
    Preview,
    Work,
    estimate,
)
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.prices import PriceTable
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.stores.base import MAX_PART_BYTES


class WorkSample:
    """Sums up the differences one by one and keeps the first.

    Args:
        server_copy: the server copies, so that no byte leaves it.
    """

    def __init__(self, spec: ObjectsSpec, *, server_copy: bool = False) -> None:
        self._spec = spec
        self._server_copy = server_copy
        self._keys = KeyMap.of(spec)
        self.forget()

    def forget(self) -> None:
        """Begins anew, as a scan does that found a store out of order."""
        self._multipart = 0
        self._parts = 0
        self._first: list[FirstKey] = []

    def see(self, transfer: Transfer) -> None:
        if transfer.state is TransferState.ARCHIVED:
            return
        extra = transfer.difference is Difference.EXTRA
        if extra and not self._spec.mirror:
            return
        if not extra:
            self._count_parts(transfer)
        if len(self._first) < FIRST_KEYS:
            self._first.append(
                FirstKey(
                    key="" if extra else transfer.key,
                    destination=self._keys.landing(transfer.key),
                    size=transfer.size,
                    difference=transfer.difference,
                )
            )

    def see_many(self, count: int, size: int) -> None:
        """So many new objects of one size, whose keys are not known."""
        self._count_parts(Transfer("", Difference.NEW, size), count)

    def preview(self, scan: ScanCounts, prices: PriceTable) -> Preview:
        """The sum, priced."""
        compared = self._looked_at(scan)
        copies = scan.new + scan.changed
        work = Work(
            scan=scan,
            multipart_objects=self._multipart,
            parts=self._parts,
            deletes=scan.extra if self._spec.mirror else 0,
            source_lists=0 if self._spec.manifest or self._spec.inventory else None,
            destination_lists=0 if self._spec.manifest else None,
            source_heads=compared + (copies if self._server_copy else self._multipart),
            destination_heads=compared,
            tagged_objects=copies if self._spec.tags else 0,
            server_copy=self._server_copy,
        )
        return estimate(
            work,
            source=self._spec.source.provider_name,
            destination=self._spec.destination.provider_name,
            prices=prices,
            first_keys=sorted(self._first, key=lambda first: first.destination),
        )

    def _looked_at(self, scan: ScanCounts) -> int:
        """Objects that a HEAD on each side compares."""
        if self._spec.manifest:
            return scan.scanned_source
        return scan.same + scan.changed if self._spec.compare is CompareMode.CHECKSUM else 0

    def _count_parts(self, transfer: Transfer, objects: int = 1) -> None:
        chosen = self._spec.part_size
        if self._server_copy and chosen is None and transfer.size <= MAX_PART_BYTES:
            return
        if is_whole(transfer.size, transfer.etag, MAX_PART_BYTES, chosen):
            return
        each = part_size(transfer.size, transfer.etag, chosen)
        self._multipart += objects
        self._parts += objects * -(-transfer.size // each)
