"""The socket and the web server of a hub."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from transferhub.errors import InputError
from transferhub.hosts.hub_settings import HubSettings

_PROXIES = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Networks in which a proxy stands that says whom it serves."""


class Server(uvicorn.Server):
    """Serves until `should_exit` is set."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the host's: they end more than the server."""
        yield


def open_server(settings: HubSettings, app: ASGIApp) -> Server:
    """Raises InputError where certificate and key do not fit."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips=_PROXIES,
    )
    try:
        config.load()
    except OSError as error:  # also what OpenSSL says of a file
        sentence = f"it, or tls_key, is no PEM that fits the other one: {error.strerror or error}"
        raise InputError("--tls-certificate", sentence) from error
    return Server(config)


@contextmanager
def listening(settings: HubSettings) -> Iterator[socket.socket]:
    """Raises InputError where nobody can listen there."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
        # asyncio does it for sockets of its own alone. Without it, an answer waits until the client
        # has acknowledged its head, which takes Linux 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    with listener:
        yield listener


def _cannot_listen(settings: HubSettings, error: OSError) -> InputError:
    match error.errno:
        case errno.EADDRINUSE:
            sentence = f"{settings.port} is taken by another program; choose another one"
            return InputError("--port", f"{sentence}, or 0 for any")
        case errno.EACCES:
            return InputError("--port", f"{settings.port} may not be used by this user; take 8420")
        case _:
            return InputError("--host", f"{settings.host!r} is no address of this machine")
