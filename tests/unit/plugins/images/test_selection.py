import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.plugins.images.platforms import choose, parse_platform
from transferhub.plugins.images.selection import (
    ImageEntry,
    ImageGlob,
    Selection,
    attachment_stem,
    compile_tags,
)
from transferhub.plugins.images.versions import VersionRange
from transferhub.registries.manifest import Descriptor, Digest, Platform

NOW = datetime(2024, 5, 8, tzinfo=UTC)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def globs(*patterns: str) -> tuple[ImageGlob, ...]:
    return tuple(ImageGlob.parse(pattern, field="include") for pattern in patterns)


def tags(*names: str) -> list[ImageEntry]:
    return [ImageEntry(tag=name) for name in names]


@pytest.mark.parametrize(
    ("pattern", "image", "expected"),
    [
        ("nginx", "nginx:1", True),
        ("nginx", "library/nginx:1", True),
        ("/nginx", "library/nginx:1", False),
        ("nginx", "nginx2:1", False),
        ("team/*", "team/app:1", True),
        ("team/*", "team/a/b:1", False),
        ("team/**", "team/a/b:1", True),
        ("team/", "team/a/b:1", True),
        ("nginx:1.*", "nginx:1.27", True),
        ("nginx:1.*", "nginx:2", False),
        (":latest", "any/thing:latest", True),
        ("*:latest", "any/thing:latest", True),
        ("**:v[0-9]", "a/b:v1", True),
        ("**:v[0-9]", "a/b:v10", False),
        ("a:*", "a:", False),
        ("a", "a:", True),
    ],
)
def test_a_glob_matches_repository_and_tag(pattern: str, image: str, expected: bool) -> None:
    repository, _, tag = image.partition(":")
    assert globs(pattern)[0].matches(repository, tag) is expected


@pytest.mark.parametrize("pattern", ["", ":", "a:", "a[", "a:b[", "a@sha256:1"])
def test_a_glob_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="the glob"):
        globs(pattern)


def test_a_repository_that_cannot_be_meant_need_not_be_listed() -> None:
    chosen = Selection(include=globs("team/*:v*", "app"), exclude=globs("team/old", "app:*"))
    assert chosen.selects_repository("team/new")
    assert chosen.selects_repository("app")
    assert not chosen.selects_repository("team/old")
    assert not chosen.selects_repository("other")


def test_every_filter_must_agree() -> None:
    chosen = Selection(
        include=globs("app"),
        exclude=globs("*:1.3.*"),
        tags=compile_tags(r"v?1\..*", field="tags"),
        versions=VersionRange.parse("<1.5", field="semver"),
    )
    entries = tags("1.2.0", "v1.4.0", "1.3.1", "1.6.0", "2.0.0", "1.x")
    assert [e.tag for e in chosen.select("app", entries)] == ["1.2.0", "v1.4.0"]
    assert chosen.select("other", entries) == []
    assert not chosen.everything


def test_an_expression_must_match_a_whole_tag() -> None:
    chosen = Selection(tags=compile_tags("1", field="tags"))
    assert [e.tag for e in chosen.select("a", tags("1", "11"))] == ["1"]
    with pytest.raises(InputError, match="cannot be read"):
        compile_tags("(", field="tags")


def test_the_newest_images_are_kept_with_all_their_tags() -> None:
    def entry(tag: str, letter: str, hours: int) -> ImageEntry:
        return ImageEntry(
            tag=tag, digest=digest(letter), pushed_at=NOW + timedelta(hours=hours)
        )  # fmt: skip

    entries = [entry("1", "a", 1), entry("2", "b", 2), entry("latest", "b", 2), entry("3", "c", 0)]
    kept = Selection(newest=2).select("a", entries)
    assert [e.tag for e in kept] == ["1", "2", "latest"]
    assert Selection(newest=9).select("a", entries) == entries


def test_an_image_is_as_new_as_its_newest_tag() -> None:
    entries = [
        ImageEntry(tag="1.0", digest=digest("a")),
        ImageEntry(tag="latest", digest=digest("a")),
        ImageEntry(tag="0.9", digest=digest("b")),
    ]
    assert Selection(newest=1).select("app", entries) == entries[:2]
    assert Selection(newest=1).select("app", entries[::-1]) == entries[1::-1]


def test_where_no_time_is_known_versions_say_what_is_new() -> None:
    entries = tags("1.9.0", "latest", "1.10.0", "1.2.0", "1.10.0-rc.1")
    assert [e.tag for e in Selection(newest=2).select("a", entries)] == ["1.10.0", "1.10.0-rc.1"]
    dated = [*entries, ImageEntry(tag="old", pushed_at=NOW)]
    assert [e.tag for e in Selection(newest=1).select("a", dated)] == ["old"]


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, "t"),
        ({"untagged": True}, "tu"),
        ({"index_children": True}, "tc"),
        ({"untagged": True, "index_children": True}, "tuc"),
    ],
)
def test_images_without_a_tag_are_taken_by_switches(
    switches: dict[str, bool], expected: str
) -> None:
    entries = [
        ImageEntry(tag="t", digest=digest("a")),
        ImageEntry(tag="", digest=digest("b")),
        ImageEntry(tag="", digest=digest("c")),
        ImageEntry(tag="", digest=digest("d"), subject=digest("a")),
    ]
    letters = dict(zip([e.digest for e in entries], "tucr", strict=True))
    found = Selection(**switches).select("a", entries, children={digest("c")})  # type: ignore[arg-type]
    assert "".join(letters[e.digest] for e in found) == expected


