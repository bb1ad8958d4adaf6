"""A proxy in front of a stand-in for AWS that gives the answers which stand-ins never give.

It speaks the AWS JSON protocol, and runs in the event loop of the test. Requests that no rule is
for pass unchanged, so that their signatures stay valid.
"""

import asyncio
import contextlib
import http.client
import io
import json
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

_RESETTING = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the service, in its stead; it sees nothing."""

    name: str
    status: int = 400
    message: str = "The reason"
    kind: str = "com.amazonaws.dynamodb.v20120810"


@dataclass(frozen=True, slots=True)
class Page:
    """What something else than AWS answers."""

    status: int = 200
    body: bytes = b"<html>Please sign in</html>"


@dataclass(frozen=True, slots=True)
class Reset:
    """Resets the connection.

    Args:
        carried_out: the service has done what it was asked for; its answer is lost.
    """

    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The first entries of a batch of messages fail, the others pass."""

    count: int
    code: str = "InternalError"
    sender_fault: bool = False


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The first requests or keys of a batch for a table stay unprocessed, the others pass."""

    count: int


Fault = Refusal | Page | Reset | Failed | Unprocessed


@dataclass(slots=True)
class _Rule:
    action: str
    fault: Fault
    times: int
    skip: int

    def takes(self, action: str) -> bool:
        if action != self.action or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came. `service` is "sqs" or "dynamodb"."""

    service: str
    action: str
    parameters: dict[str, Any]
    fault: Fault | None


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, parameters: dict[str, Any], status: int = 200) -> Self:
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return cls(status, json.dumps(parameters).encode(), headers)

    def on_the_wire(self) -> bytes:
        reason = http.client.responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


class AwsProxy:
    """Listens on 127.0.0.1 while its scope lasts.

    Args:
        ca_bundle: whom to trust where the upstream speaks HTTPS.
    """

    def __init__(self, upstream: str, *, ca_bundle: Path | None = None) -> None:
        parts = urlsplit(upstream)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._trust = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else None
        self._rules: list[_Rule] = []
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.seen: list[Asked] = []
        self.url = ""

    def add(self, action: str, fault: Fault, *, times: int = 1, skip: int = 0) -> None:
        """Has the next requests for an action meet a fault, after some that do not."""
        self._rules.append(_Rule(action, fault, times, skip))

    def clear(self) -> None:
        self._rules.clear()
        self.seen.clear()

    def asked(self, action: str) -> list[Asked]:
        return [at for at in self.seen if at.action == action]

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._serving.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        target, _, action = headers.get("X-Amz-Target", "").partition(".")
        parameters: dict[str, Any] = json.loads(body or b"{}")
        fault = next((rule.fault for rule in self._rules if rule.takes(action)), None)
        service = "sqs" if target == "AmazonSQS" else "dynamodb"
        self.seen.append(Asked(service=service, action=action, parameters=parameters, fault=fault))

        async def upstream(changed: dict[str, Any] | None = None) -> _Answer:
            return await self._upstream(head, body if changed is None else _json(changed))

        answer = await _meet(fault, parameters, upstream)
        if answer is None:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
            writer.transport.abort()
            return False
        writer.write(answer.on_the_wire())
        await writer.drain()
        return True

    async def _upstream(self, head: bytes, body: bytes) -> _Answer:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._trust)
        try:
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            left_out = ("content-length:", "connection:")
            kept = [line for line in lines if not line.lower().startswith(left_out)]
            kept += ["Connection: close", f"Content-Length: {len(body)}", "", ""]
            writer.write("\r\n".join([first, *kept]).encode("latin-1") + body)
            return _read(await reader.read())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _meet(
    fault: Fault | None, parameters: dict[str, Any], upstream: Callable[..., Any]
) -> _Answer | None:
    """None: the connection is reset."""
    match fault:
        case None:
            return cast("_Answer", await upstream())
        case Refusal(name, status, message, kind):
            return _Answer.of({"__type": f"{kind}#{name}", "message": message}, status)
        case Page(status, body):
            return _Answer(status, body, {"Content-Type": "text/html"})
        case Reset(carried_out):
            if carried_out:
                await upstream()
            return None
        case Failed():
            return await _fail(fault, parameters, upstream)
        case Unprocessed(count):
            return await _hold_back(count, parameters, upstream)


async def _fail(fault: Failed, parameters: dict[str, Any], upstream: Callable[..., Any]) -> _Answer:
    entries = parameters["Entries"]
    failing, passing = entries[: fault.count], entries[fault.count :]
    answer: dict[str, Any] = {"Successful": []}
    if passing:
        answer = json.loads((await upstream({**parameters, "Entries": passing})).body)
    answer["Failed"] = [
        *(answer.get("Failed") or ()),
        *(
            {
                "Id": entry["Id"],
                "Code": fault.code,
                "SenderFault": fault.sender_fault,
                "Message": "The reason",
            }
            for entry in failing
        ),
    ]
    return _Answer.of(answer)


async def _hold_back(
    count: int, parameters: dict[str, Any], upstream: Callable[..., Any]
) -> _Answer:
    [(table, asked)] = parameters["RequestItems"].items()
    reads = isinstance(asked, dict)
    members = asked["Keys"] if reads else asked

    def request(part: list[Any]) -> dict[str, Any]:
        return {table: {**asked, "Keys": part} if reads else part}

    answer: dict[str, Any] = {"Responses": {table: []}} if reads else {}
    if members[count:]:
        changed = {**parameters, "RequestItems": request(members[count:])}
        answer = json.loads((await upstream(changed)).body)
    answer["UnprocessedKeys" if reads else "UnprocessedItems"] = request(members[:count])
    return _Answer.of(answer)


def _json(parameters: dict[str, Any]) -> bytes:
    return json.dumps(parameters).encode()


class _Wire(io.BytesIO):
    """What http.client takes for a socket."""

    def makefile(self, *_: object) -> Self:
        return self


def _read(raw: bytes) -> _Answer:
    response = http.client.HTTPResponse(cast("socket.socket", _Wire(raw)))
    response.begin()
    body = response.read()
    dropped = {"content-length", "transfer-encoding", "connection"}
    headers = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
    return _Answer(response.status, body, headers)
