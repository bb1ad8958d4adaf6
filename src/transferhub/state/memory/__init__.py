"""State in memory: for tests and dry runs, and the plainest reading of the ports."""

from transferhub.state.memory.ledger import MemoryLedger
from transferhub.state.memory.people import MemoryAudit, MemoryPeople, MemoryVault
from transferhub.state.memory.tasks import MemoryTaskStore

__all__ = ["MemoryAudit", "MemoryLedger", "MemoryPeople", "MemoryTaskStore", "MemoryVault"]
