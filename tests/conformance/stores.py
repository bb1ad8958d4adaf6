"""The suite of the ObjectStore port: a test for each of its guarantees.

A new backend passes it with a subclass like this:

    class TestMyStore(StoreSuite):
        @pytest.fixture
        async def store(self) -> AsyncIterator[ObjectStore]:
            store = MyStore(...)  # empty
            yield store
            await store.aclose()

        def refuses(self, key: str) -> bool:
            return "//" in key
"""

from tests.conformance.store_keys import KeyTests
from tests.conformance.store_listing import ListingTests
from tests.conformance.store_multipart import MultipartTests
from tests.conformance.store_objects import ObjectTests
from tests.conformance.store_server_side import ServerSideTests


class StoreSuite(ListingTests, ObjectTests, MultipartTests, ServerSideTests, KeyTests):
    """Every test of the port. See StoreFacts for what a subclass may declare."""


__all__ = ["StoreSuite"]
