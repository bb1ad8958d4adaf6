"""/metrics, and what it tells of requests."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transferhub.api.doors import Doors
from transferhub.control.access import authorise
from transferhub.errors import StateError
from transferhub.metrics.prometheus import CONTENT_TYPE, Prometheus
from transferhub.model.census import Census
from transferhub.model.people import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What those who watch a hub are given.

    Attributes:
        census: asks the state; raises StateError.
        is_open: whoever reaches the hub may read it; otherwise a sign-in or a token is needed.
    """

    prometheus: Prometheus
    census: Callable[[], Awaitable[Census]]
    is_open: bool = False


class MetricsDoor:
    def __init__(self, watch: Watch, doors: Doors) -> None:
        self._watch = watch
        self._doors = doors

    async def show(self, request: Request) -> Response:
        """Also while the state is away: then it tells that."""
        if not self._watch.is_open:
            authorise(await self._doors.caller(request), Role.VIEWER)
        text = self._watch.prometheus.text(await self._census())
        return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    async def _census(self) -> Census | None:
        try:
            return await self._watch.census()
        except StateError:
            return None


class Counted:
    """Middleware: counts requests and how long they took."""

    def __init__(self, app: ASGIApp, prometheus: Prometheus) -> None:
        self._app = app
        self._prometheus = prometheus

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            seconds = time.perf_counter() - began
            self._prometheus.answered(route_of(scope["path"]), scope["method"], status, seconds)


ROUTES = ("/", "/graphql", "/session", "/config.json", "/healthz", "/readyz", "/metrics", "/events")


def route_of(path: str) -> str:
    """The first part of the path, with its slash."""
    return f"/{path.removeprefix('/').partition('/')[0]}"
