"""`dth worker`: carries the runs of a hub on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from transferhub.control.keeper import KeeperRules
from transferhub.errors import InputError
from transferhub.hosts.chronicle import runs_logged
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.logs import Mask
from transferhub.hosts.members import new_member, open_keeper
from transferhub.hosts.post import open_notices
from transferhub.hosts.retention import forget_reports
from transferhub.hosts.state import StatePlace, adapters_of, make_folder
from transferhub.hosts.stopping import leave_on_signals
from transferhub.model.fleet import Member, MemberKind


def work(settings: HubSettings, *, talk: Callable[[str], None]) -> None:
    """Carries runs until a signal, or until the fleet asks this worker to drain.

    Raises:
        InputError: a worker shares its hub's state; SQLite is of one machine.
        StateError: the state cannot be used.
    """
    if not StatePlace.of(settings.base).is_shared:
        raise InputError(
            "--database",
            "is needed, or --ledger: a worker shares the hub's PostgreSQL, or its state on AWS;"
            " `dth up` alone carries its runs itself",
        )
    asyncio.run(_work(settings, talk))


_LONG_SILENCE = timedelta(minutes=5)
"""For so long a worker that reaches no messages leaves lost members to servers, which tell people
of them."""


async def _leave_to_servers(_: Member) -> None:
    return


async def _work(settings: HubSettings, talk: Callable[[str], None]) -> None:
    place, leave = StatePlace.of(settings.base), leave_on_signals(talk)
    async with AsyncExitStack() as stack:
        adapters = adapters_of(place, stack)
        make_folder(place.folder)
        state = await adapters.shared()
        member = new_member(MemberKind.WORKER, settings.name)
        await stack.enter_async_context(
            runs_logged(state.tasks, state.logs, Mask(), worker=member.ident)
        )
        lost: Callable[[Member], Awaitable[None]] = _leave_to_servers
        rules = KeeperRules(slots=settings.runs, silence=_LONG_SILENCE)
        if not place.has_roles:
            lost = open_notices(await adapters.whole()).lost
            rules = KeeperRules(slots=settings.runs)
        keeper = await open_keeper(state, settings, member, rules, lost)
        talk(f"worker {member.ident} takes up to {settings.runs} runs at once; Ctrl-C stops it")
        forgetting = asyncio.create_task(forget_reports(leave, state, settings))
        try:
            await keeper.run(leave)
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)
    talk("stopped")
