"""A hub's own state, as its settings keep it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conformance.histories import sample
from tests.conformance.ledger_facts import news
from tests.conformance.task_stores import run as run_of
from transferhub.control.retention import Retention
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.retention import retention_of
from transferhub.hosts.services import Services
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.clock import utc_now
from transferhub.model.history import LogLevel, LogLine, OfRun
from transferhub.model.people import How, Role, Session
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import RunId

DAY = timedelta(days=1)


class Rounds:
    """A hub's state, and a server's rounds over it."""

    def __init__(self, state: HubState, retention: Retention) -> None:
        self.state = state
        self.retention = retention

    async def ended(self, ident: str, days_ago: float) -> Run:
        """A run of which everything is known that can be."""
        at = utc_now() - days_ago * DAY
        made = replace(run_of(ident, state=RunState.SUCCEEDED), created_at=at, ended_at=at)
        await self.state.tasks.create_run(made)
        await self.state.ledger.record(made.ident, news(3))
        await self.state.samples.add(made.ident, made.task, replace(sample(0), at=at))
        line = LogLine(
            at=at,
            level=LogLevel.INFO,
            action="run_ended",
            message="it ended",
            task=made.task,
            run=made.ident,
        )
        await self.state.logs.append([line])
        return made

    async def known(self, run: Run) -> dict[str, bool]:
        state, of = self.state, OfRun(run.ident)
        return {
            "run": await state.tasks.get_run(run.ident) is not None,
            "transfers": bool((await state.ledger.totals(run.ident)).open),
            "samples": bool(await state.samples.latest([run.ident])),
            "log": bool((await state.logs.page(of)).lines),
        }


@pytest.fixture
async def rounds(state_url: str, tmp_path: Path) -> AsyncIterator[Rounds]:
    settings = HubSettings.load(
        env={"DTH_KEEP_RUNS": "30d", "DTH_KEEP_LOGS": "7d", "DTH_KEEP_SAMPLES": "14d"},
        machine_file=tmp_path / "none",
        state=str(tmp_path),
    )
    async with AsyncExitStack() as stack:
        state = await open_hub_state(StatePlace(folder=tmp_path, database=state_url), stack)
        services = Services(state, settings, stack, public_url="http://127.0.0.1:8420")
        yield Rounds(state, retention_of(state, settings, services.sign_in, "one"))


async def test_each_kind_is_kept_as_long_as_its_setting_says(rounds: Rounds) -> None:
    everything = {"run": True, "transfers": True, "samples": True, "log": True}
    ages = {"month": 40, "fortnight": 20, "week": 10, "latest": 1}
    runs = {name: await rounds.ended(name, days) for name, days in ages.items()}
    assert [await rounds.known(run) for run in runs.values()] == [everything] * 4
    assert await rounds.retention.round() is not None
    assert await rounds.known(runs["latest"]) == everything
    assert await rounds.known(runs["week"]) == {**everything, "log": False}
    assert await rounds.known(runs["fortnight"]) == {
        **everything,
        "log": False,
        "samples": False,
    }
    assert not any((await rounds.known(runs["month"])).values())


async def test_sessions_that_ended_are_forgotten(rounds: Rounds) -> None:
    now = utc_now()
    for digest, ends_at in (("ended", now - DAY), ("lasts", now + DAY)):
        await rounds.state.people.create_session(
            Session(
                digest=digest,
                name="ada",
                role=Role.VIEWER,
                how=How.LINK,
                created_at=now - 2 * DAY,
                used_at=now,
                ends_at=ends_at,
            )
        )
    swept = await rounds.retention.round()
    assert swept is not None
    assert swept.shelves["sign-ins"] == 1
    assert await rounds.state.people.get_session("ended") is None
    assert await rounds.state.people.get_session("lasts") is not None


async def test_a_log_and_samples_go_with_their_run(rounds: Rounds) -> None:
    stray = RunId("stray")
    await rounds.state.ledger.record(stray, news(1))
    await rounds.state.samples.add(stray, run_of("x").task, replace(sample(0), at=utc_now()))
    assert await rounds.retention.round() is not None
    assert await rounds.state.samples.latest([stray]) == {}
    assert await rounds.state.ledger.ledgers() == []
