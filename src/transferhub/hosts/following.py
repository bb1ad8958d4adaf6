"""What a run of events follows: its task's inbox, and the limits of its deletes."""

from __future__ import annotations

from transferhub.control.event_runs import FAIR_SHARE, gives_way, is_crowded, since_listed
from transferhub.hosts.carrier import State, guard_of
from transferhub.model.clock import utc_now
from transferhub.model.run import Run
from transferhub.plugins.objects.event_scan import EventGuard, Following
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.events import Inbox


async def open_following(state: State, run: Run, spec: ObjectsSpec, inbox: Inbox) -> Following:
    """Raises StateError where the state cannot be used."""
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
