"""`MemoryFleet`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.model.clock import Clock, utc_now
from transferhub.model.fleet import Load, Member


class MemoryFleet:
    """A complete Fleet that is kept in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._members: dict[str, Member] = {}

    async def register(self, member: Member) -> None:
        self._members[member.ident] = member

    async def heartbeat(self, ident: str, load: Load) -> Member | None:
        if ident in self._members:
            self._members[ident] = replace(self._members[ident], load=load, seen_at=self._clock())
        return self._members.get(ident)

    async def drain(self, ident: str) -> bool:
        if ident in self._members:
            self._members[ident] = replace(self._members[ident], draining=True)
        return ident in self._members

    async def members(self, *, after: str = "", limit: int = 1_000) -> Sequence[Member]:
        return [self._members[ident] for ident in sorted(self._members) if ident > after][:limit]

    async def leave(self, ident: str) -> None:
        self._members.pop(ident, None)

    async def forget(self, before: datetime) -> Sequence[Member]:
        dead = [
            self._members[ident]
            for ident in sorted(self._members)
            if self._members[ident].seen_at < before
        ]
        for member in dead:
            del self._members[member.ident]
        return dead

    async def aclose(self) -> None:
        return
