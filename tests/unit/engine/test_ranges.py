import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from transferhub.engine.ranges import (
    Alphabet,
    carries,
    common_prefix,
    cuts,
    merge_prefixes,
    width,
)

LAST = chr(sys.maxunicode)
keys = st.text(st.sampled_from(f"\x00ab/9\ud7ff\ue000\U0001f600{LAST}"), max_size=20) | st.text()
samples = st.lists(st.text(max_size=8), max_size=8)


def alphabet(seen: list[str]) -> Alphabet:
    letters = Alphabet()
    letters.learn(seen)
    return letters


def is_utf8(key: str) -> bool:
    return key.encode().decode() == key


@given(low=keys, high=st.none() | keys, prefix=st.text(max_size=3), seen=samples)
@example(low="\ud7ff", high="\ue000", prefix="", seen=[])
@example(low="a", high="a\x00", prefix="", seen=["a\x00"])
@example(low=LAST, high=None, prefix="", seen=["a"])
@example(low="ab", high="ab\x00\x00", prefix="ab", seen=["\x00"])
def test_cuts_lie_strictly_between_the_ends_and_ascend(
    low: str, high: str | None, prefix: str, seen: list[str]
) -> None:
    assume(high is None or low < high)
    found = cuts(low, high, prefix, (0.1, 0.5, 0.9), alphabet([low, high or "", *seen]))
    assert found == sorted(set(found))
    for cut in found:
        assert low < cut
        assert high is None or cut < high
        assert is_utf8(cut)


@given(low=st.integers(0, 799), more=st.integers(200, 999))
def test_numbered_keys_are_split_near_their_middle(low: int, more: int) -> None:
    high = min(low + more, 999)
    (middle,) = cuts(f"{low:03}", f"{high:03}", "", (0.5,), alphabet(["0123456789"]))
    left = sum(f"{number:03}" <= middle for number in range(low, high))
    assert 0.3 <= left / (high - low) <= 0.7


@given(low=keys, high=st.none() | keys, depth=st.integers(0, 20), seen=samples)
@example(low="\ud7ff", high=None, depth=1, seen=[])
@example(low=LAST * 3, high=None, depth=3, seen=[])
def test_carries_lie_inside_the_interval_the_widest_first(
    low: str, high: str | None, depth: int, seen: list[str]
) -> None:
    assume(high is None or low < high)
    steps = carries(low, high, depth, alphabet(seen))
    assert all(low < step and (high is None or step < high) for step in steps)
    assert steps == sorted(steps, reverse=True)
    assert len(steps) <= depth
    assert all(map(is_utf8, steps))


def test_carries_step_up_each_letter_to_the_next_one_seen() -> None:
    seen = alphabet(["0459", "ab/"])
    assert carries("a/0049", None, 6, seen) == ["b/", "a0", "a/4", "a/04", "a/005", "a/004a"]


@given(low=st.integers(0, 98), shares=st.lists(st.floats(0, 1), max_size=9))
def test_no_cut_has_two_slashes_where_keys_have_not(low: int, shares: list[float]) -> None:
    found = cuts(f"{low:02}/0", "99", "", shares, alphabet(["/09"]))
    assert not [cut for cut in found if "//" in cut]


@given(ends=st.lists(keys, min_size=4, max_size=4), endless=st.booleans(), seen=samples)
def test_a_width_is_a_share_of_its_interval(
    ends: list[str], endless: bool, seen: list[str]
) -> None:
    after, low, high, last = sorted(ends)
    until = None if endless else last
    share = width(after, until, low, high, alphabet([*ends, *seen]))
    assert 0.0 <= share <= 1.0


@given(st.lists(st.text("ab\x00é", max_size=4), max_size=8), st.text("ab\x00é", max_size=6))
def test_merged_prefixes_cover_exactly_the_same_keys(prefixes: list[str], key: str) -> None:
    merged = merge_prefixes(prefixes)
    assert key.startswith(tuple(merged)) == key.startswith(tuple(prefixes))


@given(st.lists(st.text("ab\x00é", max_size=4), max_size=8))
def test_merged_prefixes_overlap_nowhere_and_are_in_order(prefixes: list[str]) -> None:
    merged = merge_prefixes(prefixes)
    assert merged == sorted(merged)
    assert not [
        (one, two) for one in merged for two in merged if one != two and two.startswith(one)
    ]


@given(st.lists(keys, min_size=1, max_size=6), st.text("ab", max_size=3))
def test_a_common_prefix_is_the_longest_there_is(tails: list[str], head: str) -> None:
    members = [head + tail for tail in tails]
    prefix = common_prefix(members)
    assert all(member.startswith(prefix) for member in members)
    following = {member[len(prefix) : len(prefix) + 1] for member in members}
    assert len(following) > 1 or following == {""}


@pytest.mark.parametrize(
    ("letter", "following"),
    [("a", "b"), ("c", "z"), ("z", "{"), ("\ud7ff", "\ue000"), (LAST, LAST), ("\x00", "a")],
)
def test_the_letter_that_follows_was_seen_or_is_the_next_one_of_utf_8(
    letter: str, following: str
) -> None:
    assert alphabet(["abz"]).following(letter) == following
