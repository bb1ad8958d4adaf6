"""A proxy before a stand-in for AWS that writes the bill.

    python -m benchmarks.aws.meter --upstream 127.0.0.1:4566 --port 9000

Requests pass byte for byte. `GET /_bill` tells what they would have cost, and `GET /_items/TABLE`
what they have made of a table, as JSON.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.aws.bill import Bill, UnpricedError
from benchmarks.aws.prices import Unit, Units
from benchmarks.aws.sizes import Wire
from tests.servers.endpoint import Endpoint
from tests.servers.process import ServerProcess, free_ports

_ROOT = Path(__file__).parents[2]
_BILL, _ITEMS = "/_bill", "/_items/"
_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A bill at a moment.

    Attributes:
        unpriced: what the bill has no rule for: it is worth nothing then.
    """

    units: Units
    lines: Mapping[str, Units]
    calls: Counter[str]
    unpriced: str

    def since(self, earlier: "Reading") -> "Reading":
        return Reading(
            units=_less(self.units, earlier.units),
            lines={
                name: _less(units, earlier.lines.get(name, Counter()))
                for name, units in self.lines.items()
            },
            calls=self.calls - earlier.calls,
            unpriced=self.unpriced,
        )


def _less(units: Units, earlier: Units) -> Units:
    return Counter({unit: units[unit] - earlier[unit] for unit in units})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """An endpoint whose requests are counted."""

    endpoint: Endpoint

    def read(self) -> Reading:
        """Raises UnpricedError."""
        found = self._ask(_BILL)
        if found["unpriced"]:
            raise UnpricedError(found["unpriced"])
        return Reading(
            units=_units(found["units"]),
            lines={name: _units(units) for name, units in found["lines"].items()},
            calls=Counter(found["calls"]),
            unpriced=found["unpriced"],
        )

    def items(self, table: str) -> list[Wire]:
        """What the bill takes a table to hold."""
        return self._ask(_ITEMS + table)  # type: ignore[no-any-return]

    def _ask(self, path: str) -> Any:
        connection = HTTPConnection(urlsplit(self.endpoint.url).netloc)
        try:
            connection.request("GET", path)
            return json.load(connection.getresponse())
        finally:
            connection.close()


def _units(found: Mapping[str, Any]) -> Units:
    return Counter({Unit(name): count for name, count in found.items()})


@contextmanager
def metered(endpoint: Endpoint, folder: Path) -> Iterator[Metered]:
    """The endpoint behind a meter, for as long as the scope lasts."""
    (port,) = free_ports(1)
    behind = Metered(endpoint=endpoint.at(f"http://127.0.0.1:{port}"))

    def ready() -> bool:
        try:
            behind.read()
        except OSError:
            return False
        return True

    with ServerProcess(
        [
            sys.executable,
            "-m",
            "benchmarks.aws.meter",
            f"--upstream={endpoint.url.removeprefix('http://')}",
            f"--port={port}",
        ],
        folder=folder,
        environment={"PYTHONPATH": str(_ROOT)},
        ready=ready,
        name="meter",
    ):
        yield behind


class _Message(NamedTuple):
    """A request or an answer. `start`: its first line, by its words."""

    start: list[str]
    fields: Mapping[str, str]
    head: bytes
    body: bytes


class Meter:
    """Serves clients; each of their connections has one of its own to the server."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self._bill = Bill()
        self._unpriced = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (asked := await _receive(reader)) is not None:
                if asked.start[1].startswith("/_"):
                    writer.write(self._told(asked.start[1]))
                    continue
                there = there or await asyncio.open_connection(*self._upstream, limit=_LIMIT)
                there[1].write(asked.head + asked.body)
                answer = await _receive(there[0])
                if answer is None:
                    return
                writer.write(answer.head + answer.body)
                self._note(asked, answer)
        finally:
            for open_writer in (writer, *(there[1:] if there else ())):
                open_writer.close()

    def _note(self, asked: _Message, answer: _Message) -> None:
        target = asked.fields.get("x-amz-target", "")
        if not target:
            return
        try:
            self._bill.note(
                target,
                json.loads(asked.body),
                int(answer.start[1]),
                json.loads(answer.body or b"{}"),
            )
        except UnpricedError as error:
            self._unpriced = str(error)

    def _told(self, path: str) -> bytes:
        if path.startswith(_ITEMS):
            body = json.dumps(self._bill.items(path.removeprefix(_ITEMS))).encode()
        else:
            bill = {
                "units": self._bill.units,
                "lines": self._bill.lines,
                "calls": self._bill.calls,
                "unpriced": self._unpriced,
            }
            body = json.dumps(bill).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _receive(reader: asyncio.StreamReader) -> _Message | None:
    """None where the other side has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    return _Message(start.split(), fields, head, body)


async def _main(upstream: str, port: int) -> None:
    host, _, upstream_port = upstream.partition(":")
    meter = Meter(host, int(upstream_port))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(meter.serve, "127.0.0.1", port, limit=_LIMIT)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_main(given.upstream, given.port))
