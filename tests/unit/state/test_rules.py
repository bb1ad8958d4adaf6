import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.ledger_facts import STARTED
from transferhub.model.transfer import Upload
from transferhub.state.rules import fair_batch, keeps_replaced_upload, key_matcher

_streams = st.lists(st.lists(st.integers(0, 20), max_size=8), min_size=1, max_size=3)


def batch(
    streams: list[list[int]], *, limit: int = 100, max_bytes: int = 1_000, first: int = 0
) -> list[int]:
    """Items weigh what they are."""
    return fair_batch(streams, lambda item: item, limit=limit, max_bytes=max_bytes, first=first)


def test_streams_take_turns() -> None:
    assert batch([[1, 1, 1], [2], [3, 3]]) == [1, 2, 3, 1, 3, 1]


def test_the_first_turn_moves() -> None:
    assert batch([[1], [2], [3]], limit=1, first=1) == [2]
    assert batch([[1], [2], [3]], limit=1, first=5) == [3]


def test_the_first_item_is_taken_whatever_it_weighs() -> None:
    assert batch([[500, 1]], max_bytes=1) == [500]


def test_a_stream_ends_at_what_is_too_heavy_and_others_go_on() -> None:
    assert batch([[5, 50, 1], [4, 0, 1]], max_bytes=10) == [5, 4, 0, 1]


@given(_streams, st.integers(1, 9), st.integers(0, 30), st.integers(0, 9))
def test_no_batch_is_too_large_or_too_heavy(
    streams: list[list[int]], limit: int, max_bytes: int, first: int
) -> None:
    found = batch(streams, limit=limit, max_bytes=max_bytes, first=first)
    assert len(found) <= limit
    assert len(found) == 1 or sum(found) <= max_bytes or not any(found[1:])
    assert bool(found) == any(streams)


@given(_streams, st.integers(1, 9), st.integers(0, 30))
def test_moving_first_on_takes_everything_in_the_end(
    streams: list[list[int]], limit: int, max_bytes: int
) -> None:
    left = [[*stream] for stream in streams]
    for first in range(sum(map(len, streams)) * len(streams)):
        numbered = [[(at, item) for item in stream] for at, stream in enumerate(left)]
        for at, item in fair_batch(
            numbered, lambda pair: pair[1], limit=limit, max_bytes=max_bytes, first=first
        ):
            left[at].remove(item)
    assert not any(left)


@pytest.mark.parametrize(
    ("glob", "key", "expected"),
    [
        ("*", "", True),
        ("*", "a\nb/c", True),
        ("a*", "a/b\n", True),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("A*", "a", False),
        ("a.c", "abc", False),
        ("a", "ab", False),
        ("b", "ab", False),
    ],
)
def test_globs_are_over_the_whole_key(glob: str, key: str, expected: bool) -> None:
    assert key_matcher(glob)(key) is expected


def test_only_an_upload_with_an_id_stays_known_when_it_is_replaced() -> None:
    first = Upload("key", "upload-1", STARTED)
    intent = first._replace(upload_id="")
    second = first._replace(upload_id="upload-2")
    assert keeps_replaced_upload(first, second)
    assert keeps_replaced_upload(first, intent)
    assert not keeps_replaced_upload(first, first)
    assert not keeps_replaced_upload(intent, first)
    assert not keeps_replaced_upload(None, first)
