"""A process that dies after any request of any verb: another one goes on, and nothing is lost,
counted twice or left behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from tests.conformance.ledger_facts import (
    WORKER,
    done,
    extra,
    failed,
    lease_all,
    new,
    part_done,
    parts,
    records,
    recount,
)
from tests.integration.aws_ledgers import Office, assert_tiled, office
from tests.servers.ministack import MinistackServer
from transferhub.aws.client import AwsClient
from transferhub.model.transfer import (
    Lease,
    RunId,
    ScanCounts,
    Shard,
    TransferState,
    Upload,
    WorkKind,
)
from transferhub.state.aws import chunk, epochs, inserting
from transferhub.state.aws.ledger import AwsLedger

RUN = RunId("run")
SMALL = [new(f"key-{number:02}", 3) for number in range(9)]
LARGE = new("large", 12)
ALL = [*SMALL, LARGE, extra("old", TransferState.HELD)]
SHARD = Shard(ident="all", done=True, detail="{}", counts=ScanCounts(scanned_source=10, new=10))
PLAN = parts(4, 4, 4)
SOON = timedelta(seconds=1)
"""A lease: what the dead received is hidden for so long."""

LONG = 600.0


class Died(BaseException):
    """The end of a process: nothing of it goes on."""


@dataclass(eq=False)
class Fuse:
    """Lets so many requests pass; None: all of them."""

    left: int | None = None
    passed: int = 0

    def burn(self) -> None:
        if self.left == self.passed:
            raise Died
        self.passed += 1


@dataclass(eq=False)
class Mortal:
    """A client of a process that dies."""

    client: AwsClient
    fuse: Fuse

    async def ask(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.fuse.burn()
        return await self.client.ask(action, parameters)

    async def aclose(self) -> None:
        await self.client.aclose()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Attributes:
    before: what leads to the verb; returns leases for it.
    verb: in which the process dies.
    moved: how often the bytes of small objects may have been moved by the end.
    """

    before: Callable[["Play"], Awaitable[Sequence[Lease]]]
    verb: Callable[["Play", Sequence[Lease]], Awaitable[object]]
    moved: int = 1


@dataclass(kw_only=True)
class Play:
    state: Office
    ledger: AwsLedger
    fuse: Fuse = field(default_factory=Fuse)

    async def lease(self) -> list[Lease]:
        found: list[Lease] = []
        while batch := await self.ledger.lease(
            RUN, WORKER, limit=100, max_bytes=1 << 40, duration=SOON
        ):
            found += batch
        return found

    def upload(self) -> Upload:
        return Upload("there", "upload-1", self.state.clock.now)


async def nothing(_: Play) -> Sequence[Lease]:
    return []


async def some(play: Play) -> Sequence[Lease]:
    await play.ledger.record(RUN, ALL[::2])
    return []


async def recorded(play: Play) -> Sequence[Lease]:
    await play.ledger.record(RUN, ALL, [SHARD])
    return []


async def leased(play: Play) -> Sequence[Lease]:
    await recorded(play)
    return await play.lease()


async def leased_large(play: Play) -> Sequence[Lease]:
    return [at for at in await leased(play) if at.transfer == LARGE]


async def leased_parts(play: Play) -> Sequence[Lease]:
    [large] = await leased_large(play)
    await play.ledger.save_parts(large, play.upload(), PLAN)
    return [at for at in await play.lease() if at.kind is WorkKind.PART]


async def leased_finish(play: Play) -> Sequence[Lease]:
    found = await leased_parts(play)
    await play.ledger.complete_parts([part_done(at) for at in found])
    return [at for at in await play.lease() if at.kind is WorkKind.FINISH]


async def ended(play: Play) -> Sequence[Lease]:
    await play.ledger.record(RUN, SMALL, [SHARD])
    await play.ledger.complete([done(at, 3) for at in await play.lease()])
    return []


async def dead(play: Play) -> Sequence[Lease]:
    await play.ledger.fail([failed(at) for at in await leased(play)])
    return []


async def abandoned(play: Play) -> Sequence[Lease]:
    await play.ledger.fail([failed(at) for at in await leased_parts(play)])
    return []


async def forget(play: Play, _: Sequence[Lease]) -> None:
    for record in await play.ledger.uploads(RUN):
        await play.ledger.forget_upload(RUN, record)


def retried(play: Play, leases: Sequence[Lease]) -> Awaitable[object]:
    return play.ledger.fail([failed(at, play.state.clock.after(5)) for at in leases])


