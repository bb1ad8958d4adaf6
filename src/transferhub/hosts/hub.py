"""`dth up`: the composition root of a hub's server."""

from __future__ import annotations

import asyncio
import errno
import getpass
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import uvicorn

from transferhub.api.app import Web, create_app
from transferhub.api.graph import Graph
from transferhub.api.safety import Site
from transferhub.control.journal import Journal
from transferhub.control.keeper import KeeperRules
from transferhub.control.orders import Orders, ScheduledRuns
from transferhub.control.passwords import Effort, Passwords
from transferhub.control.people import Accounts
from transferhub.control.scheduler import Scheduler
from transferhub.control.secrets import new_secret
from transferhub.control.signin import SignIn, SignInRules
from transferhub.control.tasks import Tasks
from transferhub.errors import InputError
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.locks import only_process
from transferhub.hosts.members import new_ident, new_member, open_keeper
from transferhub.hosts.settings import Settings
from transferhub.hosts.state import database_url
from transferhub.hosts.stopping import leave_on_signals
from transferhub.model.clock import utc_now
from transferhub.model.fleet import MemberKind
from transferhub.model.pages import RunFilter
from transferhub.model.people import Caller, How, Role
from transferhub.model.run import RunState
from transferhub.model.transfer import Action, TransferState
from transferhub.plugins.objects.spec import parse_spec

_LINK = timedelta(minutes=15)
_LAST_PORT = 65_535


async def _me(_: Services, __: Mapping[str, Any], caller: Caller) -> str:
    return caller.name


_GRAPH: Graph[Services, Caller] = Graph(
    "type Query { me: String! } type Mutation { me: String! }",
    queries={"me": _me},
    mutations={"me": _me},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server listens."""

    host: str
    port: int


class Services:
    """The services of `control`, over one state."""

    def __init__(self, state: HubState) -> None:
        clock = utc_now

        def ident() -> str:
            return new_ident(clock())

        self.journal = Journal(state.audit, clock)
        self.tasks = Tasks(
            state.tasks,
            state.ledger,
            self.journal,
            {"objects": parse_spec},
            clock=clock,
            new_ident=ident,
        )
        self.orders = Orders(state.tasks, state.ledger, self.journal, clock=clock, new_ident=ident)
        passwords = Passwords(Effort())
        self.sign_in = SignIn(
            state.people,
            passwords,
            self.journal,
            clock=clock,
            new_secret=new_secret,
            rules=SignInRules(),
        )
        self.accounts = Accounts(
            state.people,
            passwords,
            self.sign_in,
            self.journal,
            clock=clock,
            new_secret=new_secret,
        )
        self.scheduled = ScheduledRuns(state.tasks, clock=clock, new_ident=ident)


def serve(settings: Settings, place: Place, *, runs: int, talk: Callable[[str], None]) -> None:
    """Serves until a signal, then gives back what is under way.

    Raises:
        InputError: it cannot listen there.
        StateError: the state cannot be used.
    """
    with _alone(settings), _listening(place) as listener:
        asyncio.run(_serve(settings, listener, runs, talk))


async def _serve(
    settings: Settings, listener: socket.socket, runs: int, talk: Callable[[str], None]
) -> None:
    leave = leave_on_signals(talk)
    async with AsyncExitStack() as stack:
        state = await HubState.open(settings.state, database_url(settings), stack)
        services = Services(state)
        if not settings.database:
            await _pick_up(state, talk)
        member = new_member(MemberKind.SERVER)
        keeper = await open_keeper(state, settings, member, KeeperRules(slots=runs))
        scheduler = Scheduler(
            services.scheduled, services.scheduled, state.seats, holder=member.ident
        )
        host, port = listener.getsockname()[:2]
        server = _server(_web(state, services, port))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            group.create_task(keeper.run(leave))
            group.create_task(scheduler.run(leave))
            await _tell(services, host, port, talk)
            await leave.wait()
            server.should_exit = True
    talk("stopped")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """SQLite is of one hub. Many share PostgreSQL, where each run has a lease."""
    if settings.database:
        yield
    else:
        with only_process(settings.state / "hub.lock", f"the hub in {settings.state}"):
            yield


async def _pick_up(state: HubState, talk: Callable[[str], None]) -> None:
    """Queues again what an earlier hub, which is dead, had under way."""
    running = (await state.tasks.runs(RunFilter(states=(RunState.RUNNING,)))).items
    for run in running:
        if run.keeper:
            totals = await state.ledger.totals(run.ident)
            done = totals.tally(Action.COPY, TransferState.DONE).count
            await state.tasks.release_run(run)
            talk(
                f"picked up run {run.ident}, which was under way: {done} objects are copied,"
                f" {totals.open} wait"
            )


async def _tell(services: Services, host: str, port: int, talk: Callable[[str], None]) -> None:
    me = Caller(name="dth-up", role=Role.ADMIN, how=How.COMMAND)
    secret = await services.accounts.create_link(me, _user_name(), Role.ADMIN, duration=_LINK)
    talk(f"the hub is at http://{host}:{port}/")
    talk(f"sign in once, within 15 minutes: http://{host}:{port}/#token={secret}")


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "admin"


def _web(state: HubState, services: Services, port: int) -> Web[Services]:
    async def ready() -> None:
        await state.tasks.runs(limit=1)

    origins = {f"http://{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return Web(
        site=Site(origins=frozenset(origins), secure=False),
        graph=_GRAPH,
        service=services,
        sign_in=services.sign_in,
        config={"auth": {"mode": "local"}},
        ready=ready,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the host's: they end more than the server."""
        yield


def _server(web: Web[Services]) -> _Server:
    return _Server(
        uvicorn.Config(
            create_app(web),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )


@contextmanager
def _listening(place: Place) -> Iterator[socket.socket]:
    if not 0 <= place.port <= _LAST_PORT:
        raise InputError("--port", f"{place.port} is none; ports end at {_LAST_PORT}")
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        listener = socket.create_server((place.host, place.port), family=family, backlog=512)
    except OSError as error:
        raise _cannot_listen(place, error) from error
    with listener:
        yield listener


def _cannot_listen(place: Place, error: OSError) -> InputError:
    match error.errno:
        case errno.EADDRINUSE:
            sentence = f"{place.port} is taken by another program; choose another one"
            return InputError("--port", f"{sentence}, or 0 for any")
        case errno.EACCES:
            return InputError("--port", f"{place.port} may not be used by this user; take 8420")
        case _:
            return InputError("--host", f"{place.host!r} is no address of this machine")
