"""What a run of events follows: its task's inbox, and the limits of its deletes."""

from __future__ import annotations

from contextlib import AsyncExitStack

from transferhub.control.event_runs import FAIR_SHARE, gives_way, is_crowded, since_listed
from transferhub.hosts.carrier import State, guard_of
from transferhub.model.clock import utc_now
from transferhub.model.run import Run
from transferhub.plugins.objects.event_scan import EventGuard, Following
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.sql.database import Database
from transferhub.state.sql.events import SqlInbox


async def open_following(
    state: State, run: Run, spec: ObjectsSpec, database: str, stack: AsyncExitStack
) -> Following:
    """Opens it until `stack` ends.

    Raises:
        StateError: the database cannot be used.
    """
    inbox = SqlInbox(await Database.open(database))
    stack.push_async_callback(inbox.aclose)

    fair_until = utc_now() + FAIR_SHARE

    async def another_waits() -> bool:
        now = utc_now()
        if now > fair_until and await is_crowded(state.tasks, now):
            return True
        return await gives_way(state.tasks, run)

    listed = await since_listed(state.tasks, run)
    return Following(
        task=run.task,
        inbox=inbox,
        ledger=state.ledger,
        guard=EventGuard(guard_of(spec), spec.destination.url, **listed),
        gives_way=another_waits,
    )
