"""The ports of notifications: the channels, and the outbox of what is to be sent to them.

All verbs are atomic and durable when they return, and raise StateError where the state cannot be
reached or written. Many processes may use them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from transferhub.model.notice import Message, MessageState, Notice, StoredChannel
from transferhub.model.people import Sealed

BURST = timedelta(seconds=5)
"""How long the first notice waits for others that come with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """A channel that hears of a notice, and how long it groups such notices."""

    channel: str
    window: timedelta


class ChannelStore(Protocol):
    """Channels by name. What is sealed of them is kept under the keys of the vault."""

    async def create_channel(self, channel: StoredChannel) -> None:
        """Raises ConflictError where the name is taken."""

    async def get_channel(self, name: str) -> StoredChannel | None: ...

    async def replace_channel(self, channel: StoredChannel, was: StoredChannel) -> None:
        """Puts `channel` in the place of `was`, which has the same name.

        Raises:
            ConflictError: it is no longer `was` (by version) that is stored.
        """

    async def delete_channel(self, name: str) -> bool:
        """Whether there was one. What waits to be sent to it is given up."""

    async def channels(self, *, after: str = "", limit: int = 100) -> Sequence[StoredChannel]:
        """By name, from after the name `after`."""

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        """What is sealed of them, by name, from after the name `after`."""

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        """Puts `sealed` in the place of `was`: the same, under another key.

        Raises:
            ConflictError: it is no longer `was` (by version and key) that is stored.
        """


class Outbox(Protocol):
    """Messages to be sent, once each notice is in it; a message is claimed by one courier."""

    async def add(self, notice: Notice, to: Sequence[Addressee], idents: Sequence[str]) -> bool:
        """Puts the notice in an OPEN message of its kind, task and channel, or begins one that is
        due BURST from now, but not before `window` has passed since the former one was planned.

        Args:
            idents: one for each of `to`, for a message that it begins.

        Returns:
            False where a notice of its id was added before: nothing was changed.
        """

    async def claim(self, duration: timedelta, *, limit: int = 10) -> Sequence[Message]:
        """Messages that are due, longest first: SENDING from now on, with an attempt more, and due
        again after `duration`, should this courier die. One courier gets each."""

    async def settle(
        self, message: Message, state: MessageState, *, error: str = "", due_at: datetime | None
    ) -> bool:
        """Notes how an attempt ended; False where another courier began one since, or the channel
        was deleted.

        Args:
            due_at: when to try again; None with SENT and GIVEN_UP.
        """

    async def messages(
        self, *, channel: str = "", before: int | None = None, limit: int = 100
    ) -> Sequence[Message]:
        """Newest first, those whose numbers are below `before`; "" chooses all channels."""

    async def purge(self, before: datetime, *, limit: int = 1_000) -> int:
        """Forgets messages that ended, and ids of notices that were added, before then. Returns how
        many messages."""
