import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.stores.s3.keys import ANY_KEY, FOLDERS, PATHS, has_dot_segment, is_unusual

PIECES = ["a", "/", "//", ".", "..", "\\", "\0", "é", "ü" * 130, "x" * 256, " ", "%2F", "\n"]
keys = st.one_of(st.text(min_size=1), st.lists(st.sampled_from(PIECES), min_size=1).map("".join))


@given(keys, st.booleans())
def test_every_key_that_some_server_changes_is_unusual(key: str, has_body: bool) -> None:
    for rules in (FOLDERS, PATHS):
        if rules.fault(key, has_body=has_body):
            assert is_unusual(key)
    assert ANY_KEY.fault(key, has_body=has_body) == ""


@given(keys)
def test_a_server_of_files_is_given_only_keys_that_name_a_file_exactly(key: str) -> None:
    if not PATHS.fault(key, has_body=True):
        assert posixpath.normpath(f"/folder/{key}") == f"/folder/{key}"
        assert all(len(name.encode("utf-8", "surrogatepass")) <= 255 for name in key.split("/"))
        assert "\0" not in key


@given(keys)
def test_dot_segments_are_those_that_a_url_parser_resolves(key: str) -> None:
    assert has_dot_segment(f"/{key}") is bool({".", ".."} & set(key.split("/")))


@pytest.mark.parametrize("key", ["a", "a/b.c", "a b+c%2F", "émoji 🦊", ".hidden", "a..b", "..."])
def test_usual_keys_cost_no_question(key: str) -> None:
    assert not is_unusual(key)


def test_a_marker_may_be_held_without_a_body() -> None:
    assert FOLDERS.fault("a/", has_body=False) == ""
    assert "holds no bytes" in FOLDERS.fault("a/", has_body=True)
    assert "slash at its end" in PATHS.fault("a/", has_body=False)
