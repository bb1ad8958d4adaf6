"""State in memory: for tests and dry runs, and the plainest reading of the ports."""

from transferhub.state.memory.events import MemoryInbox
from transferhub.state.memory.fleet import MemoryFleet
from transferhub.state.memory.history import MemoryLogs, MemorySamples
from transferhub.state.memory.ledger import MemoryLedger
from transferhub.state.memory.people import MemoryAudit, MemoryPeople, MemoryVault
from transferhub.state.memory.seats import MemorySeats
from transferhub.state.memory.tasks import MemoryTaskStore

__all__ = [
    "MemoryAudit",
    "MemoryFleet",
    "MemoryInbox",
    "MemoryLedger",
    "MemoryLogs",
    "MemoryPeople",
    "MemorySamples",
    "MemorySeats",
    "MemoryTaskStore",
    "MemoryVault",
]
