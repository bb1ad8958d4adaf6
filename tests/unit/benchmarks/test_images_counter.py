"""The proxy that counts, before a server that answers as it is told."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.images.counter import Counted, counted
from benchmarks.images.kinds import Kind

DIGEST = f"sha256:{'a' * 64}"
LARGE = bytes(range(256)) * (64 << 10)  # 16 MiB: more than any buffer on its way


class _Registry(BaseHTTPRequestHandler):
    """Blobs come in chunks; what is sent has to be what was promised."""

    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]]

    def do_HEAD(self) -> None:
        self._answer(200, length=7)

    def do_GET(self) -> None:
        if "/broken" in self.path:
            self._answer(500, b"no")
            return
        if "/manifests/" in self.path:
            self._answer(200, b"content")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(LARGE), 1 << 20):
            piece = LARGE[start : start + (1 << 20)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        self._read()
        self._answer(201 if "mount=" in self.path else 202)

    def do_PATCH(self) -> None:
        self._answer(202 if self._read() == LARGE else 400)

    def do_PUT(self) -> None:
        self._read()
        self._answer(201)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        read = b""
        while size := int(self.rfile.readline(), 16):
            read += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return read

    def _answer(self, status: int, body: bytes = b"", *, length: int | None = None) -> None:
        self.connections.add(self.client_address)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    _Registry.connections = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def behind(server: ThreadingHTTPServer, tmp_path: Path) -> Iterator[Counted]:
    server.daemon_threads = True
    server.block_on_close = False
    with counted(f"127.0.0.1:{server.server_port}", tmp_path, "test") as proxy:
        yield proxy


@pytest.fixture
def client(behind: Counted) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(behind.host, timeout=20)) as connection:
        yield connection


def ask(
    client: http.client.HTTPConnection, method: str, target: str, body: object = None
) -> tuple[int, bytes]:
    client.request(method, target, body, encode_chunked=False)  # type: ignore[arg-type]
    answer = client.getresponse()
    return answer.status, answer.read()


def test_requests_are_counted_by_kind_and_bodies_pass_whole(
    behind: Counted, client: http.client.HTTPConnection
) -> None:
    assert ask(client, "HEAD", "/v2/app/manifests/1.0") == (200, b"")
    assert ask(client, "HEAD", "/v2/app/manifests/1.0") == (200, b"")
    assert ask(client, "GET", "/v2/app/manifests/1.0") == (200, b"content")
    assert ask(client, "GET", f"/v2/app/blobs/{DIGEST}") == (200, LARGE)
    assert ask(client, "GET", "/v2/app/blobs/broken")[0] == 500
    counts = behind.read()
    assert counts.asked == {
        Kind.MANIFEST_HEAD: 2,
        Kind.MANIFEST_GET: 1,
        Kind.BLOB_GET: 2,
    }
    assert counts.failed == {Kind.BLOB_GET: 1}
    assert counts.heads == {"/v2/app/manifests/1.0": 2}
    assert counts.down_bytes >= len(LARGE)
    assert counts.up_bytes == 0
    assert counts.cpu_s > 0


def test_uploads_and_mounts_that_succeeded_are_counted(
    behind: Counted, client: http.client.HTTPConnection
) -> None:
    pieces = (LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000))
    assert ask(client, "POST", f"/v2/app/blobs/uploads/?mount={DIGEST}&from=b")[0] == 201
    assert ask(client, "POST", "/v2/app/blobs/uploads/")[0] == 202
    client.request("PATCH", "/v2/app/blobs/uploads/1", pieces, encode_chunked=True)
    assert client.getresponse().read() == b""
    assert ask(client, "PUT", f"/v2/app/blobs/uploads/1?digest={DIGEST}", LARGE)[0] == 201
    counts = behind.read()
    assert counts.mounted == 1
    assert counts.uploads == {DIGEST: 1}
    assert counts.up_bytes >= 2 * len(LARGE)
    assert counts.asked.total() == 4


def test_a_reading_since_another_has_only_what_came_between(
    behind: Counted, client: http.client.HTTPConnection
) -> None:
    ask(client, "HEAD", "/v2/app/manifests/1.0")
    before = behind.read()
    ask(client, "HEAD", "/v2/app/manifests/2.0")
    assert behind.read().since(before).heads == {"/v2/app/manifests/2.0": 1}


def test_clients_share_the_connections_to_the_registry(behind: Counted) -> None:
    for _ in range(5):
        with closing(http.client.HTTPConnection(behind.host, timeout=20)) as connection:
            ask(connection, "HEAD", "/v2/app/manifests/1.0")
    assert len(_Registry.connections) == 1


def test_who_tries_tls_is_turned_away_and_costs_no_connection(behind: Counted) -> None:
    with socket.create_connection(("127.0.0.1", int(behind.host.partition(":")[2])), 20) as tls:
        tls.sendall(b"\x16\x03\x01\x00\x05hello")
        assert tls.recv(1) == b""
    assert behind.read().asked.total() == 0
    assert not _Registry.connections


def test_a_client_that_leaves_in_the_middle_takes_nobody_along(behind: Counted) -> None:
    address = ("127.0.0.1", int(behind.host.partition(":")[2]))
    with socket.create_connection(address, 20) as leaving:
        leaving.sendall(b"PUT /v2/app/blobs/uploads/1 HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf")
    with closing(http.client.HTTPConnection(behind.host, timeout=20)) as connection:
        assert ask(connection, "GET", "/v2/app/manifests/1.0") == (200, b"content")
