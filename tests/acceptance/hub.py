"""A hub's state, steered in the test's own process by the verbs that its API has."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from tests.acceptance.places import Place
from transferhub.control.hub import Hub
from transferhub.control.orders import queued
from transferhub.control.tasks import TaskDraft
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.members import new_ident
from transferhub.hosts.services import Services
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.clock import utc_now
from transferhub.model.people import Caller, How, Role
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState, Task, Trigger
from transferhub.model.transfer import Action, Totals, TransferState

ADMIN = Caller(name="tester", role=Role.ADMIN, how=How.COMMAND)
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Creates tasks, starts runs, and waits for what becomes of them."""

    state: HubState
    services: Hub

    @classmethod
    async def open(
        cls, folder: Path, url: str, stack: AsyncExitStack, *, ledger: str = "", **env: str
    ) -> Self:
        """Args:
        ledger: where it is on AWS; "" for the database.
        env: settings, as variables.
        """
        place = StatePlace(folder=folder, database=url, ledger=ledger)
        state = await open_hub_state(place, stack)
        settings = HubSettings.load(env=env, machine_file=Path("/none"), state=str(folder))
        services = Services(state, settings, stack, public_url="http://127.0.0.1:8420")
        return cls(state=state, services=services.hub)

    async def task(self, source: Place, destination: Place, **options: Any) -> Task:
        """Places are reached with the DTH_* variables of whoever carries the run."""
        fields = ("schedule", "limits", "tags", "name")
        given = {name: options.pop(name) for name in fields if name in options}
        draft = TaskDraft(
            kind="objects",
            spec={
                "source": located(source, "source"),
                "destination": located(destination, "destination"),
                **options,
            },
            **{"name": "moves", **given},
        )
        return await self.services.tasks.create(ADMIN, draft)

    async def start(self, task: Task, trigger: Trigger = Trigger.PERSON) -> Run:
        if trigger is Trigger.PERSON:
            return await self.services.orders.start(ADMIN, task.ident)
        ident = new_ident(utc_now())
        return await self.state.tasks.create_run(queued(task, ident, trigger, utc_now()))

    async def schedule(self, task: Task, schedule: Mapping[str, Any]) -> None:
        draft = TaskDraft(name=task.name, kind=task.kind, spec=task.spec, schedule=schedule)
        present = await self.services.tasks.get(ADMIN, task.ident)
        await self.services.tasks.update(ADMIN, task.ident, replace(draft, limits=present.limits))

    async def run(self, run: Run) -> Run:
        return await self.services.orders.get(ADMIN, run.ident)

    async def totals(self, run: Run) -> Totals:
        return await self.services.orders.totals(ADMIN, run.ident)

    async def until(
        self, run: Run, what: str, holds: Callable[[Run, Totals], bool], within_s: float = 60
    ) -> Run:
        """The run as it is when the condition holds."""
        deadline = time.monotonic() + within_s
        while True:
            found, totals = await self.run(run), await self.totals(run)
            if holds(found, totals):
                return found
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}; {found}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def ended(self, run: Run, within_s: float = 60) -> Run:
        return await self.until(run, "its end", lambda r, _: is_over(r), within_s)

    async def under_way(self, run: Run, done: int = 1) -> Run:
        """The run as it is once so many of its transfers have ended."""
        return await self.until(
            run, f"{done} done", lambda r, t: r.state is RunState.RUNNING and count_done(t) >= done
        )


def located(place: Place, side: str) -> Mapping[str, Any]:
    return {"url": place.url, "endpoint": place.endpoint.url, "environment": side}


def is_over(run: Run) -> bool:
    return run.state not in UNDER_WAY_STATES


def count_done(totals: Totals) -> int:
    return totals.tally(Action.COPY, TransferState.DONE).count
