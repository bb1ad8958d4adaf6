import pytest

from tests.conformance.stores import StoreSuite
from transferhub.stores.base import ObjectStore
from transferhub.stores.memory import MemoryStore, Order


class _OfMemory(StoreSuite):
    part_bytes = 1_000
    checksum_of_put = "md5"


class TestMemoryStore(_OfMemory):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return MemoryStore()


class TestMemoryStoreInFolderOrder(_OfMemory):
    in_byte_order = False

    @pytest.fixture
    async def store(self) -> ObjectStore:
        return MemoryStore(order=Order.FOLDERS)


class TestShuffledMemoryStore(_OfMemory):
    in_byte_order = False

    @pytest.fixture
    async def store(self) -> ObjectStore:
        return MemoryStore(order=Order.SHUFFLED)


class TestMemoryStoreThatIgnoresStartAfter(_OfMemory):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return MemoryStore(ignores_start_after=True, page_keys=3)


class TestMemoryStoreThatIncludesStartAfter(_OfMemory):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return MemoryStore(start_after_inclusive=True, page_keys=2)
