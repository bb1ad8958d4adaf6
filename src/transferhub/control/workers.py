"""`Workers`: the verbs on the processes of a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.errors import InputError
from transferhub.model.fleet import Member
from transferhub.model.people import Caller, Role
from transferhub.state.base import Fleet


class Workers:
    """Every verb checks the caller's role first."""

    def __init__(self, fleet: Fleet, journal: Journal) -> None:
        self._fleet = fleet
        self._journal = journal

    async def all(self, caller: Caller) -> Sequence[Member]:
        """Those that were seen lately, by id."""
        authorise(caller, Role.VIEWER)
        return await self._fleet.members()

    async def drain(self, caller: Caller, ident: str) -> Member:
        """Asks a process to finish what it carries and take nothing new.

        Raises:
            InputError: there is none of this id.
        """
        authorise(caller, Role.ADMIN)
        was = {member.ident: member for member in await self._fleet.members()}.get(ident)
        if was is None or not await self._fleet.drain(ident):
            raise InputError("worker", f"there is no worker {ident[:64]!r}", code="no_worker")
        if not was.draining:
            await self._journal.note(caller, "worker.drain", ident, after={"host": was.host})
        return replace(was, draining=True)
