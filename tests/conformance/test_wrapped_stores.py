import pytest

from tests.conformance.stores import StoreSuite
from transferhub.stores.base import ObjectStore
from transferhub.stores.faulty import FaultyStore, ScriptedFaults
from transferhub.stores.logged import LoggedStore
from transferhub.stores.memory import MemoryStore
from transferhub.stores.retrying import RetryingStore
from transferhub.stores.throttled import ThrottledStore, TokenBucket
from transferhub.stores.wrapper import StoreWrapper


class _Wrapped(StoreSuite):
    part_bytes = 1_000
    checksum_of_put = "md5"


class TestStoreWrapper(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return StoreWrapper(MemoryStore())


class TestRetryingStore(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return RetryingStore(MemoryStore())


class TestThrottledStore(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return ThrottledStore(MemoryStore(), requests=TokenBucket(1e9), bandwidth=TokenBucket(1e15))


class TestFaultyStore(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return FaultyStore(MemoryStore(), ScriptedFaults([]))


class TestLoggedStore(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        return LoggedStore(MemoryStore())


class TestAllWrappersTogether(_Wrapped):
    @pytest.fixture
    async def store(self) -> ObjectStore:
        bucket = TokenBucket(None)
        throttled = ThrottledStore(MemoryStore(), requests=bucket, bandwidth=bucket)
        return LoggedStore(RetryingStore(FaultyStore(throttled, ScriptedFaults([]))))
