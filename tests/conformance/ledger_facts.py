"""What the suite of the Ledger port shares: a clock, a run, and short words for its verbs."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from transferhub.model.transfer import (
    Action,
    Difference,
    Failure,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    Tally,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    WorkerId,
    WorkKind,
)
from transferhub.state.base import Ledger

WORKER = WorkerId("worker-1")
OTHER = WorkerId("worker-2")
LEASE = timedelta(seconds=60)
ANY_SIZE = 1 << 50
STARTED = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)
UPLOAD = Upload("destination/key", "upload-1", STARTED, "the destination did not keep: tags")
INTENT = UPLOAD._replace(upload_id="", note="")


class FakeClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 5, 6, 7, 890_123, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)


class LedgerFacts:
    """A subclass gives the fixture `ledger`, which uses `clock`. It may hold other runs."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def run(self) -> RunId:
        return RunId(f"run-{uuid4().hex}")

    @pytest.fixture(autouse=True)
    async def _totals_are_exact(self, ledger: Ledger, run: RunId) -> AsyncIterator[None]:
        """Whatever a test did, the totals are what a recount gives."""
        yield
        assert (await ledger.totals(run)).tallies == await recount(ledger, run)


async def recount(ledger: Ledger, run: RunId) -> dict[tuple[Action, TransferState], Tally]:
    return tallies([record async for record in ledger.transfers(run)])


def tallies(found: Iterable[TransferRecord]) -> dict[tuple[Action, TransferState], Tally]:
    counts: Counter[tuple[Action, TransferState]] = Counter()
    sizes: Counter[tuple[Action, TransferState]] = Counter()
    for record in found:
        at = (record.transfer.action, record.state)
        counts[at] += 1
        sizes[at] += record.transfer.size
    return {at: Tally(count, sizes[at]) for at, count in counts.items()}


def new(key: str, size: int = 1) -> Transfer:
    return Transfer(key, Difference.NEW, size)


def news(count: int, size: int = 1) -> list[Transfer]:
    return [new(f"key-{number:06}", size) for number in range(count)]


def extra(key: str, state: TransferState = TransferState.WAITING) -> Transfer:
    return Transfer(key, Difference.EXTRA, 5, action=Action.DELETE, state=state)


async def lease(
    ledger: Ledger,
    run: RunId,
    *,
    limit: int = 100,
    max_bytes: int = ANY_SIZE,
    worker: WorkerId = WORKER,
) -> Sequence[Lease]:
    return await ledger.lease(run, worker, limit=limit, max_bytes=max_bytes, duration=LEASE)


async def lease_one(ledger: Ledger, run: RunId) -> Lease:
    [found] = await lease(ledger, run)
    return found


async def lease_all(ledger: Ledger, run: RunId) -> list[Lease]:
    """Leases batch after batch, until there is nothing left."""
    found: list[Lease] = []
    while batch := await lease(ledger, run):
        found += batch
    return found


async def lease_new(ledger: Ledger, run: RunId, *transfers: Transfer) -> list[Lease]:
    """Records transfers and leases them; they come in the order given."""
    await ledger.record(run, transfers)
    found = {at.transfer.key: at for at in await lease_all(ledger, run)}
    return [found[transfer.key] for transfer in transfers]


async def lease_parts(
    ledger: Ledger, run: RunId, *, key: str = "large", sizes: Iterable[int] = (5, 5, 3)
) -> list[Lease]:
    """Records a transfer, puts it in parts, and leases these; they come by number."""
    planned = parts(*sizes)
    [whole] = await lease_new(ledger, run, new(key, sum(part.size for part in planned)))
    await ledger.save_parts(whole, UPLOAD, planned)
    return by_number(await lease_all(ledger, run))


async def lease_finish(ledger: Ledger, run: RunId) -> Lease:
    """Ends all parts of a new transfer, and leases its FINISH."""
    await ledger.complete_parts([part_done(at) for at in await lease_parts(ledger, run)])
    return await lease_one(ledger, run)


async def bury(
    ledger: Ledger, run: RunId, *keys: str, code: str = "denied", message: str = "No."
) -> None:
    """Makes dead letters."""
    leases = await lease_new(ledger, run, *(new(key) for key in keys))
    assert not await ledger.fail([failed(at, code=code, message=message) for at in leases])


def parts(*sizes: int) -> list[Part]:
    return [Part(at + 1, sum(sizes[:at]), size) for at, size in enumerate(sizes)]


def by_number(leases: Sequence[Lease]) -> list[Lease]:
    assert all(at.kind is WorkKind.PART for at in leases)
    return sorted(leases, key=lambda at: at.part.number if at.part else 0)


def done(at: Lease, moved_bytes: int = 0) -> Outcome:
    return Outcome(at, TransferState.DONE, moved_bytes, "etag")


def part_done(at: Lease) -> PartOutcome:
    assert at.part is not None
    return PartOutcome(at, f"etag-{at.part.number}", proven=at.part.number == 2)


def failed(
    at: Lease,
    retry_at: datetime | None = None,
    *,
    code: str = "transient",
    message: str = "It broke.",
    counted: bool = True,
    fresh: Transfer | None = None,
) -> Failure:
    return Failure(at, code, message, retry_at, counted, fresh)


async def records(ledger: Ledger, run: RunId, *states: TransferState) -> dict[str, TransferRecord]:
    return {at.transfer.key: at async for at in ledger.transfers(run, states=states)}


async def only_record(ledger: Ledger, run: RunId) -> TransferRecord:
    [record] = (await records(ledger, run)).values()
    return record
