"""A hub behind a real server, over state in memory or in SQLite, and clients of each role."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import uvicorn

from tests.api.web import PASSWORD, Client
from transferhub.api.app import Web, create_app
from transferhub.api.hub_graph import open_graph
from transferhub.api.safety import Site
from transferhub.control.hub import Hub
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.services import Services
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.clock import utc_now
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.people import EVERYTHING, Caller, How, Role
from transferhub.model.run import Run, RunState, TaskId
from transferhub.model.transfer import Difference, Failure, RunId, Transfer, WorkerId
from transferhub.state.memory import (
    MemoryAudit,
    MemoryFleet,
    MemoryInbox,
    MemoryLedger,
    MemoryLogs,
    MemoryPeople,
    MemorySamples,
    MemorySeats,
    MemoryTaskStore,
    MemoryVault,
)
from transferhub.state.memory.notices import MemoryChannels, MemoryOutbox

ROOT = Caller(name="root", role=Role.ADMIN, how=How.COMMAND)
Kind = Literal["memory", "sqlite"]
Value = TypeVar("Value")

SPEC = {"source": {"url": "s3://photos/2026"}, "destination": {"url": "file:///backup"}}
TASK = {"name": "Photos", "spec": SPEC}


async def open_state(kind: Kind, folder: Path, stack: AsyncExitStack) -> HubState:
    if kind == "sqlite":
        return await open_hub_state(StatePlace(folder=folder), stack)
    outbox = MemoryOutbox(utc_now)
    return HubState(
        ledger=MemoryLedger(utc_now),
        tasks=MemoryTaskStore(utc_now),
        seats=MemorySeats(utc_now),
        fleet=MemoryFleet(utc_now),
        people=MemoryPeople(),
        audit=MemoryAudit(),
        vault=MemoryVault(),
        channels=MemoryChannels(outbox),
        outbox=outbox,
        inbox=MemoryInbox(utc_now),
        samples=MemorySamples(),
        logs=MemoryLogs(),
    )


@dataclass
class World:
    """Clients ask from the test's thread; the hub lives in the server's."""

    hub: Hub
    state: HubState
    loop: asyncio.AbstractEventLoop
    port: int = 0
    root: Caller = ROOT

    def do(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Awaits in the server's loop, where the state belongs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    # Asking

    def token(self, role: Role, scopes: Any = EVERYTHING) -> str:
        made = self.do(
            self.hub.accounts.create_token(
                ROOT, f"the {role}", role=role, duration=timedelta(days=1), scopes=scopes
            )
        )
        return made.secret

    def client(self, role: Role = Role.ADMIN, scopes: Any = EVERYTHING) -> "GraphClient":
        return GraphClient(Client(self.port), self.token(role, scopes))

    def user_client(self, name: str = "ada", role: Role = Role.OPERATOR) -> "GraphClient":
        """A local user who signed in with the password."""
        self.do(self.hub.accounts.create_user(ROOT, name, PASSWORD, role))
        client = Client(self.port)
        assert client.ask("POST", "/session", {"name": name, "password": PASSWORD})[0] == 200
        return GraphClient(client)

    # What there is

    def run_of(self, task: str, state: RunState = RunState.RUNNING) -> Run:
        """A run that a keeper carries, or carried."""
        return self.do(self._run_of(TaskId(task), state))

    async def _run_of(self, task: TaskId, state: RunState) -> Run:
        await self.hub.orders.start(ROOT, task)
        run = await self.state.tasks.claim_run("keeper", timedelta(minutes=5))
        assert run is not None
        if state is RunState.RUNNING:
            return run
        return await self.state.tasks.update_run(replace(run, state=state, ended_at=utc_now()))

    def dead_letters(self, run: RunId, *keys: str, code: str = "denied") -> None:
        self.do(self._dead_letters(run, keys, code))

    async def _dead_letters(self, run: RunId, keys: Sequence[str], code: str) -> None:
        ledger = self.state.ledger
        await ledger.record(run, [Transfer(key, Difference.NEW, 5, "e") for key in keys])
        leases = await ledger.lease(
            run, WorkerId("w"), limit=99, max_bytes=1 << 30, duration=timedelta(minutes=1)
        )
        await ledger.fail([Failure(lease, code, "It is not allowed.", None) for lease in leases])

    def worker(self, ident: str = "host-1-abc") -> str:
        now = utc_now()
        member = Member(
            ident=ident,
            host="host",
            pid=1,
            version="1.0",
            kind=MemberKind.WORKER,
            started_at=now,
            seen_at=now,
            load=Load(runs=(RunId("r"),), leases=3, objects_per_second=1.5),
        )
        self.do(self.state.fleet.register(member))
        return ident


class GraphClient:
    """Asks GraphQL as one caller."""

    def __init__(self, client: Client, token: str = "", asked: list[str] | None = None) -> None:
        """Args:
        asked: where every query is noted.
        """
        self.http = client
        self.asked: list[str] = [] if asked is None else asked
        self._headers = {"authorization": token, "origin": ""} if token else {}

    def ask(self, query: str, **variables: Any) -> Any:
        """The whole answer."""
        self.asked.append(query)
        body = {"query": query, "variables": variables}
        status, answer = self.http.ask("POST", "/graphql", body, **self._headers)
        assert status == 200, answer
        return answer

    def get(self, query: str, **variables: Any) -> Any:
        """The one field that the query asks for."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        return value

    def refused(self, query: str, **variables: Any) -> list[tuple[str, str]]:
        """Code and field of each error."""
        answer = self.ask(query, **variables)
        assert "errors" in answer, answer
        return [
            (told["code"], fault)
            for told in (error["extensions"] for error in answer["errors"])
            for fault in [at["field"] for at in told.get("fields", ())] or [told.get("field", "")]
        ]

    def create(self, **more: Any) -> Any:
        query = "mutation ($t: TaskInput!) { createTask(input: $t) { id version } }"
        return self.get(query, t={**TASK, **more})


@contextmanager
def hub_served(kind: Kind, folder: Path) -> Iterator[World]:
    """A hub on a free port of loopback."""
    ready = _Handover()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(_serve(kind, folder, listener, ready)))
        thread.start()
        world, server = ready.get()
        try:
            yield world
        finally:
            server.should_exit = True
            thread.join(30)


class _Handover:
    """One value from one thread to another; or its failure."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._value: Any = None

    def put(self, value: Any) -> None:
        self._value = value
        self._set.set()

    def get(self) -> Any:
        assert self._set.wait(30)
        if isinstance(self._value, BaseException):
            raise self._value
        return self._value


async def _serve(kind: Kind, folder: Path, listener: socket.socket, ready: _Handover) -> None:
    async with AsyncExitStack() as stack:
        try:
            state = await open_state(kind, folder, stack)
            settings = HubSettings.load(env={}, machine_file=Path("/none"), state=str(folder))
            services = Services(state, settings, stack, public_url="http://hub")
        except BaseException as error:
            ready.put(error)
            raise
        port = listener.getsockname()[1]

        async def is_ready() -> None:
            await state.tasks.runs(limit=1)

        web = Web(
            site=Site(origins=frozenset({f"http://127.0.0.1:{port}"}), secure=False),
            graph=open_graph(),
            service=services.hub,
            sign_in=services.sign_in,
            config={"auth": {"mode": "local"}},
            ready=is_ready,
        )
        config = uvicorn.Config(create_app(web), log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        ready.put((World(services.hub, state, asyncio.get_running_loop(), port), server))
        await server.serve([listener])
