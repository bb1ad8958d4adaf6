"""The port of a queue in which a store tells of its changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message, and what it takes to delete it."""

    body: str
    receipt: str


class EventQueue(Protocol):
    """Delivery is at least once: what is not deleted comes again. Verbs raise StoreError."""

    async def receive(self, wait: timedelta) -> Sequence[Message]:
        """A few messages, which nobody else receives for a while; [] where none came in `wait`."""

    async def delete(self, messages: Sequence[Message]) -> None:
        """What cannot be deleted comes again."""

    async def aclose(self) -> None: ...
