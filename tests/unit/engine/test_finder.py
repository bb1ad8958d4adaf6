import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferhub.engine.compare import CompareMode, Comparison
from transferhub.engine.finder import Finder, Scan
from transferhub.engine.listing import Side
from transferhub.engine.merge import Everything
from transferhub.engine.survey import Survey
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.transfer import Difference, RunId, Shard, Transfer
from transferhub.stores.memory import MemoryStore, Order

RUN = RunId("run")
T0 = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = timedelta(0), timedelta(hours=1)

keys = st.text(st.sampled_from("ab/-0é\U0001f600"), min_size=1, max_size=5) | st.integers(
    0, 999
).map("flat/{:06d}".format)
Content = dict[str, bytes]


async def filled(content: Mapping[str, bytes], at: timedelta, **options: Any) -> MemoryStore:
    store = MemoryStore(clock=lambda: T0 + at, **options)
    for key, body in content.items():
        await store.put(
            key,
            body,
            attributes=Attributes(),
            options=WriteOptions(),
            md5=hashlib.md5(body, usedforsecurity=False).digest(),
        )
    return store


def oracle(source: Content, destination: Content, prefixes: Sequence[str]) -> set[tuple[str, str]]:
    def inside(key: str) -> bool:
        return any(key.startswith(prefix) for prefix in prefixes)

    found = set()
    for key, body in source.items():
        if inside(key) and key not in destination:
            found.add((key, Difference.NEW))
        elif inside(key) and len(body) != len(destination[key]):
            found.add((key, Difference.CHANGED))
    return found | {
        (key, Difference.EXTRA) for key in destination.keys() - source.keys() if inside(key)
    }


async def scanned(
    source: MemoryStore,
    destination: MemoryStore,
    spool: Path,
    *,
    prefixes: Sequence[str] = ("",),
    listers: int = 8,
    survey: Survey | None = None,
    seen: list[Transfer] | None = None,
    mode: CompareMode = CompareMode.SIZE,
) -> tuple[list[Transfer], Survey, list[str]]:
    transfers: list[Transfer] = [] if seen is None else seen
    sink = survey or Survey(transfers.append)
    talk: list[str] = []
    scan = Scan(
        source=Side(store=source, base=""),
        destination=Side(store=destination, base=""),
        prefixes=prefixes,
        comparison=Comparison(mode, source, destination),
        selection=Everything(),
        spool=spool,
        listers=listers,
    )
    await Finder(RUN, sink, scan, talk=talk.append).find()
    return transfers, sink, talk


@pytest.fixture(scope="session")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


sides = st.dictionaries(keys, st.binary(max_size=2), max_size=60)


@settings(max_examples=150)
@given(
    source=sides,
    destination=sides,
    page=st.integers(1, 7),
    listers=st.integers(1, 9),
    ignores=st.booleans(),
    inclusive=st.booleans(),
)
def test_every_key_gets_its_verdict_once_whatever_the_server_does_with_start_after(
    spool: Path,
    source: Content,
    destination: Content,
    page: int,
    listers: int,
    ignores: bool,
    inclusive: bool,
) -> None:
    async def check() -> None:
        options = {
            "page_keys": page,
            "ignores_start_after": ignores,
            "start_after_inclusive": inclusive,
        }
        transfers, survey, talk = await scanned(
            await filled(source, OLD, **options),
            await filled(destination, NEW, **options),
            spool,
            listers=listers,
        )
        found = [(t.key, t.difference) for t in transfers]
        assert len(found) == len(set(found))
        assert set(found) == oracle(source, destination, [""])
        assert survey.counts.scanned_source == len(source)
        assert survey.counts.scanned_destination == len(destination)
        assert not talk

    asyncio.run(check())


@settings(max_examples=150)
@given(
    source=sides,
    destination=sides,
    page=st.integers(1, 7),
    orders=st.tuples(st.sampled_from(Order), st.sampled_from(Order)),
    prefixes=st.sampled_from([[""], ["a"], ["a", "b", "flat/"]]),
)
def test_a_store_out_of_byte_order_is_found_out_and_sorted_on_disk(
    spool: Path,
    source: Content,
    destination: Content,
    page: int,
    orders: tuple[Order, Order],
    prefixes: list[str],
) -> None:
    async def check() -> None:
        ours = await filled(source, OLD, page_keys=page, order=orders[0])
        theirs = await filled(destination, NEW, page_keys=page, order=orders[1])
        seen: list[Transfer] = []
        last_scan: list[Transfer] = []

        class Fresh(Survey):
            async def reset(self, run: RunId) -> None:
                seen.clear()
                await super().reset(run)

        await scanned(ours, theirs, spool, prefixes=prefixes, survey=Fresh(seen.append))
        last_scan = seen
        found = [(t.key, t.difference) for t in last_scan]
        assert len(found) == len(set(found))
        assert set(found) == oracle(source, destination, prefixes)

    asyncio.run(check())


class Crashing(Survey):
    """Fails at a given call of record, after or before its effect."""

    def __init__(self, see: Any, at: int, *, after: bool) -> None:
        super().__init__(see)
        self.left = at
        self.after = after

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise ConnectionError("crash")
        count = await super().record(run, transfers, shards)
        if self.left == 0:
            raise ConnectionError("crash")
        return count


