"""The ledger in SQLite does what the one in memory does, whatever is asked of both."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conformance.ledger_facts import STARTED, FakeClock, tallies
from transferhub.errors import LeaseLostError
from transferhub.model.transfer import (
    Action,
    Difference,
    Failure,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    ScanCounts,
    Shard,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    UploadRecord,
    WorkerId,
)
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger
from transferhub.state.rules import END_STATES, START_STATES
from transferhub.state.sql import SqlLedger

RUN = RunId("run")
KEYS = ("a", "a/b", "a\x00", "\x01", "é", "\ue000", "😀", "b")
CODES = ("denied", "corrupt")
WORKERS = (WorkerId("worker-1"), WorkerId("worker-2"))

_keys = st.sampled_from(KEYS)
_sizes = st.integers(0, 20)
_transfers = st.builds(
    Transfer,
    key=_keys,
    difference=st.sampled_from(Difference),
    size=_sizes,
    etag=st.sampled_from(["", "0" * 32]),
    modified_at=st.sampled_from([None, STARTED]),
    action=st.sampled_from(Action),
    state=st.sampled_from(sorted(START_STATES) + [TransferState.WAITING] * 4),
)
_shards = st.builds(
    Shard,
    ident=st.sampled_from(["s", "t"]),
    done=st.booleans(),
    detail=st.sampled_from(["{}", "\x00"]),
    counts=st.builds(ScanCounts, same=_sizes, new=_sizes, source_bytes=_sizes),
)
_uploads = st.builds(
    Upload,
    key=st.just("destination"),
    upload_id=st.sampled_from(["", "upload-1", "upload-2"]),
    started_at=st.just(STARTED),
)
_part_sizes = st.lists(st.tuples(_sizes, st.booleans()), min_size=1, max_size=4)
_waits = st.integers(0, 30).map(lambda seconds: timedelta(seconds=seconds))

Both = tuple[Lease, Lease]
"""Leases of the same work: of the ledger in memory, and of the one in SQLite."""


def bare(lease: Lease) -> Lease:
    """What is the same in both ledgers."""
    return lease._replace(ident=0, token=0)


class LedgersAgree(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.scope = ExitStack()
        folder = self.scope.enter_context(TemporaryDirectory())
        self.runner = self.scope.enter_context(asyncio.Runner())
        self.clock = FakeClock()
        self.ledgers: tuple[Ledger, Ledger] = (
            MemoryLedger(self.clock),
            self.runner.run(SqlLedger.open(f"sqlite:///{folder}/state.sqlite3", self.clock)),
        )
        self.leases: list[Both] = []
        self.record([Transfer(key, Difference.NEW, 9) for key in KEYS], [])

    def teardown(self) -> None:
        if hasattr(self, "scope"):
            self.runner.run(self.ledgers[1].aclose())
            self.scope.close()

    def both(self, work: Callable[[int, Ledger], Awaitable[Any]]) -> tuple[Any, Any]:
        async def run() -> tuple[Any, Any]:
            first, second = self.ledgers
            return await work(0, first), await work(1, second)

        return self.runner.run(run())

    def same(self, work: Callable[[int, Ledger], Awaitable[Any]]) -> Any:
        first, second = self.both(work)
        assert first == second
        return first

    def same_lost(self, work: Callable[[int, Ledger], Awaitable[Sequence[Lease]]]) -> None:
        first, second = self.both(work)
        assert [*map(bare, first)] == [*map(bare, second)]

    def chosen(self, choice: st.DataObject) -> list[Both]:
        """Some leases in any order, the stale ones among them."""
        indexes = st.lists(
            st.integers(0, len(self.leases) - 1), min_size=1, max_size=4, unique=True
        )
        return [self.leases[index] for index in choice.draw(indexes)]

    @rule(
        transfers=st.lists(_transfers, max_size=8),
        shards=st.lists(_shards, max_size=2),
    )
    def record(self, transfers: list[Transfer], shards: list[Shard]) -> None:
        self.same(lambda _, ledger: ledger.record(RUN, transfers, shards))

    @rule(
        transfers=st.lists(_transfers, max_size=2),
        shards=st.lists(_shards, max_size=1),
    )
    def replace(self, transfers: list[Transfer], shards: list[Shard]) -> None:
        self.same(lambda _, ledger: ledger.replace(RUN, transfers, shards))

    @rule(
        limit=st.integers(1, 12),
        max_bytes=st.integers(0, 60) | st.just(1_000),
        worker=st.sampled_from(WORKERS),
        duration=st.integers(1, 30),
    )
    def lease(self, limit: int, max_bytes: int, worker: WorkerId, duration: int) -> None:
        first, second = self.both(
            lambda _, ledger: ledger.lease(
                RUN,
                worker,
                limit=limit,
                max_bytes=max_bytes,
                duration=timedelta(seconds=duration),
            )
        )
        assert [*map(bare, first)] == [*map(bare, second)]
        self.leases = [*self.leases, *zip(first, second, strict=True)][-24:]

    @rule(keys=st.lists(_keys, max_size=3))
    def known(self, keys: list[str]) -> None:
        self.same(lambda _, ledger: ledger.known(RUN, keys))

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.leases)
    @rule(choice=st.data(), duration=st.integers(1, 30))
    def renew(self, choice: st.DataObject, duration: int) -> None:
        chosen = self.chosen(choice)
        until = timedelta(seconds=duration)
        self.same_lost(lambda at, ledger: ledger.renew([pair[at] for pair in chosen], until))

    @precondition(lambda self: self.leases)
    @rule(choice=st.data())
    def release(self, choice: st.DataObject) -> None:
        chosen = self.chosen(choice)
        self.same(lambda at, ledger: ledger.release([pair[at] for pair in chosen]))

    @precondition(lambda self: self.leases)
    @rule(choice=st.data(), state=st.sampled_from(sorted(END_STATES)), moved_bytes=_sizes)
    def complete(self, choice: st.DataObject, state: TransferState, moved_bytes: int) -> None:
        chosen = self.chosen(choice)
        self.same_lost(
            lambda at, ledger: ledger.complete(
                [Outcome(pair[at], state, moved_bytes, "etag", "", "note") for pair in chosen]
            )
        )

    @precondition(lambda self: self.leases)
    @rule(choice=st.data())
    def complete_parts(self, choice: st.DataObject) -> None:
        chosen = self.chosen(choice)
        self.same_lost(
            lambda at, ledger: ledger.complete_parts(
                [PartOutcome(pair[at], "etag") for pair in chosen]
            )
        )

    @precondition(lambda self: self.leases)
    @rule(
        choice=st.data(),
        failure=st.builds(
            Failure,
            lease=st.none(),
            code=st.sampled_from(CODES),
            message=st.just("Why."),
            retry_at=st.none(),
            counted=st.booleans(),
            fresh=st.none() | _transfers,
        ),
        wait=st.none() | _waits,
    )
    def fail(self, choice: st.DataObject, failure: Failure, wait: timedelta | None) -> None:
        chosen = self.chosen(choice)
        failure = failure._replace(retry_at=None if wait is None else self.clock.now + wait)
        self.same_lost(
            lambda at, ledger: ledger.fail([failure._replace(lease=pair[at]) for pair in chosen])
        )

    @precondition(lambda self: self.leases)
    @rule(choice=st.data(), upload=_uploads)
    def save_upload(self, choice: st.DataObject, upload: Upload) -> None:
        pair, *_ = self.chosen(choice)

        async def save(at: int, ledger: Ledger) -> bool:
            try:
                await ledger.save_upload(pair[at], upload)
            except LeaseLostError:
                return False
            return True

        self.same(save)

    @precondition(lambda self: self.leases)
    @rule(choice=st.data(), upload=_uploads, sizes=_part_sizes)
    def save_parts(
        self, choice: st.DataObject, upload: Upload, sizes: list[tuple[int, bool]]
    ) -> None:
        pair, *_ = self.chosen(choice)
        if pair[0].transfer.action is Action.DELETE:
            return  # nobody deletes in parts
        parts = [
            Part(number, number * 20, size, "etag" if ended else "")
            for number, (size, ended) in enumerate(sizes, 1)
        ]

        async def save(at: int, ledger: Ledger) -> bool:
            try:
                await ledger.save_parts(pair[at], upload, parts)
            except LeaseLostError:
                return False
            return True

        self.same(save)

    @rule(
        verb=st.sampled_from(["forget_upload", "reclaim", "release_held", "redrive"]),
        upload=st.builds(UploadRecord, _keys, _uploads, st.just(value=True)),
        workers=st.lists(st.sampled_from(WORKERS), max_size=2),
        code=st.sampled_from(["", *CODES]),
        key=st.sampled_from(["*", "a*", "?"]),
        keys=st.lists(_keys, max_size=2),
    )
    def manage(
        self,
        verb: str,
        upload: UploadRecord,
        workers: list[WorkerId],
        code: str,
        key: str,
        keys: list[str],
    ) -> None:
        async def ask(_: int, ledger: Ledger) -> object:
            match verb:
                case "forget_upload":
                    await ledger.forget_upload(RUN, upload)
                    return None
                case "reclaim":
                    return await ledger.reclaim(RUN, workers)
                case "release_held":
                    return await ledger.release_held(RUN)
                case _:
                    return await ledger.redrive(RUN, code=code, key=key, keys=keys)

        self.same(ask)

    @rule(
        prefix=st.sampled_from(["", "a", "a\x00", "😀", "\U0010ffff"]),
        states=st.lists(st.sampled_from(TransferState), max_size=3),
        code=st.sampled_from(["", *CODES]),
        limit=st.integers(1, 4),
    )
    def page(self, prefix: str, states: list[TransferState], code: str, limit: int) -> None:
        ask = partial(self.page_after, prefix=prefix, states=states, code=code, limit=limit)
        after = ask("")
        while after:
            after = ask(after)

    def page_after(self, after: str, **asked: Any) -> str:
        page = self.same(lambda _, ledger: ledger.page(RUN, after=after, **asked))
        return str(page.cursor)

    @rule(seldom=st.integers(0, 19))
    def forget(self, seldom: int) -> None:
        if seldom == 18:
            self.same(lambda _, ledger: ledger.reset(RUN))
        elif seldom == 19:
            self.same(lambda _, ledger: ledger.purge(RUN))

    @invariant()
    def all_that_can_be_seen_is_the_same(self) -> None:
        async def look(_: int, ledger: Ledger) -> tuple[Totals, list[TransferRecord], object]:
            more = (
                await ledger.failures(RUN),
                await ledger.failure_groups(RUN),
                sorted(await ledger.shards(RUN), key=lambda shard: shard.ident),
                sorted(await ledger.uploads(RUN)),
            )
            records = [record async for record in ledger.transfers(RUN)]
            return await ledger.totals(RUN), records, more

        totals, records, _ = self.same(look)
        assert totals.tallies == tallies(records)


LedgersAgree.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestLedgersAgree = LedgersAgree.TestCase