def test_what_has_no_tag_matches_no_filter_of_tags() -> None:
    entries = [ImageEntry(digest=digest("a"))]
    for chosen in (
        Selection(untagged=True, tags=compile_tags(".*", field="tags")),
        Selection(untagged=True, versions=VersionRange.parse("*", field="semver")),
        Selection(untagged=True, include=globs("a:*")),
    ):
        assert chosen.select("a", entries) == []
    assert Selection(untagged=True, include=globs("a")).select("a", entries) == entries
    assert Selection(untagged=True, exclude=globs("a:*")).select("a", entries) == entries


def test_signatures_go_where_their_image_goes() -> None:
    a, b, s = digest("a"), digest("b"), digest("5")
    entries = [
        ImageEntry(tag="1", digest=a),
        ImageEntry(tag="2", digest=b),
        ImageEntry(tag=f"{attachment_stem(a)}.sig", digest=digest("c")),
        ImageEntry(tag=f"{attachment_stem(b)}.att", digest=digest("d")),
        ImageEntry(tag=f"{attachment_stem(a)}.sbom", digest=s),
        ImageEntry(tag=f"{attachment_stem(s)}.sig", digest=digest("e")),
        ImageEntry(tag=attachment_stem(a), digest=digest("f")),
    ]
    chosen = Selection(include=globs("*:1"))
    assert [e.tag for e in chosen.select("app", entries)] == ["1"]
    found = [e.tag for e in chosen.attachments(entries, [a])]
    assert found == [entries[2].tag, entries[4].tag, entries[5].tag]
    with_referrers = Selection(include=globs("*:1"), referrers=True, cosign=False)
    assert [e.tag for e in with_referrers.attachments(entries, [a])] == [entries[6].tag]
    assert Selection().attachments(entries, []) == entries[2:6]
    assert Selection(cosign=False).attachments(entries, [a, b]) == []
    assert chosen.covers("app", entries[2].tag)
    assert not chosen.covers("app", entries[6].tag)
    assert not Selection(include=globs("web")).covers("app", entries[2].tag)
    assert chosen.covers("app", "1")
    assert not chosen.covers("app", "2")


def test_a_long_digest_is_cut_in_tags() -> None:
    stem = attachment_stem("sha512:" + "a" * 64 + "b" * 64)
    assert stem == "sha512-" + "a" * 64
    assert Selection(referrers=True).attachments(tags(stem, "x"), []) == tags(stem)


@given(st.lists(st.sampled_from(["1", "1.2.0", "2.0.0", "latest", "rc"]), unique=True), st.data())
def test_the_order_of_a_listing_does_not_matter(names: list[str], data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 9))
    chosen = Selection(newest=data.draw(st.integers(1, 3)), exclude=globs("*:rc"))
    shuffled = tags(*names)
    random.Random(seed).shuffle(shuffled)
    found = chosen.select("a", tags(*names))
    assert {e.tag for e in chosen.select("a", shuffled)} == {e.tag for e in found}
    assert [e for e in tags(*names) if e in found] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform(os="linux", architecture="amd64")),
        ("Linux/x86_64", Platform(os="linux", architecture="amd64")),
        ("linux/aarch64", Platform(os="linux", architecture="arm64")),
        ("linux/armhf", Platform(os="linux", architecture="arm", variant="v7")),
        ("linux/arm/v6", Platform(os="linux", architecture="arm", variant="v6")),
    ],
)
def test_a_platform_is_read(text: str, expected: Platform) -> None:
    assert parse_platform(text, field="platform") == expected
    assert parse_platform(str(expected), field="platform") == expected


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no platform; write one such as"):
        parse_platform(text, field="platform")


@pytest.mark.parametrize(
    ("wanted", "members", "expected"),
    [
        ("linux/amd64", "linux/arm64 linux/amd64", 1),
        ("linux/arm64", "linux/arm64/v8", 0),
        ("linux/arm64/v8", "linux/arm64", 0),
        ("linux/arm64", "linux/arm64/v9 linux/arm64/v8", 1),
        ("linux/arm/v7", "linux/arm/v6 linux/arm/v7", 1),
        ("linux/arm/v5", "linux/arm/v6 linux/arm/v7", None),
        ("linux/arm", "linux/arm/v6", 0),
        ("windows/amd64", "linux/amd64 unknown/unknown", None),
        ("linux/amd64", "- linux/amd64/v1", 1),
    ],
)
def test_an_index_has_one_image_for_a_platform(
    wanted: str, members: str, expected: int | None
) -> None:
    entries = [
        Descriptor(
            media_type="",
            digest=Digest(str(at)),
            size=0,
            platform=None if text == "-" else parse_platform(text, field="p"),
        )
        for at, text in enumerate(members.split())
    ]
    found = choose(parse_platform(wanted, field="p"), entries)
    assert (None if found is None else int(found.digest)) == expected
