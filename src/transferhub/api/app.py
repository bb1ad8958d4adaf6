"""The hub's web server, as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from transferhub.api.doors import Doors
from transferhub.api.events import EventDoor
from transferhub.api.graph import Graph
from transferhub.api.metrics import Counted, MetricsDoor, Watch
from transferhub.api.page import page_routes
from transferhub.api.safety import JsonAnswer, Safety, Site, read_json, refused_for
from transferhub.control.intake import Intake
from transferhub.control.openid import OpenId
from transferhub.control.signin import SignIn
from transferhub.errors import InputError, TransferHubError
from transferhub.model.people import Caller

Service = TypeVar("Service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Web(Generic[Service]):
    """What the application is made of.

    Attributes:
        config: what `/config.json` says beside where GraphQL is: how people sign in.
        openid: takes tokens of an identity provider; None where there is none.
        ready: returns when requests can be answered; raises TransferHubError.
        intake: takes what stores tell of their changes; None where nobody listens.
        watch: what /metrics shows; None where there is no such page.
    """

    site: Site
    graph: Graph[Service, Caller]
    service: Service
    sign_in: SignIn
    config: Mapping[str, Any]
    ready: Callable[[], Awaitable[None]]
    intake: Intake | None = None
    watch: Watch | None = None
    openid: OpenId | None = None


def create_app(web: Web[Service]) -> Starlette:
    """Routes: / with its files, /graphql, /session, /config.json, /healthz, /readyz, /metrics and
    /events/{task}."""
    doors = Doors(web.sign_in, web.site, web.openid)
    pages = _Pages(web, doors)
    return Starlette(
        routes=[
            Route("/graphql", pages.graphql, methods=["POST"]),
            Route("/session", doors.enter, methods=["POST"]),
            Route("/session", doors.leave, methods=["DELETE"]),
            Route("/session", doors.who, methods=["GET"]),
            Route("/config.json", pages.config, methods=["GET"]),
            Route("/healthz", pages.alive, methods=["GET"]),
            Route("/readyz", pages.ready, methods=["GET"]),
            *_event_routes(web.intake),
            *_metrics_routes(web.watch, doors),
            *page_routes(),
        ],
        middleware=[*_counting(web.watch), Middleware(Safety, site=web.site)],
        exception_handlers={TransferHubError: _told},
    )


def _event_routes(intake: Intake | None) -> list[Route]:
    if intake is None:
        return []
    return [Route("/events/{task}", EventDoor(intake).receive, methods=["POST"])]


def _metrics_routes(watch: Watch | None, doors: Doors) -> list[Route]:
    if watch is None:
        return []
    return [Route("/metrics", MetricsDoor(watch, doors).show, methods=["GET"])]


def _counting(watch: Watch | None) -> list[Middleware]:
    return [] if watch is None else [Middleware(Counted, prometheus=watch.prometheus)]


class _Pages(Generic[Service]):
    def __init__(self, web: Web[Service], doors: Doors) -> None:
        self._web = web
        self._doors = doors

    async def graphql(self, request: Request) -> Response:
        caller = await self._doors.caller(request)
        asked = await read_json(request)
        if not isinstance(asked.get("query"), str):
            raise InputError("query", "is missing")
        if not isinstance(asked.get("variables") or {}, dict):
            raise InputError("variables", "is no JSON object")
        answer = await self._web.graph.answer(asked, self._web.service, caller)
        return JsonAnswer(answer)

    async def config(self, _: Request) -> Response:
        told = {"graphqlUrl": "/graphql", **self._web.config}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def alive(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        await self._web.ready()
        return JSONResponse({"status": "ok"})


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, TransferHubError)
    return refused_for(error)
