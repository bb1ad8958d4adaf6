"""Many writers of one run on AWS, and what does not fit into one transaction."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import (
    bury,
    done,
    failed,
    lease_all,
    new,
    news,
    part_done,
    parts,
    records,
    recount,
)
from tests.integration.aws_ledgers import Office, assert_tiled, office
from tests.integration.test_busy_ledger import RUN as BUSY_RUN
from tests.integration.test_busy_ledger import Actor, assert_exact
from tests.servers.ministack import MinistackServer
from transferhub.model.transfer import (
    Action,
    RunId,
    ScanCounts,
    Shard,
    Transfer,
    TransferState,
    Upload,
    WorkerId,
    WorkKind,
)
from transferhub.state.aws import groups, inserting, leasing
from transferhub.state.aws.ledger import AwsLedger

RUN = RunId("run")
LARGE = 300 << 20
COUNT, PAGE = 240, 40


@pytest.fixture
async def state(ministack: MinistackServer) -> AsyncIterator[Office]:
    async with office(ministack.endpoint) as state:
        yield state


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that some hundred transfers are as many groups as millions are."""
    monkeypatch.setattr(inserting, "MOST_ENTRIES", 8)
    monkeypatch.setattr(groups, "_MOST_KEPT", 20)
    monkeypatch.setattr(groups, "_DUE_ROWS", 3)
    monkeypatch.setattr(leasing, "_MOST_OWNERS", 5)


def ways() -> list[list[Transfer]]:
    """The same transfers, as writers come upon them who know nothing of each other."""
    ascending = news(COUNT)
    shuffled = random.Random(7).sample(ascending, len(ascending))
    interleaved = [*ascending[::2], *ascending[1::2]]
    return [ascending, ascending[::-1], interleaved, shuffled, ascending[40:160]]


async def write(ledger: AwsLedger, name: str, transfers: Sequence[Transfer]) -> int:
    added = 0
    for start in range(0, len(transfers), PAGE):
        shard = Shard(
            ident=f"{name}-{start}", done=True, detail="{}", counts=ScanCounts(scanned_source=PAGE)
        )
        added += await ledger.record(RUN, transfers[start : start + PAGE], [shard])
    return added


@pytest.mark.usefixtures("small_groups")
async def test_what_many_writers_record_is_there_once_and_in_order(state: Office) -> None:
    ledgers = [await state.ledger() for _ in ways()]
    writers = zip(ledgers, ways(), strict=True)
    added = await asyncio.gather(*(write(at, f"{n}", way) for n, (at, way) in enumerate(writers)))
    ledger = await state.ledger()
    assert sum(added) == COUNT
    found = [record.transfer async for record in ledger.transfers(RUN)]
    assert found == news(COUNT)
    totals = await ledger.totals(RUN)
    assert totals.tallies == await recount(ledger, RUN)
    assert totals.shards == totals.shards_done == 4 * COUNT // PAGE + 3
    assert totals.scan.scanned_source == PAGE * totals.shards
    assert_tiled(await state.groups())


@pytest.mark.usefixtures("small_groups")
async def test_workers_and_writers_at_once_end_each_transfer_once(state: Office) -> None:
    writers = [
        asyncio.create_task(write(await state.ledger(), f"{n}", way))
        for n, way in enumerate(ways()[1:4])
    ]
    given: list[str] = []

    async def work(number: int) -> None:
        ledger, worker = await state.ledger(), WorkerId(f"{number}")
        while not (all(at.done() for at in writers) and not (await ledger.totals(RUN)).open):
            leases = await ledger.lease(
                RUN, worker, limit=37, max_bytes=1 << 40, duration=timedelta(hours=1)
            )
            given.extend(at.transfer.key for at in leases)
            assert not await ledger.complete([done(at, 1) for at in leases])

    await asyncio.gather(*writers, *map(work, range(3)))
    ledger = await state.ledger()
    assert sorted(given) == [at.key for at in news(COUNT)]
    totals = await ledger.totals(RUN)
    assert totals.tally(Action.COPY, TransferState.DONE).count == totals.moved_bytes == COUNT
    assert totals.tallies == await recount(ledger, RUN)
    assert_tiled(await state.groups())
    await state.drained(ledger, RUN)


