"""What those who watch a server of a hub are given."""

from __future__ import annotations

from transferhub import __version__
from transferhub.api.metrics import ROUTES, Watch
from transferhub.control.census import CensusTaker
from transferhub.control.scheduler import Scheduler
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.metrics.prometheus import Prometheus


def open_watch(settings: HubSettings, state: HubState, scheduler: Scheduler) -> Watch:
    taker = CensusTaker(state.tasks, state.ledger, state.fleet, state.inbox, state.samples)
    prometheus = Prometheus(__version__, acts=lambda: scheduler.is_acting, routes=ROUTES)
    return Watch(prometheus=prometheus, census=taker.take, is_open=settings.metrics_open)
