"""This process as a member of the fleet, and the keeper of its runs."""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from transferhub import __version__
from transferhub.control.keeper import Keeper, KeeperRules, Share
from transferhub.hosts import carriage
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import SharedState
from transferhub.hosts.lending import grant_of
from transferhub.hosts.logs import LogRules
from transferhub.hosts.state import StatePlace
from transferhub.launchers.local import LocalLauncher
from transferhub.model.clock import utc_now
from transferhub.model.fleet import Member, MemberKind
from transferhub.model.run import Run


def new_ident(now: datetime) -> str:
    """Sorts by time, reads well: 20261124-093012-4f1a2b."""
    return f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def new_member(kind: MemberKind, name: str = "") -> Member:
    """This process, under an id that was never given before.

    Args:
        name: of the host; "" takes its own.
    """
    host, now = name or platform.node() or "unnamed", utc_now()
    return Member(
        ident=f"{host}-{os.getpid()}-{os.urandom(3).hex()}",
        host=host,
        pid=os.getpid(),
        version=__version__,
        kind=kind,
        started_at=now,
        seen_at=now,
    )


async def open_keeper(
    state: SharedState,
    hub_settings: HubSettings,
    member: Member,
    rules: KeeperRules,
    lost: Callable[[Member], Awaitable[None]],
) -> Keeper:
    """The keeper of this process, whose runs are carried in processes of this machine.

    Args:
        lost: hears of lost members, as of `Keeper`.
    """
    settings, grant = hub_settings.base, grant_of(hub_settings)
    tuning = replace(settings.tuning(), live=True)

    def assign(run: Run, share: Share, joins: bool) -> carriage.Assignment:  # noqa: FBT001 - the port's
        return carriage.Assignment(
            run=run.ident,
            keeper=member.ident,
            joins=joins,
            place=StatePlace.of(settings),
            tuning=tuning,
            share=share,
            lease=rules.lease,
            grant=grant,
            log=LogRules(
                format=hub_settings.log_format, level=settings.log.value, worker=member.ident
            ),
        )

    launcher = LocalLauncher(carriage.main, assign)
    if rules.slots:
        await launcher.prepare()
    return Keeper(
        state.tasks,
        state.ledger,
        state.fleet,
        launcher,
        member,
        rules=rules,
        lost=lost,
    )
