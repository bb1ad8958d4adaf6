"""As much of HTTP/1.1 as a proxy needs: where heads and bodies end."""

from dataclasses import dataclass
from typing import Protocol

_CHUNKED = b"chunked"


class Framing(Protocol):
    """Tells where a body ends."""

    @property
    def done(self) -> bool: ...

    def take(self, piece: bytes) -> int:
        """How many of these bytes belong to the body."""
        ...


class Counted:
    """A body of Content-Length bytes; nothing at all when that is 0."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        return self._left == 0

    def take(self, piece: bytes) -> int:
        taken = min(len(piece), self._left)
        self._left -= taken
        return taken


class UntilClose:
    """A body that ends with the connection."""

    __slots__ = ()
    done = False

    def take(self, piece: bytes) -> int:
        return len(piece)


class Chunked:
    """Transfer-Encoding: chunked, trailers included (RFC 9112, section 7.1)."""

    __slots__ = ("_in_trailers", "_line", "_skip", "done")

    def __init__(self) -> None:
        self.done = False
        self._skip = 0
        self._line = b""
        self._in_trailers = False

    def take(self, piece: bytes) -> int:
        at = 0
        while at < len(piece) and not self.done:
            if self._skip:
                step = min(self._skip, len(piece) - at)
                self._skip -= step
                at += step
                continue
            end = piece.find(b"\n", at)
            stop = len(piece) if end < 0 else end + 1
            self._line += piece[at:stop]
            at = stop
            if end >= 0:
                self._end_line()
        return at

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), b""
        if self._in_trailers:
            self.done = not line
            return
        size = int(line.partition(b";")[0], 16)
        self._in_trailers = size == 0
        # The chunk's bytes and the line end behind them.
        self._skip = size + 2 if size else 0


@dataclass(frozen=True, slots=True)
class Head:
    """A request's or response's first line and header fields (names in lower case)."""

    first: list[bytes]
    headers: dict[bytes, bytes]

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


def parse_head(head: bytes) -> Head:
    lines = head.split(b"\r\n")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return Head(lines[0].split(b" ", 2), headers)


def request_framing(head: Head) -> Framing:
    if _CHUNKED in head.headers.get(b"transfer-encoding", b"").lower():
        return Chunked()
    return Counted(int(head.headers.get(b"content-length", 0)))


def response_framing(head: Head, status: int, method: str) -> Framing:
    if method == "HEAD" or status in {204, 304}:
        return Counted(0)
    if _CHUNKED in head.headers.get(b"transfer-encoding", b"").lower():
        return Chunked()
    length = head.headers.get(b"content-length")
    return UntilClose() if length is None else Counted(int(length))


def with_header(head: bytes, name: bytes, value: bytes) -> bytes:
    """The head with this field set to this value, wherever it stood."""
    lines = head[:-4].split(b"\r\n")
    start = name.lower() + b":"
    kept = [line for line in lines if not line.lower().startswith(start)]
    return b"\r\n".join([*kept, name + b": " + value, b"", b""])
