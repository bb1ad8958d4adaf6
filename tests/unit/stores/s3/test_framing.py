from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.stores.s3.framing import Body, Head, read_head

HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag:  "e" \r\netag: second\r\n\r\n'


def body_of(method: str = "GET", *, status: int = 200, is_old: bool = False, **fields: str) -> Body:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Body.of(Head(status, named, is_old), method)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and the same as it is framed."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    framed = b"".join(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    trailer = draw(st.sampled_from([b"", b"Trailer: value\r\n"]))
    return b"".join(chunks), framed + b"0\r\n" + trailer + b"\r\n"


@given(chunked(), st.lists(st.integers(0, 300), max_size=6))
def test_a_chunked_body_comes_whole_however_it_is_cut(
    framed: tuple[bytes, bytes], cuts: list[int]
) -> None:
    content, wire = framed
    wire += b"HTTP/1.1 next"
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    body = body_of(transfer_encoding="chunked")
    pieces: list[bytes] = []
    rest = b"".join(body.take(wire[start:end], pieces) for start, end in pairwise(edges))
    assert b"".join(pieces) == content
    assert (body.ended, rest) == (True, b"HTTP/1.1 next")


@given(st.integers(1, len(HEAD) - 1))
def test_a_head_is_read_when_it_is_whole(cut: int) -> None:
    assert read_head(HEAD[:cut]) is None
    found = read_head(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"rest")
    assert found == (Head(200, {"content-length": "4", "etag": '"e"'}, is_old=False), b"rest")


@pytest.mark.parametrize("wire", [b"SSH-2.0\r\n\r\n", b"SSH-2.0", b"HTTP/1.1 2x0 OK\r\n\r\n"])
def test_what_is_no_head_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"SSH|2x0"):
        read_head(wire)


@pytest.mark.parametrize(
    ("body", "keeps"),
    [
        (body_of(content_length="0"), True),
        (body_of("HEAD", content_length="9"), True),
        (body_of(status=304, content_length="9"), True),
        (body_of(content_length="0", connection="close"), False),
        (body_of(content_length="0", is_old=True), False),
        (body_of(content_length="0", is_old=True, connection="Keep-Alive"), True),
    ],
)
def test_an_answer_without_a_body_has_ended_at_once(body: Body, keeps: bool) -> None:
    assert (body.ended, body.keeps_connection) == (True, keeps)


def test_without_a_length_a_body_ends_with_the_connection() -> None:
    body = body_of()
    pieces: list[bytes] = []
    assert body.take(b"some", pieces) == b""
    assert (body.ended, body.ends_with_connection, body.keeps_connection) == (False, True, False)
    assert pieces == [b"some"]


@pytest.mark.parametrize("fields", [{"transfer-encoding": "gzip"}, {"content-length": "-1"}])
def test_a_framing_that_is_not_known_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"gzip|-1"):
        Body.of(Head(200, fields, is_old=False), "GET")


@pytest.mark.parametrize("wire", [b"x\r\n", b"4" * 300_000])
def test_a_chunk_without_a_size_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|without end"):
        body_of(transfer_encoding="chunked").take(wire, [])
