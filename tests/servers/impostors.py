"""What may listen where S3 was expected: a web server, another protocol, a bad certificate."""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.servers.certificates import Certificates

WEB_PAGE = b"<html><body>It works!</body></html>"
_WAIT_S = 5.0


def http_answer(status: str, body: bytes, content_type: str = "text/html") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Impostor:
    """Gives every connection the same bytes and closes it.

    Args:
        greets: it does so at once, as an SSH or mail server would, and not after a request.
        certificates: it speaks TLS with these.
    """

    def __init__(
        self, answer: bytes, *, greets: bool = False, certificates: Certificates | None = None
    ) -> None:
        self._answer = answer
        self._greets = greets
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificates.certificate, certificates.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="impostor", daemon=True)

    @property
    def url(self) -> str:
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            connection.settimeout(_WAIT_S)
            with contextlib.suppress(OSError), connection:
                self._answer_on(connection)

    def _answer_on(self, connection: socket.socket) -> None:
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        if not self._greets:
            connection.recv(65536)
        connection.sendall(self._answer)
        # Closing with a request unread would reset the connection, and the answer with it.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self._thread.join(_WAIT_S)
