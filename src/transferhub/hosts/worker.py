"""`dth worker`: carries the runs of a hub on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from transferhub.control.keeper import KeeperRules
from transferhub.errors import InputError
from transferhub.hosts.chronicle import runs_logged
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.logs import Mask
from transferhub.hosts.members import new_member, open_keeper
from transferhub.hosts.retention import forget_reports
from transferhub.hosts.state import database_url
from transferhub.hosts.stopping import leave_on_signals
from transferhub.model.fleet import MemberKind


def work(settings: HubSettings, *, talk: Callable[[str], None]) -> None:
    """Carries runs until a signal, or until the fleet asks this worker to drain.

    Raises:
        InputError: a worker shares PostgreSQL with its hub; SQLite is of one machine.
        StateError: the state cannot be used.
    """
    if not settings.base.database.startswith("postgres"):
        raise InputError(
            "--database",
            "is needed: a worker shares the hub's PostgreSQL; `dth up` alone carries its runs"
            " itself",
        )
    asyncio.run(_work(settings, talk))


async def _work(settings: HubSettings, talk: Callable[[str], None]) -> None:
    base, leave = settings.base, leave_on_signals(talk)
    async with AsyncExitStack() as stack:
        state = await HubState.open(base.state, database_url(base), stack)
        member = new_member(MemberKind.WORKER, settings.name)
        await stack.enter_async_context(
            runs_logged(state.tasks, state.logs, Mask(), worker=member.ident)
        )
        keeper = await open_keeper(state, settings, member, KeeperRules(slots=settings.runs))
        talk(f"worker {member.ident} takes up to {settings.runs} runs at once; Ctrl-C stops it")
        forgetting = asyncio.create_task(forget_reports(leave, state, settings))
        try:
            await keeper.run(leave)
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)
    talk("stopped")
