"""The application on a real server, and a client for it."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import uvicorn

from tests.api.test_graph import Shelf, graph
from transferhub.api.app import Web, create_app
from transferhub.api.metrics import Watch
from transferhub.api.safety import Site
from transferhub.control.journal import Journal
from transferhub.control.openid import OpenId
from transferhub.control.passwords import Effort, Passwords
from transferhub.control.people import Accounts
from transferhub.control.secrets import new_secret
from transferhub.control.signin import SignIn, SignInRules
from transferhub.errors import StateError
from transferhub.model.clock import utc_now
from transferhub.model.people import Caller, How, Role
from transferhub.state.memory.people import MemoryAudit, MemoryPeople

ADMIN = Caller(name="root", role=Role.ADMIN, how=How.COMMAND)
PASSWORD = "correct horse battery"
_LEAST = Effort(passes=1, memory_kib=8, lanes=1)


class Hub:
    """What stands behind the application."""

    def __init__(self) -> None:
        people, journal = MemoryPeople(), Journal(MemoryAudit(), utc_now)
        passwords = Passwords(_LEAST)
        self.sign_in = SignIn(
            people,
            passwords,
            journal,
            clock=utc_now,
            new_secret=new_secret,
            rules=SignInRules(),
        )
        self.accounts = Accounts(
            people,
            passwords,
            self.sign_in,
            journal,
            clock=utc_now,
            new_secret=new_secret,
        )
        self.broken = False

    async def ready(self) -> None:
        if self.broken:
            raise StateError("The state cannot be reached.")

    async def link(self, role: Role = Role.ADMIN) -> str:
        return await self.accounts.create_link(ADMIN, "guest", role)

    async def token(self) -> str:
        made = await self.accounts.create_token(
            ADMIN, "tests", role=Role.VIEWER, duration=timedelta(days=1)
        )
        return made.secret

    async def user(self, name: str) -> None:
        await self.accounts.create_user(ADMIN, name, PASSWORD, Role.OPERATOR)


class Client:
    """A browser of one site, without what keeps a browser from harm."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.cookie = ""
        self._port = port
        self.headers: Mapping[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and document; `body` is sent as JSON unless it is bytes."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "application/json", "origin": self.origin, **given}
        if self.cookie:
            sent["cookie"] = self.cookie
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        connection.request(method, path, data, {k: v for k, v in sent.items() if v})
        answer = connection.getresponse()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        text = answer.read()
        connection.close()
        self.cookie = self.headers.get("set-cookie", self.cookie).partition(";")[0]
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text.decode()


async def _nothing() -> None:
    return


@contextmanager
def served(
    hub: Hub,
    *,
    secure: bool = False,
    openid: OpenId | None = None,
    watch: Watch | None = None,
    close: Callable[[], Awaitable[None]] = _nothing,
) -> Iterator[Client]:
    """The application on a free port of loopback.

    Args:
        close: called at the end, in the server's loop.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        web = Web(
            site=Site(origins=frozenset({f"http://127.0.0.1:{port}"}), secure=secure),
            graph=graph(),
            service=Shelf(),
            sign_in=hub.sign_in,
            config={"auth": {"mode": "local"}},
            ready=hub.ready,
            openid=openid,
            watch=watch,
        )
        config = uvicorn.Config(create_app(web), log_config=None, lifespan="off")
        server = uvicorn.Server(config)

        async def serve() -> None:
            await server.serve([listener])
            await close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            yield Client(port)
        finally:
            server.should_exit = True
            thread.join(10)
