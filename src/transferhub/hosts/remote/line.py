"""The line to a hub: one GraphQL request after the other over HTTP."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from transferhub import errors
from transferhub.errors import HubError, InputError, TooManyError, TransferHubError
from transferhub.model.faults import InputErrors

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_LARGEST = 64 << 20
_OK = 200
_REDIRECTS = range(300, 400)
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_KINDS: Mapping[str, type[TransferHubError]] = {
    kind.default_code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TransferHubError)
}


class Line:
    """Asks one server, with an API token. Each request is sent once."""

    def __init__(self, server: str, token: str, *, ca_bundle: str = "") -> None:
        """Args:
        server: http:// (to this machine) or https:// and the host, and a path where it has one.
        ca_bundle: path of certificates to trust besides the system's; "" for none.

        Raises:
            InputError: they cannot be used.
        """
        parts = _address(server)
        self._server = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._headers = [
            ("accept", "application/json"),
            ("authorization", f"Bearer {_printable(token)}"),
            ("content-type", "application/json"),
            ("user-agent", "data-transfer-hub"),
        ]
        trust = _trust(ca_bundle) if self._secure else None
        self._pool = httpcore.ConnectionPool(ssl_context=trust, max_connections=1, retries=1)

    def ask(
        self, document: str, variables: Mapping[str, Any] | None = None, *, ident: str = "id"
    ) -> Any:  # noqa: ANN401 - any JSON value
        """What the one field of the document gives.

        Args:
            ident: what the argument `id` is of, for errors that name it.

        Raises:
            HubError: the server cannot be reached, or is no hub.
            TransferHubError: what the hub says.
        """
        body = json.dumps({"query": document, "variables": dict(variables or {})}).encode()
        status, content = self._exchange(body)
        answer = _json(content)
        if not isinstance(answer, dict) or not ("data" in answer or "errors" in answer):
            raise HubError(f"{self._server} is no hub: it answered {status}.", code="no_hub")
        if answer.get("errors"):
            raise _told(answer["errors"][0], ident)
        (value,) = answer["data"].values()
        return value

    def close(self) -> None:
        self._pool.close()

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        times = dict.fromkeys(("read", "write", "pool"), _ANSWER_SECONDS)
        extensions = {"timeout": {**times, "connect": _CONNECT_SECONDS}}
        url = f"{self._server}/graphql"
        try:
            with self._pool.stream(
                "POST", url, headers=self._headers, content=body, extensions=extensions
            ) as answer:
                if answer.status in _REDIRECTS:
                    raise self._sent_on(answer)
                return answer.status, _limited(answer)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise self._fault(error) from error

    def _sent_on(self, answer: httpcore.Response) -> HubError:
        headers = {name.lower(): value for name, value in answer.headers}
        to = urlsplit(headers.get(b"location", b"").decode(errors="replace"))
        where = f"; write --server {to.scheme}://{to.netloc}" if to.netloc else ""
        return HubError(f"{self._server} sends requests on elsewhere{where}.", code="no_hub")

    def _fault(self, error: Exception) -> HubError:
        """What is wrong with the line, in one sentence."""
        causes = list(_causes(error))
        verify = next((e for e in causes if isinstance(e, ssl.SSLCertVerificationError)), None)
        if verify is not None:
            reason = verify.verify_message
            return HubError(
                f"The certificate of {self._server} is not trusted: {reason}. Name one to trust"
                " with --ca-bundle.",
                code="hub_tls",
            )
        if any(isinstance(e, ssl.SSLError) for e in causes):
            return HubError(
                f"{self._server} and this machine agree on no TLS; is it an https:// address?",
                code="hub_tls",
            )
        if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
            reason = _reason(causes)
            return HubError(
                f"{self._server} cannot be reached: {reason}. Is the hub up?",
                code="hub_unreachable",
            )
        if isinstance(error, httpcore.TimeoutException):
            return HubError(
                f"{self._server} did not answer within {_ANSWER_SECONDS:g} s.",
                code="hub_unreachable",
            )
        hint = "" if self._secure else " Does it want https://?"
        return HubError(
            f"{self._server} ended the connection without an answer.{hint}",
            code="hub_unreachable",
        )


def _address(server: str) -> SplitResult:
    try:
        parts = urlsplit(server)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InputError(
            "--server", "is no address; write https://HOST or https://HOST:PORT"
        ) from None
    if "@" in parts.netloc:
        raise InputError("--server", "holds no credentials; give a token with --token-file")
    if not known or parts.query or parts.fragment:
        raise InputError(
            "--server", f"{server[:200]!r} is no address; write https://HOST or https://HOST:PORT"
        )
    if parts.scheme == "http" and not _is_here(parts):
        raise InputError(
            "--server",
            f"http:// would show the token to everyone on the way; write https://{parts.netloc}",
        )
    return parts


def _is_here(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _printable(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise InputError("--token", "has characters that no token has")
    return token


def _trust(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if bundle:
        try:
            context.load_verify_locations(cafile=bundle)
        except OSError as error:  # also what OpenSSL says of a file
            reason = error.strerror if not isinstance(error, ssl.SSLError) else "it is no PEM"
            raise InputError("--ca-bundle", f"{bundle} cannot be used: {reason}") from None
    return context


def _limited(answer: httpcore.Response) -> bytes:
    body = b""
    for piece in answer.iter_stream():
        body += piece
        if len(body) > _LARGEST:
            raise HubError("The hub answered with too much; ask for less at once.", code="no_hub")
    return body


def _json(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(causes: list[BaseException]) -> str:
    for error in causes:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
    return "nobody answered in time" if "Timeout" in type(causes[0]).__name__ else str(causes[0])


# What the hub says


def _told(error: Mapping[str, Any], ident: str) -> TransferHubError:
    """The error of the hub as one of ours, so that it ends this command as it would there."""
    from datetime import timedelta  # noqa: PLC0415 - errors are rare

    more = error.get("extensions") or {}
    message, code = str(error.get("message", "")), str(more.get("code", "internal"))
    if "field" in more:
        faults = more.get("fields") or [{"field": more["field"], "message": message}]
        found = [_fault_of(fault, code, ident) for fault in faults]
        return found[0] if len(found) == 1 else InputErrors(found)
    kind = _KINDS.get(code, HubError)
    if kind is TooManyError:
        return TooManyError(message, wait=timedelta(), code=code)
    if issubclass(kind, InputError):
        return HubError(message, code=code)
    return kind(message, code=code)


def _fault_of(fault: Mapping[str, Any], code: str, ident: str) -> InputError:
    field, message = str(fault["field"]), str(fault["message"])
    name = ident if field == "id" else _CAPITAL.sub(lambda at: f"_{at[1].lower()}", field)
    return InputError(name, message.removeprefix(f"{field}: "), code=code)
