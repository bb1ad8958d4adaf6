import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.test_execution import RUN, Bench, content, put
from transferhub.engine.execution import DeleteGuard
from transferhub.model.run import RunState
from transferhub.state.memory import MemoryLedger
from transferhub.stores.base import ObjectStore
from transferhub.stores.faulty import Fault, FaultKind, FaultyStore, ScriptedFaults
from transferhub.stores.wrapper import StoreCall, StoreWrapper, Verb, unwrapped

T = TypeVar("T")


class KilledError(BaseException):
    """What a killed process would have gone on to do never happens."""


@dataclass
class Life:
    """A process that dies at one of its calls, before or after its effect; every call that it makes
    from then on fails too.

    Attributes:
        at: the call at which it dies; counted from 1, of `verb` alone where that is given.
    """

    at: int = 0
    verb: str = ""
    after: bool = False
    dead: bool = False
    calls: list[str] = field(default_factory=list)

    async def call(self, verb: str, operation: Callable[[], Awaitable[T]]) -> T:
        if self.dead:
            raise KilledError
        if self.verb in ("", verb):
            self.calls.append(verb)
            self.dead = len(self.calls) == self.at
        if self.dead and not self.after:
            raise KilledError
        result = await operation()
        if self.dead:
            raise KilledError
        return result


class MortalStore(StoreWrapper):
    def __init__(self, inner: ObjectStore, life: Life) -> None:
        super().__init__(inner)
        self._life = life

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        return await self._life.call(call.verb, operation)


UNCOUNTED = {"totals", "lease", "renew"}
"""They are asked for as time goes by, and a death at the call before or after is the same."""


class MortalLedger:
    def __init__(self, inner: MemoryLedger, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)
        if name in {"gather", "transfers"} or (name in UNCOUNTED and not self._life.dead):
            return verb

        async def call(*values: Any, **options: Any) -> Any:
            return await self._life.call(name, partial(verb, *values, **options))

        return call


READS = {Verb.CHECK, Verb.LIST, Verb.HEAD, Verb.LIST_UPLOADS, "shards", "uploads", "part_bytes"}
IDLE = {"reclaim"}  # nothing is there to take back at a first start


class QuickClock:
    """Goes sixty times faster: retries are short, and what is minutes apart stays seconds apart."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._start + (datetime.now(UTC) - self._start) * 60


BODIES = {"large": bytes(range(35)), "other": bytes(range(24)), "small": b"small"}


async def filled(folder: Path) -> Bench:
    bench = Bench(folder, part_size=10, workers=1, clock=QuickClock())  # type: ignore[arg-type]
    for key, body in BODIES.items():
        await put(bench.source, key, body)
    await put(bench.destination, "extra", b"extra")
    bench.guard = DeleteGuard(delete=True, most_percent=100)
    return bench


async def lived(bench: Bench, life: Life) -> bool:
    """One start of the run; False where it died."""
    ledger, source, destination = bench.ledger, bench.source, bench.destination
    bench.ledger = cast("MemoryLedger", MortalLedger(ledger, life))
    bench.destination = MortalStore(destination, life)
    try:
        await bench.run()
    except KilledError:
        return False
    finally:
        bench.ledger, bench.source, bench.destination = ledger, source, destination
    return True


async def assert_whole(bench: Bench) -> None:
    """A new start ends the run, and nothing tells that there were others before."""
    summary = await bench.run()
    assert (summary.status, summary.faults) == (RunState.SUCCEEDED, ())
    assert (summary.done, summary.failed, summary.deleted) == (3, 0, 1)
    assert await content(bench.destination) == await content(unwrapped(bench.source))
    for key in BODIES:
        assert not await bench.destination.list_uploads(key)
    assert not await bench.ledger.uploads(RUN)


CRASHES = [
    ("record", 1),
    ("record", 2),
    ("save_upload", 1),
    ("save_upload", 2),
    (Verb.CREATE_UPLOAD, 1),
    (Verb.CREATE_UPLOAD, 2),
    ("save_parts", 1),
    ("save_parts", 2),
    (Verb.UPLOAD_PART, 1),
    (Verb.UPLOAD_PART, 4),
    (Verb.UPLOAD_PART, 7),
    ("complete_parts", 1),
    (Verb.COMPLETE_UPLOAD, 1),
    (Verb.COMPLETE_UPLOAD, 2),
    (Verb.PUT, 1),
    ("complete", 1),
    ("complete", 2),
    ("release_held", 1),
    (Verb.DELETE, 1),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("verb", "at"), CRASHES)
async def test_a_run_that_was_killed_ends_whole_and_leaves_no_upload(
    tmp_path: Path, verb: str, at: int, after: bool
) -> None:
    bench = await filled(tmp_path)
    life = Life(verb=verb, at=at, after=after)
    assert not await lived(bench, life)
    assert life.dead
    await assert_whole(bench)


STRIKES = {
    "an answer is lost": Fault(verb=Verb.COMPLETE_UPLOAD, kind=FaultKind.AFTER),
    "a creation is lost": Fault(verb=Verb.CREATE_UPLOAD, kind=FaultKind.AFTER),
    "a part fails": Fault(verb=Verb.UPLOAD_PART, skip=2),
}


@settings(max_examples=30)
@given(
    deaths=st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=4),
    strike=st.none() | st.sampled_from(sorted(STRIKES)),
    change=st.none() | st.integers(0, 9),
)
def test_however_often_a_run_is_killed_nothing_is_lost_torn_or_left_behind(
    tmp_path_factory: pytest.TempPathFactory,
    deaths: list[tuple[int, bool]],
    strike: str | None,
    change: int | None,
) -> None:
    async def check() -> None:
        bench = await filled(tmp_path_factory.mktemp("run"))
        if strike is not None:
            bench.destination = FaultyStore(bench.destination, ScriptedFaults([STRIKES[strike]]))
        if change is not None:
            changes = Fault(verb=Verb.GET, key="large", kind=FaultKind.CHANGE, skip=change)
            bench.source = FaultyStore(bench.source, ScriptedFaults([changes]))
        for at, after in deaths:
            if await lived(bench, Life(at=at, after=after)):
                break
        await assert_whole(bench)

    asyncio.run(check())


async def test_the_points_above_are_all_the_writes_of_a_run(tmp_path: Path) -> None:
    bench, life = await filled(tmp_path), Life()
    assert await lived(bench, life)
    writes = set(life.calls) - READS - IDLE
    assert writes == {verb for verb, _ in CRASHES}