@pytest.mark.usefixtures("small_groups")
async def test_workers_of_one_large_object_end_each_part_once(state: Office) -> None:
    first = await state.ledger()
    await first.record(RUN, [new("large", 120), *news(5)])
    given: list[tuple[str, int]] = []

    async def work(number: int) -> None:
        ledger, worker = await state.ledger(), WorkerId(f"{number}")
        while (await ledger.totals(RUN)).open:
            leases = await ledger.lease(
                RUN, worker, limit=7, max_bytes=1 << 40, duration=timedelta(hours=1)
            )
            for at in leases:
                if at.kind is WorkKind.TRANSFER and at.transfer.key == "large":
                    upload = Upload("large", "id", state.clock.now)
                    await ledger.save_parts(at, upload, parts(*([1] * 120)))
                elif at.kind is WorkKind.PART and at.part is not None:
                    given.append((at.transfer.key, at.part.number))
                    assert not await ledger.complete_parts([part_done(at)])
                else:
                    assert len(at.parts) in {0, 120}
                    assert not await ledger.complete([done(at, at.transfer.size)])

    await asyncio.gather(*map(work, range(3)))
    assert sorted(given) == [("large", number) for number in range(1, 121)]
    assert await first.part_bytes(RUN) == 0
    totals = await first.totals(RUN)
    assert (totals.moved_bytes, totals.uploads) == (125, 0)
    assert not [row for row in await state.rows() if row["pk"].endswith("|parts")]
    await state.drained(first, RUN)


async def test_totals_stay_exact_whatever_is_asked_at_once(state: Office) -> None:
    ledgers = [await state.ledger() for _ in range(4)]
    actors = [Actor(ledger, number) for number, ledger in enumerate(ledgers)]
    await asyncio.gather(*(actor.act(20) for actor in actors))
    await assert_exact(ledgers[0])
    assert_tiled(await state.groups())
    assert BUSY_RUN in await ledgers[1].ledgers()


# What one transaction does not take


@pytest.mark.parametrize(
    "transfers",
    [
        news(240, LARGE),
        [new(f"{n:06}{'x' * 980}") for n in range(3_000)],
        [new(f"{'x' * 980}{n:06}") for n in range(3_000)],
    ],
    ids=["large", "long", "long-and-alike"],
)
async def test_hundreds_of_groups_are_recorded_at_once(
    state: Office, transfers: list[Transfer]
) -> None:
    ledger = await state.ledger()
    assert await ledger.record(RUN, transfers[::2]) == len(transfers) // 2
    assert await ledger.record(RUN, transfers) == len(transfers) // 2
    assert [record.transfer async for record in ledger.transfers(RUN)] == transfers
    assert (await ledger.totals(RUN)).tallies == await recount(ledger, RUN)
    assert_tiled(await state.groups())


async def test_keys_all_over_the_run_are_recorded_at_once(state: Office) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, news(30_000))
    added = [new(f"key-{number:06}a") for number in range(0, 30_000, 100)]
    assert await ledger.record(RUN, added) == len(added)
    found = [record.transfer.key async for record in ledger.transfers(RUN)]
    assert found == sorted([*(at.key for at in added), *(at.key for at in news(30_000))])
    assert_tiled(await state.groups())


async def test_keys_all_over_the_run_begin_anew_at_once(state: Office) -> None:
    ledger = await state.ledger()
    transfers = news(70, LARGE)
    await bury(ledger, RUN, *(f"dead-{number:03}" for number in range(150)))
    await ledger.record(RUN, transfers)
    assert not await ledger.complete([done(at) for at in await lease_all(ledger, RUN)])
    again = [*transfers, *(new(f"dead-{n:03}", 7) for n in range(150)), *news(80)[70:]]

    assert await ledger.replace(RUN, again)

    assert {at.state for at in (await records(ledger, RUN)).values()} == {TransferState.WAITING}
    assert (await ledger.totals(RUN)).tallies == await recount(ledger, RUN)
    assert not await ledger.failures(RUN)
    assert not await ledger.replace(RUN, again)


async def test_a_group_whose_objects_grew_takes_more(state: Office) -> None:
    ledger = await state.ledger()
    await ledger.record(RUN, news(200))
    leases = await lease_all(ledger, RUN)
    grown = [failed(at, state.clock.now, fresh=new("", LARGE)) for at in leases]
    assert not await ledger.fail(grown)
    assert await ledger.record(RUN, [new("key-000100a"), *news(210)[200:]]) == 11
    assert len(await records(ledger, RUN)) == 211
    assert_tiled(await state.groups())
