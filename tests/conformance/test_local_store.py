from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.stores import StoreSuite
from transferhub.stores.base import ObjectStore
from transferhub.stores.local import LocalStore


class TestLocalStore(StoreSuite):
    part_bytes = 1_000
    tells_part_sizes = False
    holds_folder_keys = False
    checksum_of_put = "md5"

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[ObjectStore]:
        store = LocalStore(tmp_path)
        yield store
        await store.aclose()

    def refuses(self, key: str) -> bool:
        segments = key.split("/")
        return (
            not {"", ".", ".."}.isdisjoint(segments)
            or "\0" in key
            or any(len(segment.encode()) > 255 for segment in segments)
        )
