import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.compare import CompareMode, Comparison, is_md5, part_count
from transferhub.errors import NotFoundError
from transferhub.model.objects import Attributes, ObjectEntry, ObjectInfo, WriteOptions
from transferhub.model.transfer import Difference
from transferhub.stores.memory import MemoryStore

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
A, B = "a" * 32, "b" * 32
SAME, CHANGED = Difference.SAME, Difference.CHANGED


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def comparison(mode: CompareMode, *, md5_etags: bool = True) -> Comparison:
    source, destination = MemoryStore("source"), MemoryStore("destination")
    source.capabilities = replace(source.capabilities, md5_etags=md5_etags)
    return Comparison(mode, source, destination)


def entry(size: int = 1, etag: str = A, seconds: float | None = 0) -> ObjectEntry:
    return ObjectEntry("key", size, etag, None if seconds is None else at(seconds))


BEFORE, AFTER, LONG_AFTER = -60.0, 0.4, 60.0
TABLE = [
    # The source against a copy of size 1, etag A, written at noon: what each mode says.
    # source, size, size-mtime, etag
    (entry(seconds=BEFORE), SAME, SAME, SAME),
    (entry(seconds=LONG_AFTER), SAME, CHANGED, SAME),
    (entry(seconds=None), SAME, SAME, SAME),
    (entry(size=2, seconds=BEFORE), CHANGED, CHANGED, CHANGED),
    (entry(size=2, seconds=None), CHANGED, CHANGED, CHANGED),
    (entry(etag=B, seconds=BEFORE), SAME, SAME, CHANGED),
    (entry(etag=B, seconds=LONG_AFTER), SAME, CHANGED, CHANGED),
    # Within a second of each other, time does not tell, but etags may.
    (entry(seconds=AFTER), SAME, SAME, SAME),
    (entry(etag=B, seconds=AFTER), SAME, CHANGED, CHANGED),
    (entry(etag=B, seconds=-AFTER), SAME, CHANGED, CHANGED),
    (entry(etag=f"{A}-2", seconds=AFTER), SAME, CHANGED, CHANGED),
    (entry(etag=f"{A}-2", seconds=-AFTER), SAME, SAME, SAME),
    (entry(etag="", seconds=AFTER), SAME, CHANGED, CHANGED),
    (entry(etag="", seconds=0), SAME, SAME, SAME),
    # Etags that cannot be compared leave it to the time.
    (entry(etag=f"{A}-2", seconds=BEFORE), SAME, SAME, SAME),
    (entry(etag=f"{A}-2", seconds=LONG_AFTER), SAME, CHANGED, CHANGED),
    (entry(etag="opaque", seconds=LONG_AFTER), SAME, CHANGED, CHANGED),
]


@pytest.mark.parametrize(("source", "by_size", "by_time", "by_etag"), TABLE)
def test_what_listings_say_in_each_mode(
    source: ObjectEntry, by_size: Difference, by_time: Difference, by_etag: Difference
) -> None:
    copy = entry()
    said = {mode: comparison(mode).by_entry(source, copy) for mode in CompareMode}
    assert said == {
        CompareMode.SIZE: by_size,
        CompareMode.SIZE_MTIME: by_time,
        CompareMode.ETAG: by_etag,
        CompareMode.CHECKSUM: by_size,  # and the objects themselves confirm it
        CompareMode.ALWAYS: CHANGED,
        CompareMode.MISSING_ONLY: SAME,
    }


@pytest.mark.parametrize(
    ("etag", "other", "fallbacks"),
    [
        (A, A, 0),
        (A, B, 0),
        (f"{A}-2", f"{A}-2", 0),
        (f"{A}-2", f"{B}-2", 1),
        (f"{A}-2", A, 1),
        ("opaque", "opaque", 1),
        ("", "", 1),
        (A.upper(), A, 1),
    ],
)
def test_etags_that_cannot_be_compared_are_counted(etag: str, other: str, fallbacks: int) -> None:
    compared = comparison(CompareMode.ETAG)
    compared.by_entry(entry(etag=etag), entry(etag=other))
    assert compared.fallbacks == fallbacks


def test_sizes_that_differ_need_no_etags_and_are_no_fallback() -> None:
    compared = comparison(CompareMode.ETAG)
    assert compared.by_entry(entry(size=1, etag=""), entry(size=2, etag="")) is CHANGED
    assert compared.fallbacks == 0


def test_the_etags_of_a_store_without_md5_etags_tell_nothing() -> None:
    compared = comparison(CompareMode.ETAG, md5_etags=False)
    assert compared.by_entry(entry(etag=A, seconds=BEFORE), entry(etag=B)) is SAME
    assert compared.fallbacks == 1
    by_time = comparison(CompareMode.SIZE_MTIME, md5_etags=False)
    assert by_time.by_entry(entry(etag=A, seconds=AFTER), entry(etag=A)) is CHANGED


seconds = st.none() | st.floats(-3, 3, allow_nan=False)
etags = st.sampled_from([A, B, f"{A}-2", f"{B}-3", "", "opaque"])


@given(
    sizes=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    pair=st.tuples(etags, etags),
    times=st.tuples(seconds, seconds),
    mode=st.sampled_from([CompareMode.SIZE_MTIME, CompareMode.ETAG]),
    md5_etags=st.booleans(),
)
def test_nothing_of_another_size_or_clearly_newer_is_ever_the_same(
    sizes: tuple[int, int],
    pair: tuple[str, str],
    times: tuple[float | None, float | None],
    mode: CompareMode,
    md5_etags: bool,
) -> None:
    source = entry(sizes[0], pair[0], times[0])
    destination = entry(sizes[1], pair[1], times[1])
    said = comparison(mode, md5_etags=md5_etags).by_entry(source, destination)
    told = md5_etags and pair[0] == pair[1] and pair[0] not in ("", "opaque")
    newer = None not in times and times[0] > times[1] + 1  # type: ignore[operator]
    if sizes[0] != sizes[1]:
        assert said is CHANGED
    elif mode is CompareMode.ETAG and told:
        assert said is SAME
    elif mode is CompareMode.SIZE_MTIME and newer:
        assert said is CHANGED


