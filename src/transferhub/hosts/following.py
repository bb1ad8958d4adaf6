"""What a run of events follows: its task's inbox, and the limits of its deletes."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.control.event_runs import FAIR_SHARE, gives_way, is_crowded, since_listed
from transferhub.control.specs import Spec
from transferhub.engine.execution import Guard
from transferhub.engine.replication import Find, Replication
from transferhub.errors import RunError
from transferhub.hosts.carrier import State
from transferhub.model.clock import utc_now
from transferhub.model.run import Run
from transferhub.plugins.objects.event_scan import EventGuard, Following
from transferhub.plugins.objects.replication import ObjectReplication
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.events import Inbox


@dataclass(frozen=True, slots=True)
class ObjectEvents:
    """An Events of a run of objects."""

    following: Following

    @property
    def guard(self) -> Guard:
        return self.following.guard

    def find(self, replication: Replication) -> Find:
        assert isinstance(replication, ObjectReplication)
        return lambda run, *_: replication.follow(run, self.following)


async def open_events(state: State, run: Run, spec: Spec, inbox: Inbox) -> ObjectEvents:
    """Raises:
    RunError: tasks of this kind follow no events.
    StateError: the state cannot be used.
    """
    if not isinstance(spec, ObjectsSpec):
        raise RunError(f"a task of kind {spec.kind} follows no events")
    fair_until = utc_now() + FAIR_SHARE

    async def another_waits() -> bool:
        now = utc_now()
        if now > fair_until and await is_crowded(state.tasks, now):
            return True
        return await gives_way(state.tasks, run)

    listed = await since_listed(state.tasks, run)
    following = Following(
        task=run.task,
        inbox=inbox,
        ledger=state.ledger,
        guard=EventGuard(spec.guard, spec.destination.url, **listed),
        gives_way=another_waits,
    )
    return ObjectEvents(following)