@settings(max_examples=100)
@given(
    source=sides,
    destination=sides,
    page=st.integers(1, 5),
    at=st.integers(1, 12),
    after=st.booleans(),
)
def test_a_scan_that_crashed_goes_on_without_gap_or_duplicate(
    spool: Path, source: Content, destination: Content, page: int, at: int, after: bool
) -> None:
    async def check() -> None:
        ours = await filled(source, OLD, page_keys=page)
        theirs = await filled(destination, NEW, page_keys=page)
        seen: list[Transfer] = []
        survey = Crashing(seen.append, at, after=after)
        try:
            await scanned(ours, theirs, spool, survey=survey)
        except ConnectionError:
            await scanned(ours, theirs, spool, survey=survey)
        found = [(t.key, t.difference) for t in seen]
        assert len(found) == len(set(found))
        assert set(found) == oracle(source, destination, [""])
        assert survey.counts.scanned_source == len(source)
        assert survey.counts.new + survey.counts.changed + survey.counts.extra == len(found)

    asyncio.run(check())


class Counted(MemoryStore):
    """Answers like a server that is some way off, and remembers what it was asked."""

    def __init__(self, content: Content, **options: Any) -> None:
        super().__init__(clock=lambda: T0, **options)
        self.content = content
        self.starts: list[str] = []
        self.limits: list[int] = []

    async def list(self, prefix: str = "", **options: Any) -> Any:
        await asyncio.sleep(0.002)
        self.starts.append(options.get("start_after", ""))
        self.limits.append(options.get("limit", 0))
        return await super().list(prefix, **options)


async def counted(content: Content, **options: Any) -> Counted:
    store = Counted(content, **options)
    for key, body in content.items():
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        await store.put(key, body, attributes=Attributes(), options=WriteOptions(), md5=md5)
    return store


async def test_a_flat_prefix_is_listed_by_many_listers(spool: Path) -> None:
    source = await counted({f"flat/{number:06d}": b"" for number in range(4_000)}, page_keys=50)
    destination = await filled({}, NEW)
    transfers, survey, _ = await scanned(source, destination, spool, listers=16)
    assert len(transfers) == 4_000
    assert survey.counts.scanned_source == 4_000
    assert len({start for start in source.starts if start}) >= 12  # ranges of its own


@pytest.mark.parametrize(
    "names",
    [
        [f"flat/{number:06d}" for number in range(20_000)],
        [f"{folder:03}/{number:06d}" for folder in range(100) for number in range(200)],
        [f"{number * 7919 % 20011:05x}" for number in range(20_000)],
    ],
    ids=["numbered", "folders", "scattered"],
)
async def test_many_listers_take_hardly_more_requests_than_one(
    spool: Path, names: list[str]
) -> None:
    content = dict.fromkeys(names, b"")
    source = await counted(content, page_keys=50)
    destination = await counted(content, page_keys=50)
    _, survey, _ = await scanned(source, destination, spool, listers=16)
    assert survey.counts.same == len(names)
    asked = len(source.starts) + len(destination.starts)
    assert asked <= 1.15 * 2 * len(names) / 50


async def test_same_second_is_settled_by_etags(spool: Path) -> None:
    source = await filled({"a": b"1", "b": b"1"}, OLD)
    destination = await filled({"a": b"1", "b": b"2"}, OLD)
    transfers, _, _ = await scanned(source, destination, spool, mode=CompareMode.SIZE_MTIME)
    assert [t.key for t in transfers] == ["b"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (CompareMode.SIZE, {"size"}),
        (CompareMode.SIZE_MTIME, {"size", "newer", "same-but-newer"}),
        (CompareMode.ETAG, {"size", "newer", "older-differs"}),
        (CompareMode.CHECKSUM, {"size", "newer", "older-differs"}),
        (CompareMode.ALWAYS, {"size", "newer", "older-differs", "same", "same-but-newer"}),
        (CompareMode.MISSING_ONLY, set()),
    ],
)
async def test_compare_modes(spool: Path, mode: CompareMode, expected: set[str]) -> None:
    now = {"at": T0}
    source, destination = MemoryStore(clock=lambda: now["at"]), MemoryStore(clock=lambda: now["at"])

    async def put(store: MemoryStore, key: str, body: bytes, hours: int) -> None:
        now["at"] = T0 + timedelta(hours=hours)
        await store.put(
            key,
            body,
            attributes=Attributes(),
            options=WriteOptions(),
            md5=hashlib.md5(body, usedforsecurity=False).digest(),
        )

    for key, ours, theirs, hours in (
        ("size", b"1", b"22", 0),
        ("newer", b"1", b"2", 2),
        ("older-differs", b"1", b"2", 0),
        ("same", b"1", b"1", 0),
        ("same-but-newer", b"1", b"1", 2),
    ):
        await put(source, key, ours, hours)
        await put(destination, key, theirs, 1)
    await put(source, "missing", b"", 0)
    transfers, _, _ = await scanned(source, destination, spool, mode=mode)
    assert {t.key for t in transfers} == expected | {"missing"}
