from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.globs import compile_globs
from transferhub.model.objects import ObjectEntry
from transferhub.plugins.objects.selection import Selection
from transferhub.plugins.objects.spec import parse_spec

NOW = datetime(2024, 5, 8, tzinfo=UTC)


def selection(**values: Any) -> Selection:
    return Selection.from_spec(
        parse_spec({"source": "s3://a", "destination": "oss://b", **values}, now=NOW)
    )


def matches(pattern: str, key: str) -> bool:
    expression = compile_globs([pattern], field="include")
    assert expression is not None
    return expression.fullmatch(key) is not None


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "a/b/c.jpg", True),
        ("*.jpg", "a.jpg/b", False),
        ("a", "x/a", True),
        ("a", "xa", False),
        ("/a", "a", True),
        ("/a", "x/a", False),
        ("logs/*.gz", "logs/a.gz", True),
        ("logs/*.gz", "logs/a/b.gz", False),
        ("logs/*.gz", "x/logs/a.gz", False),
        ("logs/**", "logs/a/b", True),
        ("logs/**", "logs", False),
        ("logs/**/a", "logs/a", True),
        ("logs/**/a", "logs/x/y/a", True),
        ("logs/**/a", "logsa", False),
        ("**/tmp/*", "tmp/a", True),
        ("**/tmp/*", "x/y/tmp/a", True),
        ("**/tmp/*", "x/mytmp/a", False),
        ("a**z", "a/b/z", True),
        ("tmp/", "tmp/a", True),
        ("tmp/", "x/tmp/a/b", True),
        ("tmp/", "tmp/", True),
        ("tmp/", "tmp", False),
        ("/tmp/", "x/tmp/a", False),
        ("**", "anything/at\nall", True),
        ("*", "a/b", True),
        ("?", "é", True),
        ("?", "", False),
        ("a?b", "a/b", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("a[!x]b", "a/b", False),
        ("[]]", "]", True),
        ("[!]]", "]", False),
        ("[&&~|]", "&", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        (r"[\]", "\\", True),
        ("a.b", "axb", False),
        ("A", "a", False),
        ("a b+(c)$^", "a b+(c)$^", True),
        ("//a", "/a", True),
    ],
)
def test_a_glob_matches_as_documented(pattern: str, key: str, expected: bool) -> None:
    assert matches(pattern, key) is expected


@pytest.mark.parametrize("pattern", ["", "/", "[", "a[b", "a\\", "[]", "[!]", "[z-a]"])
def test_a_glob_that_ends_in_the_middle_is_refused(pattern: str) -> None:
    with pytest.raises(InputError) as caught:
        compile_globs([pattern], field="exclude")
    assert caught.value.field == "exclude"


def slow_match(pattern: str, key: str) -> bool:
    """The documented rules, letter by letter."""
    if pattern.endswith("/"):
        return slow_match(f"{pattern}**" if "/" in pattern[:-1] else f"**/{pattern}**", key)
    if "/" not in pattern:
        return slow_letters(pattern, key.rpartition("/")[2]) or (
            "**" in pattern and slow_anywhere(pattern, key)
        )
    return slow_letters(pattern.removeprefix("/"), key)


def slow_anywhere(pattern: str, key: str) -> bool:
    starts = [0, *(i + 1 for i, letter in enumerate(key) if letter == "/")]
    return any(slow_letters(pattern, key[start:]) for start in starts)


def slow_letters(pattern: str, key: str, *, fresh: bool = True) -> bool:
    if not pattern:
        return not key
    if fresh and pattern.startswith("**/"):
        rest = pattern[3:]
        starts = [0, *(i + 1 for i, letter in enumerate(key) if letter == "/")]
        return any(slow_letters(rest, key[start:]) for start in starts)
    if pattern.startswith("**"):
        return any(slow_letters(pattern[2:], key[i:], fresh=False) for i in range(len(key) + 1))
    if pattern[0] == "*":
        for i in range(len(key) + 1):
            if slow_letters(pattern[1:], key[i:], fresh=False):
                return True
            if i < len(key) and key[i] == "/":
                return False
        return False
    if not key:
        return False
    letter = key[0] != "/" if pattern[0] == "?" else key[0] == pattern[0]
    return letter and slow_letters(pattern[1:], key[1:], fresh=pattern[0] == "/")


@given(
    st.text("ab/*?", min_size=1, max_size=8).filter(lambda p: p != "/"),
    st.text("ab/", max_size=8),
)
def test_globs_agree_with_a_slow_reading_of_the_rules(pattern: str, key: str) -> None:
    assert matches(pattern, key) is slow_match(pattern, key)


@given(st.text(min_size=1, max_size=20))
def test_an_escaped_key_matches_itself_and_only_itself(key: str) -> None:
    pattern = "/" + "".join(f"\\{letter}" for letter in key)
    assert matches(pattern, key)
    assert not matches(pattern, f"{key}x")


entries = st.builds(
    ObjectEntry,
    key=st.text("ab/.", max_size=6),
    size=st.integers(0, 4),
    etag=st.just(""),
    modified_at=st.none() | st.integers(0, 4).map(lambda days: NOW - timedelta(days=days)),
    storage_class=st.sampled_from(["", "STANDARD", "GLACIER"]),
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "include": st.lists(st.sampled_from(["*.a", "b/**", "a"]), max_size=2),
        "exclude": st.lists(st.sampled_from(["*b*", "a/"]), max_size=2),
        "min_size": st.integers(0, 2),
        "max_size": st.integers(2, 4),
        "newer_than": st.sampled_from(["3d", "4d"]),
        "older_than": st.sampled_from(["1d", "2d"]),
        "storage_classes_in": st.lists(st.sampled_from(["STANDARD", "GLACIER"]), max_size=2),
    },
)


def slow_selects(values: dict[str, Any], entry: ObjectEntry) -> bool:
    key, age = entry.key, None
    if entry.modified_at is not None:
        age = (NOW - entry.modified_at).days
    return not (
        (values.get("include") and not any(matches(p, key) for p in values["include"]))
        or any(matches(p, key) for p in values.get("exclude", ()))
        or entry.size < values.get("min_size", 0)
        or entry.size > values.get("max_size", 9)
        or (age is not None and age > int(values.get("newer_than", "9d")[0]))
        or (age is not None and "older_than" in values and age <= int(values["older_than"][0]))
        or (
            values.get("storage_classes_in")
            and (entry.storage_class or "STANDARD") not in values["storage_classes_in"]
        )
    )


@given(filters, entries)
def test_a_selection_agrees_with_a_slow_reading(values: dict[str, Any], entry: ObjectEntry) -> None:
    chosen = selection(**values)
    assert chosen.selects(entry.key, entry) is slow_selects(values, entry)
    if chosen.trivial:
        assert chosen.selects(entry.key, entry)
    if chosen.selects(entry.key, entry):
        assert chosen.selects_key(entry.key)


def test_a_selection_is_trivial_where_nothing_is_filtered() -> None:
    assert selection().trivial
    assert not selection(min_size=0).trivial
    assert not selection(exclude=["x"]).trivial


def test_newer_and_older_than_one_time_split_all_objects() -> None:
    newer, older = selection(newer_than="1d"), selection(older_than="1d")
    for seconds in (-1, 0, 1):
        at = NOW - timedelta(days=1, seconds=seconds)
        entry = ObjectEntry("a", 1, "", at)
        assert newer.selects("a", entry) is not older.selects("a", entry)
