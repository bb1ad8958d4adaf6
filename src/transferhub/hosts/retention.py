"""What each process of a hub forgets, as its settings say."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from transferhub.control.retention import ReportRetention, Retention, Shelf, sweep_until
from transferhub.control.signin import SignIn
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState, SharedState
from transferhub.hosts.reports import ReportFolder
from transferhub.model.history import THINNINGS, Thinning
from transferhub.state.history import Samples


async def forget_shared(
    leave: asyncio.Event, state: HubState, settings: HubSettings, sign_in: SignIn, holder: str
) -> None:
    """Forgets old runs and what else servers share, until `leave` is set.

    Args:
        holder: names this server.
    """
    retention = retention_of(state, settings, sign_in, holder)
    await sweep_until(leave, retention.round)
    await retention.leave()


def retention_of(state: HubState, settings: HubSettings, sign_in: SignIn, holder: str) -> Retention:
    """What one server does of it; see `forget_shared`."""
    return Retention(
        state.tasks,
        state.ledger,
        state.seats,
        keep=settings.keep_runs,
        shelves=[
            Shelf(name="sign-ins", keep=timedelta(), purge=lambda _: sign_in.purge()),
            Shelf(name="samples", keep=settings.keep_samples, purge=state.samples.purge),
            Shelf(name="logs", keep=settings.keep_logs, purge=state.logs.purge),
            *(_thinned(state.samples, thinning) for thinning in THINNINGS),
        ],
        forget=(state.samples.forget, state.logs.forget),
        holder=holder,
    )


def _thinned(samples: Samples, thinning: Thinning) -> Shelf:
    name = f"samples thinned to {thinning.coarse}"
    return Shelf(name=name, keep=thinning.age, purge=partial(samples.thin, thinning))


async def forget_reports(leave: asyncio.Event, state: SharedState, settings: HubSettings) -> None:
    """Removes old reports of this machine, until `leave` is set."""
    reports = ReportRetention(
        state.tasks, ReportFolder(settings.base.state), keep=settings.keep_reports
    )
    await sweep_until(leave, reports.round)
