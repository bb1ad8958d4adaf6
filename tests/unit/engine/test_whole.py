"""Replications that copy everything whole."""

from datetime import UTC, datetime

import pytest

from tests.unit.engine.fake_replication import RUN, FakeReplication, work_off, worker
from transferhub.engine.whole import WholeCopies
from transferhub.model.transfer import Difference, Part, Transfer, TransferState, Upload
from transferhub.state.memory import MemoryLedger


class Whole(WholeCopies, FakeReplication):
    pass


async def test_what_is_large_is_copied_whole_too() -> None:
    ledger = MemoryLedger()
    await ledger.record(RUN, [Transfer("large", Difference.NEW, 1 << 20)])
    replication = Whole(parts_from=1)
    await work_off(ledger, worker(ledger, replication))
    assert [r.state async for r in ledger.transfers(RUN)] == [TransferState.DONE]
    assert replication.alive == set()


async def test_nobody_asks_for_its_parts_unheard() -> None:
    transfer, part = Transfer("large", Difference.NEW, 1 << 20), Part(1, 0, 1)
    upload = Upload("large", "id", datetime(2026, 1, 1, tzinfo=UTC))
    whole = WholeCopies()
    for asked in (
        whole.begin(transfer, upload),
        whole.copy_part(transfer, upload, part),
        whole.finish(transfer, upload, [part]),
        whole.abort(upload),
    ):
        with pytest.raises(AssertionError, match="'large' is copied whole"):
            await asked
    with pytest.raises(AssertionError, match="'large' is copied whole"):
        whole.finish_weight(transfer, [part])
