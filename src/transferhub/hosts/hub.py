"""`dth up`: the composition root of a hub's server."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta

from transferhub.api.app import Web, create_app
from transferhub.api.hub_graph import open_graph
from transferhub.api.metrics import Watch
from transferhub.api.safety import Site
from transferhub.control.hub import Hub
from transferhub.control.keeper import KeeperRules
from transferhub.control.openid import OpenId
from transferhub.control.scheduler import Scheduler
from transferhub.errors import VaultError
from transferhub.hosts.chronicle import runs_logged
from transferhub.hosts.hub_settings import HubSettings, check_exposure
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.locks import HUB_LOCK, only_process
from transferhub.hosts.logs import Mask
from transferhub.hosts.members import new_member, open_keeper
from transferhub.hosts.openid import open_provider, provider_origins, sign_in_config
from transferhub.hosts.post import open_notices
from transferhub.hosts.retention import forget_reports, forget_shared
from transferhub.hosts.services import Services
from transferhub.hosts.serving import listening, open_server
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.hosts.stopping import leave_on_signals
from transferhub.hosts.watch import open_watch
from transferhub.model.fleet import MemberKind
from transferhub.model.pages import RunFilter
from transferhub.model.people import Caller, How, Role
from transferhub.model.run import RunState
from transferhub.model.transfer import Action, TransferState
from transferhub.state.people import People

_LINK = timedelta(minutes=15)


def serve(settings: HubSettings, *, talk: Callable[[str], None]) -> None:
    """Serves until a signal, then gives back what is under way.

    Raises:
        InputError: it cannot listen there, or that would not be safe.
        StateError: the state cannot be used.
    """
    with _alone(StatePlace.of(settings.base)), listening(settings) as listener:
        asyncio.run(_serve(settings, listener, talk))


async def _serve(
    settings: HubSettings, listener: socket.socket, talk: Callable[[str], None]
) -> None:
    place, leave = StatePlace.of(settings.base), leave_on_signals(talk)
    async with AsyncExitStack() as stack:
        state = await open_hub_state(place, stack)
        check_exposure(settings, has_users=await _has_users(state.people))
        port = listener.getsockname()[1]
        services = Services(state, settings, stack, public_url=settings.url(port))
        await _reseal(services, talk)
        if place.is_private:
            await _pick_up(state, talk)
        member = new_member(MemberKind.SERVER, settings.name)
        await stack.enter_async_context(
            runs_logged(state.tasks, state.logs, Mask(), worker=member.ident)
        )
        keeper = await open_keeper(
            state, settings, member, KeeperRules(slots=settings.runs), open_notices(state).lost
        )
        scheduler = Scheduler(
            services.scheduled, services.scheduled, state.seats, holder=member.ident
        )
        openid = open_provider(settings, stack)
        watch = open_watch(settings, state, scheduler)
        server = open_server(
            settings, create_app(_web(settings, state, services, openid, watch, port))
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            group.create_task(keeper.run(leave))
            group.create_task(scheduler.run(leave))
            group.create_task(services.events.pump.run(leave))
            group.create_task(services.events.listen(leave))
            group.create_task(services.events.runs(member.ident).run(leave))
            group.create_task(services.post.courier.run(leave))
            group.create_task(services.post.lookout(member).run(leave))
            group.create_task(forget_shared(leave, state, settings, services.sign_in, member.ident))
            group.create_task(forget_reports(leave, state, settings))
            url = settings.url(port)
            talk(f"the hub is at {url}/")
            if not settings.serves_others:
                talk(f"sign in once, within 15 minutes: {url}/#token={await _link(services)}")
            await leave.wait()
            server.should_exit = True
    talk("stopped")


@contextmanager
def _alone(place: StatePlace) -> Iterator[None]:
    """A SQLite file is of one hub. Many share another state, where each run has a lease."""
    if not place.is_private:
        yield
    else:
        with only_process(place.folder / HUB_LOCK, f"the hub in {place.folder}"):
            yield


async def _pick_up(state: HubState, talk: Callable[[str], None]) -> None:
    """Queues again what an earlier hub, which is dead, had under way."""
    running = (await state.tasks.runs(RunFilter(states=(RunState.RUNNING,)))).items
    for run in running:
        if run.keeper:
            totals = await state.ledger.totals(run.ident)
            done = totals.tally(Action.COPY, TransferState.DONE).count
            task = await state.tasks.task_version(run.task, run.task_version)
            things = "objects" if task is None else task.kind
            await state.tasks.release_run(run)
            talk(
                f"picked up run {run.ident}, which was under way: {done} {things} are copied,"
                f" {totals.open} wait"
            )


async def _link(services: Services) -> str:
    """Whoever reads what this process says may sign in with it."""
    me = Caller(name="dth-up", role=Role.ADMIN, how=How.COMMAND)
    return await services.hub.accounts.create_link(me, _user_name(), Role.ADMIN, duration=_LINK)


async def _reseal(services: Services, talk: Callable[[str], None]) -> None:
    """Ends a rotation of keys that was interrupted. Tasks without credentials need none of it."""
    try:
        await services.hub.credentials.reseal()
    except VaultError as error:
        talk(f"stored credentials cannot be opened: {error.message}")


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "admin"


async def _has_users(people: People) -> bool:
    return any(user.password and not user.disabled for user in await people.users())


def _web(
    settings: HubSettings,
    state: HubState,
    services: Services,
    openid: OpenId | None,
    watch: Watch,
    port: int,
) -> Web[Hub]:
    async def ready() -> None:
        await state.tasks.runs(limit=1)

    return Web(
        site=Site(
            origins=settings.origins_of_browsers(port),
            secure=settings.is_secure,
            connects=provider_origins(settings),
        ),
        graph=open_graph(),
        service=services.hub,
        sign_in=services.sign_in,
        config=sign_in_config(settings),
        openid=openid,
        ready=ready,
        intake=services.events.intake,
        watch=watch,
    )