SCENES = {
    "record": Scene(before=nothing, verb=lambda at, _: at.ledger.record(RUN, ALL, [SHARD])),
    "record-among": Scene(before=some, verb=lambda at, _: at.ledger.record(RUN, ALL, [SHARD])),
    "replace": Scene(before=ended, verb=lambda at, _: at.ledger.replace(RUN, SMALL), moved=2),
    "lease": Scene(before=recorded, verb=lambda at, _: at.lease()),
    "renew": Scene(before=leased, verb=lambda at, leases: at.ledger.renew(leases, SOON)),
    "release": Scene(before=leased, verb=lambda at, leases: at.ledger.release(leases)),
    "reclaim": Scene(before=leased, verb=lambda at, _: at.ledger.reclaim(RUN, [WORKER])),
    "complete": Scene(
        before=leased,
        verb=lambda at, leases: at.ledger.complete([done(it, it.transfer.size) for it in leases]),
    ),
    "fail": Scene(before=leased, verb=retried),
    "bury": Scene(
        before=leased, verb=lambda at, leases: at.ledger.fail([failed(it) for it in leases])
    ),
    "fail-parts": Scene(before=leased_parts, verb=retried),
    "bury-parts": Scene(
        before=leased_parts, verb=lambda at, leases: at.ledger.fail([failed(it) for it in leases])
    ),
    "save-upload": Scene(
        before=leased_large, verb=lambda at, leases: at.ledger.save_upload(leases[0], at.upload())
    ),
    "save-parts": Scene(
        before=leased_large,
        verb=lambda at, leases: at.ledger.save_parts(leases[0], at.upload(), PLAN),
    ),
    "complete-parts": Scene(
        before=leased_parts,
        verb=lambda at, leases: at.ledger.complete_parts([part_done(it) for it in leases]),
    ),
    "finish": Scene(
        before=leased_finish,
        verb=lambda at, leases: at.ledger.complete([done(it, 12) for it in leases]),
    ),
    "release-held": Scene(before=recorded, verb=lambda at, _: at.ledger.release_held(RUN)),
    "redrive": Scene(before=dead, verb=lambda at, _: at.ledger.redrive(RUN)),
    "forget-upload": Scene(before=abandoned, verb=forget),
    "reset": Scene(before=leased_parts, verb=lambda at, _: at.ledger.reset(RUN)),
    "purge": Scene(before=leased_parts, verb=lambda at, _: at.ledger.purge(RUN)),
}


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserting, "MOST_ENTRIES", 4)
    monkeypatch.setattr(chunk, "PARTS_IN_CHUNK", 2)
    monkeypatch.setattr(epochs, "_SURE_SECONDS", 0.0)


@pytest.fixture
async def count(ministack: MinistackServer, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """Requests of the scene's verb."""
    async with office(ministack.endpoint) as state:
        play = await perform(state, SCENES[request.getfixturevalue("name")], None)
        yield play.fuse.passed


@pytest.mark.usefixtures("small_rows")
@pytest.mark.parametrize("name", SCENES)
async def test_another_process_goes_on(ministack: MinistackServer, name: str, count: int) -> None:
    scene = SCENES[name]
    assert count > 0
    limit = asyncio.Semaphore(4)

    async def die_after(requests: int) -> None:
        async with limit, office(ministack.endpoint) as state:
            await perform(state, scene, requests)
            await go_on(state, scene)

    await asyncio.gather(*map(die_after, range(count)))


async def perform(state: Office, scene: Scene, requests: int | None) -> Play:
    """All up to the death."""
    fuse, connection = Fuse(), state.connect()
    connection.dynamodb = cast("AwsClient", Mortal(connection.dynamodb, fuse))
    connection.sqs = cast("AwsClient", Mortal(connection.sqs, fuse))
    play = Play(state=state, ledger=await state.ledger(connection), fuse=fuse)
    leases = await scene.before(play)
    fuse.passed, fuse.left = 0, requests
    if requests is None:
        await scene.verb(play, leases)
    else:
        with pytest.raises(Died):
            await scene.verb(play, leases)
    return play


async def go_on(state: Office, scene: Scene) -> None:
    """Another process ends the run, and finds all in order."""
    ledger = await state.ledger()
    await ledger.record(RUN, ALL, [SHARD])
    await ledger.release_held(RUN)
    state.clock.advance(LONG)  # the leases of the dead run out
    while (await ledger.totals(RUN)).open:
        leases = await lease_all(ledger, RUN)
        assert leases, await records(ledger, RUN)
        await end(state, ledger, leases)
        await ledger.redrive(RUN)
    for record in await ledger.uploads(RUN):
        await ledger.forget_upload(RUN, record)

    found = await records(ledger, RUN)
    assert [at.transfer for at in found.values()] == sorted(
        (at._replace(state=TransferState.WAITING) if at.key == "old" else at for at in ALL),
    )
    assert {at.state for at in found.values()} == {TransferState.DONE}
    totals = await ledger.totals(RUN)
    assert totals.tallies == await recount(ledger, RUN)
    assert (totals.shards, totals.scan) == (1, SHARD.counts)
    assert (totals.uploads, await ledger.part_bytes(RUN)) == (0, 0)
    once = sum(at.size for at in SMALL)
    assert (totals.moved_bytes - LARGE.size) in {once * n for n in range(1, scene.moved + 1)}
    assert not await ledger.failures(RUN)
    assert_tiled(await state.groups())
    await state.drained(ledger, RUN)
    rows = await state.rows()
    [epoch] = [row["epoch"] for row in rows if row["pk"] == "runs"]
    assert not [row for row in rows if row.get("due_of", "").startswith(epoch)]
    await ledger.purge(RUN)
    # Of a beginning that was cut off: the first group of an epoch that no run has.
    assert not [row for row in await state.rows() if row.get("body", b"any")]


async def end(state: Office, ledger: AwsLedger, leases: Sequence[Lease]) -> None:
    """Ends work as a worker would: the large object in parts."""
    ended_parts = [part_done(at) for at in leases if at.kind is WorkKind.PART]
    assert not await ledger.complete_parts(ended_parts)
    for at in leases:
        if at.kind is WorkKind.TRANSFER and at.transfer.key == LARGE.key:
            await ledger.save_upload(at, Upload("there", "", state.clock.now))
            await ledger.save_parts(at, Upload("there", "upload-2", state.clock.now), PLAN)
        elif at.kind is not WorkKind.PART:
            assert at.kind is WorkKind.TRANSFER or [p.number for p in at.parts] == [1, 2, 3]
            size = 0 if at.transfer.key == "old" else at.transfer.size
            assert not await ledger.complete([done(at, size)])
