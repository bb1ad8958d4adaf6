import asyncio
import errno
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transferhub.engine import disk_sort
from transferhub.engine.disk_sort import DiskSort, SortedListing
from transferhub.engine.folders import writing
from transferhub.engine.listing import NO_KEY
from transferhub.errors import StateError
from transferhub.model.objects import ObjectEntry

keys = st.text(st.sampled_from("ab/\x00é\ue000\U0001f600"), min_size=1, max_size=3)
moments = st.none() | st.datetimes(timezones=st.just(UTC))
entries = st.builds(ObjectEntry, keys, st.integers(0, 1 << 50), st.text(max_size=3), moments, keys)
pages = st.lists(st.lists(entries, max_size=12), max_size=6)


async def given_out(content: Sequence[list[ObjectEntry]]) -> AsyncIterator[list[ObjectEntry]]:
    for page in content:
        yield page


@pytest.fixture(scope="session")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sorting")


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_sort, "_RUN_ENTRIES", 7)
    monkeypatch.setattr(disk_sort, "_BLOCK", 3)


@pytest.fixture
def few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_sort, "_FAN_IN", 2)


def last_of_each(content: Sequence[list[ObjectEntry]]) -> list[ObjectEntry]:
    newest = {entry.key: entry for page in content for entry in page}
    return [newest[key] for key in sorted(newest)]


@pytest.mark.usefixtures("small_runs", "few_open_files")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages)
def test_entries_come_out_in_byte_order_whole_and_the_last_of_a_key_wins(
    spool: Path, content: list[list[ObjectEntry]]
) -> None:
    async def check() -> None:
        with DiskSort(spool) as sort:
            await sort.fill(given_out(content))
            assert list(chain.from_iterable(sort.pages())) == last_of_each(content)

    asyncio.run(check())
    assert not list(spool.iterdir())


@pytest.mark.usefixtures("small_runs")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=pages, after=keys | st.just(""), until=st.none() | keys)
def test_a_sorted_listing_holds_exactly_its_range(
    spool: Path, content: list[list[ObjectEntry]], after: str, until: str | None
) -> None:
    async def check() -> None:
        names = [entry.key for entry in last_of_each(content)]
        found: list[str] = []
        with DiskSort(spool) as sort:
            await sort.fill(given_out(content))
            listing = SortedListing(sort.pages(), "", after, until)
            while not (listing.ended and not listing.keys):
                await listing.fill()
                found += listing.take(None)[0]
        assert found == [n for n in names if after < n and (until is None or n <= until)]
        beyond = [n for n in names if n > after and until is not None and n > until]
        assert listing.beyond == next(iter(beyond), NO_KEY)

    asyncio.run(check())


async def test_keys_of_a_sorted_listing_are_relative(spool: Path) -> None:
    with DiskSort(spool) as sort:
        await sort.fill(given_out([[ObjectEntry("base/b", 1, "", None)]]))
        listing = SortedListing(sort.pages(), "base/", "", None)
        await listing.fill()
        keys, entries = listing.take(None)
    assert (keys, [entry.key for entry in entries]) == (["b"], ["base/b"])


@pytest.mark.usefixtures("small_runs")
async def test_no_more_than_one_run_of_entries_waits_in_memory(tmp_path: Path) -> None:
    waiting: list[int] = []

    async def listed() -> AsyncIterator[list[ObjectEntry]]:
        for number in range(100):
            waiting.append(number - 7 * len(list(tmp_path.glob("*/*"))))
            yield [ObjectEntry(str(number), 0, "", None)]

    with DiskSort(tmp_path) as sort:
        await sort.fill(listed())
    assert max(waiting) < 7


@pytest.mark.usefixtures("few_open_files")
async def test_however_much_is_sorted_few_files_are_left_to_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_sort, "_RUN_ENTRIES", 1)
    content = [[ObjectEntry(f"{number:03}", 0, "", None)] for number in range(200)]
    with DiskSort(tmp_path) as sort:
        await sort.fill(given_out(content))
        assert len(list(tmp_path.glob("*/*"))) <= 8
        assert [entry.key for page in sort.pages() for entry in page] == [
            f"{number:03}" for number in range(200)
        ]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """What the operating system says of a full disk, for files of this process: EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_full_disk_is_said_and_what_was_written_is_removed(tmp_path: Path) -> None:
    content = [[ObjectEntry(f"{number:0100}", 0, "", None) for number in range(1_000)]]
    with (
        pytest.raises(StateError, match="free some space") as full,
        DiskSort(tmp_path) as sort,
        largest_file(4_096),
    ):
        await sort.fill(given_out(content))
    assert full.value.code == "state_full"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="nowhere") as missing:
        DiskSort(tmp_path / "nowhere")
    assert missing.value.code == "state_io"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "state_full"),
        (errno.EDQUOT, "state_full"),
        (errno.EFBIG, "state_full"),
        (errno.EACCES, "state_readonly"),
        (errno.EPERM, "state_readonly"),
        (errno.EROFS, "state_readonly"),
        (errno.EIO, "state_io"),
    ],
)
def test_what_the_system_says_of_a_folder_has_a_code_and_advice(number: int, code: str) -> None:
    with (
        pytest.raises(StateError, match=r"Cannot write the rows /place \(.+\): .+--state") as found,
        writing("the rows", Path("/place")),
    ):
        raise OSError(number, os.strerror(number))
    assert found.value.code == code
