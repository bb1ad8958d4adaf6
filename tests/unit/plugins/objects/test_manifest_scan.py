import hashlib
from collections.abc import AsyncIterator
from re import compile as pattern

import pytest

from transferhub.engine.compare import CompareMode, Comparison
from transferhub.engine.survey import Survey
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.transfer import Difference, RunId, ScanCounts, Transfer
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.manifest_scan import ManifestScan
from transferhub.plugins.objects.selection import Selection
from transferhub.stores.memory import MemoryStore


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    md5 = hashlib.md5(body, usedforsecurity=False).digest()
    await store.put(key, body, attributes=Attributes(), options=WriteOptions(), md5=md5)


async def pages(*keys: str) -> AsyncIterator[list[str]]:
    for key in keys:
        yield [key]


async def scanned(
    source: MemoryStore,
    destination: MemoryStore,
    *keys: str,
    selection: Selection | None = None,
    mode: CompareMode = CompareMode.SIZE_MTIME,
) -> tuple[dict[str, Difference], ScanCounts]:
    found: list[Transfer] = []
    survey = Survey(found.append)
    scan = ManifestScan(
        run=RunId("run"),
        ledger=survey,
        source=source,
        destination=destination,
        keys=KeyMap(source_base="in/", destination_base="out/"),
        selection=selection or Selection(),
        comparison=Comparison(mode, source, destination),
        concurrency=4,
    )
    await scan.find(pages(*keys))
    return {transfer.key: transfer.difference for transfer in found}, survey.counts


@pytest.fixture
def source() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def destination() -> MemoryStore:
    return MemoryStore()


async def test_each_key_is_compared_with_where_it_lands(
    source: MemoryStore, destination: MemoryStore
) -> None:
    for key, body in (("new", b"1"), ("longer", b"12"), ("same", b"1")):
        await put(source, f"in/{key}", body)
    await put(destination, "out/longer", b"1")
    await put(destination, "out/same", b"1")
    found, counts = await scanned(source, destination, "new", "longer", "same")
    assert found == {"in/new": Difference.NEW, "in/longer": Difference.CHANGED}
    assert (counts.new, counts.changed, counts.same) == (1, 1, 1)


@pytest.mark.parametrize("mode", CompareMode)
async def test_a_key_that_the_source_has_not_is_left_to_the_copy_whatever_the_destination_has(
    source: MemoryStore, destination: MemoryStore, mode: CompareMode
) -> None:
    await put(destination, "out/empty", b"")
    found, counts = await scanned(source, destination, "empty", "gone", mode=mode)
    assert found == {"in/empty": Difference.CHANGED, "in/gone": Difference.NEW}
    assert (counts.scanned_source, counts.same, counts.filtered) == (2, 0, 0)


async def test_a_key_that_the_source_has_not_is_filtered_by_its_name_alone(
    source: MemoryStore, destination: MemoryStore
) -> None:
    selection = Selection(min_size=1_000, exclude=pattern("no.*"))
    found, counts = await scanned(source, destination, "gone", "nope", selection=selection)
    assert found == {"in/gone": Difference.NEW}
    assert (counts.new, counts.filtered) == (1, 1)
