"""Ledgers of one state on AWS do what the one in memory does, whatever is asked of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.conformance.ledger_facts import new
from tests.integration.aws_ledgers import Office, assert_tiled, office
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import MinistackServer
from tests.unit.state.test_ledgers_agree import KEYS, RUN, WORKERS, LedgersAgree
from transferhub.model.transfer import Difference, Lease, Transfer, WorkerId
from transferhub.state.aws import chunk, epochs, groups, inserting, leasing
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger

LEDGERS = 2


class AwsAgrees(LedgersAgree):
    """Each verb is asked of another one of the ledgers on AWS."""

    endpoint: Endpoint

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.leases = []
        self.turn = 0
        self.runner.run(self._open())
        self.record([Transfer(key, Difference.NEW, 9) for key in KEYS], [])

    async def _open(self) -> None:
        self.office: Office = await self.stack.enter_async_context(office(self.endpoint))
        self.clock = self.office.clock
        self.memory = MemoryLedger(self.clock)
        self.far = [await self.office.ledger() for _ in range(LEDGERS)]

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.runner.run(self.stack.aclose())
            self.runner.close()

    def both(self, work: Callable[[int, Ledger], Awaitable[Any]]) -> tuple[Any, Any]:
        self.ledgers = (self.memory, self.far[self.turn % LEDGERS])
        return super().both(work)

    @rule()
    def ask_another_one(self) -> None:
        self.turn += 1

    @rule(numbers=st.lists(st.integers(0, 40), max_size=12))
    def record_many(self, numbers: list[int]) -> None:
        transfers = [new(f"a/{number}", number) for number in numbers]
        self.same(lambda _, ledger: ledger.record(RUN, transfers))

    @rule(
        kept=st.lists(st.booleans(), min_size=1, max_size=9),
        worker=st.sampled_from(WORKERS),
        duration=st.integers(1, 30),
    )
    def lease(self, kept: list[bool], worker: WorkerId, duration: int) -> None:
        """Ledgers give what may start in the order that they like: all is leased, and some of it
        is given back."""

        async def lease_all(_: int, ledger: Ledger) -> list[Lease]:
            found: list[Lease] = []
            while given := await ledger.lease(
                RUN, worker, limit=100, max_bytes=1 << 40, duration=timedelta(seconds=duration)
            ):
                found += given
            return sorted(found, key=_order)

        first, second = self.both(lease_all)
        assert [*map(_bare, first)] == [*map(_bare, second)]
        pairs = [*zip(first, second, strict=True)]
        choices = [kept[number % len(kept)] for number in range(len(pairs))]
        back = [pair for pair, keep in zip(pairs, choices, strict=True) if not keep]
        self.same(lambda at, ledger: ledger.release([pair[at] for pair in back]))
        self.leases = [*self.leases, *pairs][-24:]

    def page_after(self, after: str, **asked: Any) -> str:
        """Pages may end where the ledger likes; all of them together are the same."""

        async def pages(_: int, ledger: Ledger) -> list[object]:
            found: list[object] = []
            cursor = after
            while True:
                page = await ledger.page(RUN, after=cursor, **asked)
                found += page.items
                cursor = page.cursor
                if not cursor:
                    return found

        self.same(pages)
        return ""

    @rule()
    def groups_cover_all_keys(self) -> None:
        if self.runner.run(self.far[0].known(RUN, ["a"])):
            assert_tiled(self.runner.run(self.office.groups()))


def _order(lease: Lease) -> tuple[str, str, int]:
    return lease.transfer.key, lease.kind, lease.part.number if lease.part else 0


def _bare(lease: Lease) -> Lease:
    return lease._replace(ident=0, token=0)


def test_ledgers_agree(ministack: MinistackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "_SURE_SECONDS", 0.0)
    monkeypatch.setattr(inserting, "MOST_ENTRIES", 3)
    monkeypatch.setattr(chunk, "PARTS_IN_CHUNK", 2)
    monkeypatch.setattr(groups, "_MOST_KEPT", 4)
    monkeypatch.setattr(groups, "_DUE_ROWS", 2)
    monkeypatch.setattr(leasing, "_MOST_OWNERS", 3)
    monkeypatch.setattr(AwsAgrees, "endpoint", ministack.endpoint, raising=False)
    run_state_machine_as_test(
        AwsAgrees,
        settings=settings(max_examples=12, stateful_step_count=40, deadline=None),
    )