@given(etags, etags, seconds)
def test_a_copy_that_is_a_second_younger_than_its_source_is_the_same(
    etag: str, other: str, moment: float | None
) -> None:
    source = entry(etag=etag, seconds=moment)
    copy = entry(etag=other, seconds=None if moment is None else moment + 1)
    assert comparison(CompareMode.SIZE_MTIME).by_entry(source, copy) is SAME


@pytest.mark.parametrize(
    ("etag", "whole", "parts"),
    [
        (A, True, 0),
        (hashlib.md5(b"", usedforsecurity=False).hexdigest(), True, 0),
        (f"{A}-1", False, 1),
        (f"{A}-10000", False, 10_000),
        (A.upper(), False, 0),
        (A[:-1], False, 0),
        (f"{A}-", False, 0),
        (f"{A}\n", False, 0),
        (f"{A[:-1]}\n", False, 0),
        ("g" * 32, False, 0),
        ("", False, 0),
    ],
)
def test_an_etag_tells_an_md5_and_a_number_of_parts(etag: str, whole: bool, parts: int) -> None:
    assert (is_md5(etag), part_count(etag)) == (whole, parts)


# Checksums


async def put(store: MemoryStore, body: bytes, sse: str = "") -> ObjectEntry:
    await store.put(
        "key",
        body,
        attributes=Attributes(),
        options=WriteOptions(sse=sse),
        md5=hashlib.md5(body, usedforsecurity=False).digest(),
    )
    return (await store.list()).entries[0]


@pytest.mark.parametrize("sse", ["", "aws:kms"])
@pytest.mark.parametrize(("body", "expected"), [(b"one", SAME), (b"two", CHANGED)])
async def test_checksums_decide_where_both_sides_have_them(
    body: bytes, expected: Difference, sse: str
) -> None:
    source, destination = MemoryStore(clock=lambda: at(0)), MemoryStore(clock=lambda: at(60))
    compared = Comparison(CompareMode.CHECKSUM, source, destination)
    ours, theirs = await put(source, b"one", sse), await put(destination, body)
    assert compared.needs_checksums
    assert await compared.by_checksum(ours, theirs) is expected
    assert compared.fallbacks == 0


class Bare(MemoryStore):
    """Knows no checksums, as most compatible stores."""

    async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
        return replace(await super().head(key), checksums={})


@pytest.mark.parametrize(("body", "expected"), [(b"one", SAME), (b"two", CHANGED)])
async def test_md5_etags_stand_in_for_checksums(body: bytes, expected: Difference) -> None:
    source, destination = Bare(clock=lambda: at(0)), Bare(clock=lambda: at(60))
    compared = Comparison(CompareMode.CHECKSUM, source, destination)
    ours, theirs = await put(source, b"one"), await put(destination, body)
    assert await compared.by_checksum(ours, theirs) is expected
    assert compared.fallbacks == 0


@pytest.mark.parametrize(("body", "expected"), [(b"one", SAME), (b"two", CHANGED)])
async def test_the_md5_of_one_side_is_held_against_the_etag_of_the_other(
    body: bytes, expected: Difference
) -> None:
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

    class Hashing(MemoryStore):
        """Computes MD5s, as a folder of a disk."""

        async def head(self, key: str, *, checksums: bool = False) -> ObjectInfo:
            return replace(await super().head(key), etag="opaque", checksums={"md5": digest})

    source, destination = Hashing(), Bare()
    compared = Comparison(CompareMode.CHECKSUM, source, destination)
    ours, theirs = await put(source, body), await put(destination, b"one")
    assert await compared.by_checksum(ours, theirs) is expected
    assert compared.fallbacks == 0


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (entry(etag=f"{A}-2", seconds=-AFTER), CHANGED),
        (entry(etag="", seconds=0), CHANGED),
        (entry(seconds=-AFTER), SAME),  # the etags tell
        (entry(etag="", seconds=BEFORE), SAME),
        (entry(etag="", seconds=None), SAME),
    ],
)
def test_a_strict_comparison_believes_no_clock_within_a_second(
    source: ObjectEntry, says: Difference
) -> None:
    stores = MemoryStore("source"), MemoryStore("destination")
    strict = Comparison(CompareMode.SIZE_MTIME, *stores, strict=True)
    assert strict.by_entry(source, entry()) is says


@pytest.mark.parametrize(("written", "expected"), [(60, SAME), (-60, CHANGED)])
async def test_without_a_common_checksum_time_decides_and_it_is_counted(
    written: float, expected: Difference
) -> None:
    source, destination = Bare(clock=lambda: at(0)), Bare(clock=lambda: at(written))
    compared = Comparison(CompareMode.CHECKSUM, source, destination)
    ours = await put(source, b"one", "aws:kms")  # whose etag is no MD5 although it looks like one
    theirs = await put(destination, b"one")
    assert await compared.by_checksum(ours, theirs) is expected
    assert compared.fallbacks == 1


async def test_a_side_that_vanished_is_said_by_its_error() -> None:
    source, destination = MemoryStore(), MemoryStore()
    compared = Comparison(CompareMode.CHECKSUM, source, destination)
    ours = await put(source, b"one")
    with pytest.raises(NotFoundError):
        await compared.by_checksum(ours, ours)
