import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.plugins.images.versions import Version, VersionRange, tag_rank

NUMBERS = st.integers(0, 3)
VERSIONS = st.builds(
    lambda a, b, c, pre: Version((a, b, c), pre),
    NUMBERS, NUMBERS, NUMBERS,
    st.one_of(st.just(()), st.lists(st.sampled_from(["0", "1", "rc", "a", "10"]),
                                    min_size=1, max_size=2).map(tuple)),
)  # fmt: skip


def text_of(version: Version) -> str:
    pre = f"-{'.'.join(version.prerelease)}" if version.prerelease else ""
    return ".".join(map(str, version.numbers)) + pre


@pytest.mark.parametrize(
    ("expression", "inside", "outside"),
    [
        ("1.2.3", "1.2.3 v1.2.3 1.2.3_build", "1.2.4 1.2 1.2.3-rc1 latest"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2 1.2.0 1.2.9", "1.3 1.1.9 1.2.0-rc.1"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        ("1.X", "1.0.0 1.9", "2 0.9"),
        ("1.*", "1 1.9.9", "2.0.0-rc1"),
        ("*", "0 1 99.9.9", "latest 1.0.0-rc.1 1.2.3.4 01.2"),
        (">=1.2", "1.2 1.2.0 2", "1.1.9 1.2.0-rc.1 2.0.0-alpine"),
        (">1.2", "1.3.0 2", "1.2 1.2.9"),
        (">1.2.3", "1.2.4", "1.2.3"),
        ("<=1.2", "1.2.9 1.2 0", "1.3"),
        ("<1.2", "1.1.9", "1.2.0"),
        ("<2.0.0", "1.9.9", "2.0.0"),
        ("!=1.2.3 >=1", "1.2.4", "1.2.3"),
        (">=1.2 <2", "1.2 1.9", "2 1.1"),
        (">=1.2,<2", "1.2 1.9", "2 1.1"),
        (">= 1.2 , < 2", "1.2 1.9", "2 1.1"),
        ("^1.2.3", "1.2.3 1.9", "2.0.0 1.2.2"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0", "0.9.9", "1.0.0"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.0 1.9", "2"),
        ("~>1.2", "1.2.5", "1.3"),
        ("1.2 - 1.4", "1.2 1.3 1.4.9", "1.5 1.1"),
        ("1.2.3 - 1.4.0", "1.2.3 1.4.0", "1.4.1 1.2.2"),
        ("^1 || ^3", "1.5 3.5", "2.5 4"),
        (">=1.2.0-0", "1.2.0-rc.1 1.3.0-alpine 1.2.0", "1.1.0"),
        ("^1.2.0-rc.2", "1.2.0-rc.2 1.2.0-rc.10 1.9", "1.2.0-rc.1 2.0.0-rc.1 2.0.0"),
        ("v1.x", "v1.2 1.2", "v2"),
    ],
)
def test_a_range_holds_versions(expression: str, inside: str, outside: str) -> None:
    found = VersionRange.parse(expression, field="semver")
    assert [tag for tag in inside.split() if not found.holds(tag)] == []
    assert [tag for tag in outside.split() if found.holds(tag)] == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "latest", "1.2.3.4", ">", ">*", "<=x", "!=1", "1 ||", "||", "=>1", "1.2-rc", "01.2",
     ">=1 - 2", "^", "!1.2.3", "~=1.2.3", "^=1.2.3", ">=*", "1..2", "1 - 2 - 3"],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no range of versions; write one such as"):
        VersionRange.parse(text, field="semver")


def test_versions_are_ordered_as_semver_says() -> None:
    order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
             "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1", "2", "10"]  # fmt: skip
    versions = [Version.of_tag(tag) for tag in order]
    for (at, low), (after, high) in itertools.combinations(enumerate(versions), 2):
        assert low is not None
        assert high is not None
        assert (low < high) is (at < after)
        assert high > low
        assert low != high


@given(VERSIONS, VERSIONS)
def test_caret_and_tilde_are_two_comparators(low: Version, other: Version) -> None:
    major, minor, patch = low.numbers
    high = (major + 1, 0, 0) if major else (0, minor + 1, 0) if minor else (0, 0, patch + 1)
    above = low <= other < Version(high, ("0",))
    visible = not other.prerelease or bool(low.prerelease)
    tag = text_of(other)
    assert VersionRange.parse(f"^{text_of(low)}", field="s").holds(tag) is (above and visible)
    near = low <= other < Version((major, minor + 1, 0), ("0",))
    assert VersionRange.parse(f"~{text_of(low)}", field="s").holds(tag) is (near and visible)


@given(VERSIONS)
def test_a_version_reads_as_it_is_written(version: Version) -> None:
    assert Version.of_tag(text_of(version)) == version
    assert hash(Version.of_tag(f"v{text_of(version)}")) == hash(version)


@given(st.lists(st.text(alphabet="v019.-xa", max_size=8)))
def test_any_tags_have_an_order(tags: list[str]) -> None:
    assert sorted(sorted(tags), key=tag_rank) == sorted(tags, key=tag_rank)


@given(st.text(alphabet="012.x*<>=~^|, -rcv", max_size=14))
def test_any_text_is_a_range_or_a_fault(text: str) -> None:
    try:
        found = VersionRange.parse(text, field="semver")
    except InputError:
        return
    assert found.holds("1.2.3") in {True, False}
