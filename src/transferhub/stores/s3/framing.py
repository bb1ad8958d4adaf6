"""HTTP/1.1 as answers speak it: heads, and where bodies end (RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_MOST_HEAD_BYTES = 256 << 10
_BODILESS = frozenset({204, 304})
_FIRST_FINAL = 200
_STATUS_DIGITS = 3


class Head(NamedTuple):
    """Attributes:
    fields: names in lower case; the first of those that come twice.
    """

    status: int
    fields: Mapping[str, str]
    is_old: bool  # of HTTP/1.0


def read_head(received: bytes) -> tuple[Head, bytes] | None:
    """The head of the final answer and what follows it; None where it has not come whole.

    Raises:
        ValueError: it is none.
    """
    while True:
        end = received.find(b"\r\n\r\n")
        if end < 0:
            if len(received) > _MOST_HEAD_BYTES or b"HTTP/1."[: len(received)] != received[:7]:
                raise ValueError(repr(received[:40]))
            return None
        head = _parse(received[:end])
        received = received[end + 4 :]
        if head.status >= _FIRST_FINAL:
            return head, received


def _parse(head: bytes) -> Head:
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        lines = [_text(line) for line in head.split(b"\r\n")]
    start = lines[0]
    status = start[9:12]
    if not start.startswith("HTTP/1.") or not (len(status) == _STATUS_DIGITS and status.isdigit()):
        raise ValueError(repr(start[:40]))
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), value.strip(" \t"))
    return Head(int(status), fields, is_old=start[7] == "0")


def _text(line: bytes) -> str:
    """Header values are ASCII by the book, UTF-8 in the wild, and any bytes at worst."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


class Body:
    """Where the body of one answer ends.

    Attributes:
        ended: it has come whole.
        keeps_connection: another request may follow it.
        ends_with_connection: nothing else tells its end.
    """

    __slots__ = ("_chunks", "_left", "_short", "ended", "ends_with_connection", "keeps_connection")

    def __init__(self, left: int | None, chunks: _Chunks | None, *, keeps_connection: bool) -> None:
        self._left = left
        self._short = left
        self._chunks = chunks
        self.ended = left == 0
        self.ends_with_connection = left is None and chunks is None
        self.keeps_connection = keeps_connection and not self.ends_with_connection

    @classmethod
    def of(cls, head: Head, method: str) -> Body:
        """Raises:
        ValueError: the head does not say where it ends.
        """
        fields = head.fields
        wish = fields.get("connection", "").lower()
        keeps = "keep-alive" in wish if head.is_old else "close" not in wish
        if method == "HEAD" or head.status in _BODILESS:
            return cls(0, None, keeps_connection=keeps)
        if "transfer-encoding" in fields:
            if fields["transfer-encoding"].lower() != "chunked":
                raise ValueError(f"transfer-encoding {fields['transfer-encoding']!r}")
            return cls(None, _Chunks(), keeps_connection=keeps)
        length = fields.get("content-length")
        if length is None:
            return cls(None, None, keeps_connection=False)
        if not (length.isascii() and length.isdigit()):
            raise ValueError(f"content-length {length!r}")
        return cls(int(length), None, keeps_connection=keeps)

    @property
    def left(self) -> int:
        """Bytes that are still to come; 0 where nobody knows."""
        return self._left or 0

    def skip(self, count: int) -> None:
        """Counts bytes of a body of known length that went elsewhere, up to its end."""
        assert self._left is not None
        self._left -= count
        self.ended = self._left == 0

    def is_short(self, limit: int) -> bool:
        """Whether it is known to be no longer than so many bytes."""
        return self._short is not None and self._short <= limit

    def take(self, received: bytes, pieces: list[bytes]) -> bytes:
        """Adds to `pieces` what belongs to the body; returns what follows its end.

        Raises:
            ValueError: it is not framed as it should be.
        """
        if self._left is not None:
            return self._take_counted(self._left, received, pieces)
        if self._chunks is None:
            if received:
                pieces.append(received)
            return b""
        rest = self._chunks.take(received, pieces)
        self.ended = self._chunks.ended
        return rest

    def _take_counted(self, left: int, received: bytes, pieces: list[bytes]) -> bytes:
        if len(received) > left:
            received, rest = received[:left], received[left:]
        else:
            rest = b""
        if received:
            pieces.append(received)
        self._left = left - len(received)
        self.ended = self._left == 0
        return rest


class _Chunks:
    """Transfer-Encoding: chunked, trailers included (RFC 9112, section 7.1)."""

    __slots__ = ("_in_trailers", "_left", "_line", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._line = b""
        self._in_trailers = False

    def take(self, received: bytes, pieces: list[bytes]) -> bytes:
        while received and not self.ended:
            if self._left:
                piece, received = received[: self._left], received[self._left :]
                self._left -= len(piece)
                pieces.append(piece)
                continue
            line, found, received = received.partition(b"\n")
            self._line += line
            if len(self._line) > _MOST_HEAD_BYTES:
                raise ValueError("a chunk's line without end")
            if found:
                self._end_line()
        return received

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), b""
        if self._in_trailers:
            self.ended = not line
        elif line:  # an empty one ends the chunk before
            self._left = int(line.partition(b";")[0], 16)
            self._in_trailers = self._left == 0
