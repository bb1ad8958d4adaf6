"""An object store in memory, for tests and trials; it can misbehave as real servers do."""

from transferhub.stores.memory.server import MemoryServer, Order
from transferhub.stores.memory.store import MemoryStore

__all__ = ["MemoryServer", "MemoryStore", "Order"]
