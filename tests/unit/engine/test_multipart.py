import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transferhub.engine.multipart import (
    WHOLE_BYTES,
    expected_etag,
    followed_size,
    is_whole,
    part_size,
    parts_of,
)
from transferhub.model.transfer import Part
from transferhub.stores.base import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES

MIB = 1 << 20
LARGEST = 5 << 40  # of an object in Amazon S3
MD5 = "a" * 32

sizes = st.integers(1, LARGEST)
etags = st.sampled_from(["", MD5, "opaque"]) | st.integers(0, 20_000).map(f"{MD5}-{{}}".format)


@given(size=st.integers(0, 10_000), each=st.integers(1, 999))
def test_parts_cover_an_object_without_gap_or_overlap(size: int, each: int) -> None:
    parts = parts_of(size, each)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    ends = [part.offset + part.size for part in parts]
    assert [part.offset for part in parts] == [0, *ends][: len(parts)]
    assert sum(part.size for part in parts) == size
    assert all(part.size == each for part in parts[:-1])
    assert all(0 < part.size <= each for part in parts)


@given(size=sizes, etag=etags, chosen=st.none() | st.integers(MIN_PART_BYTES, MAX_PART_BYTES))
@example(size=LARGEST, etag="", chosen=None)
@example(size=LARGEST, etag="", chosen=MIN_PART_BYTES)
@example(size=LARGEST, etag=f"{MD5}-10000", chosen=None)
def test_parts_keep_to_the_limits_of_amazon_s3(size: int, etag: str, chosen: int | None) -> None:
    each = part_size(size, etag, chosen)
    assert MIN_PART_BYTES <= each <= MAX_PART_BYTES
    assert -(-size // each) <= MAX_PARTS


@given(size=sizes, etag=etags)
def test_unless_the_source_tells_parts_have_16_to_64_mib_where_10_000_are_enough(
    size: int, etag: str
) -> None:
    if followed_size(size, etag) is None:
        each = part_size(size, etag)
        assert each % MIB == 0
        assert each >= 16 * MIB
        assert each <= 64 * MIB or size > 64 * MIB * MAX_PARTS


@given(size=sizes, etag=etags)
def test_a_followed_size_gives_the_source_s_number_of_parts(size: int, etag: str) -> None:
    each = followed_size(size, etag)
    if each is not None:
        assert etag == f"{MD5}-{-(-size // each)}"


@pytest.mark.parametrize("mib", [5, 8, 15, 16, 32, 50, 64, 100, 512])
def test_the_part_sizes_of_known_clients_are_told(mib: int) -> None:
    size = 200 * mib * MIB + 1
    assert followed_size(size, f"{MD5}-201") == mib * MIB


def test_of_several_part_sizes_that_fit_a_power_of_two_is_followed() -> None:
    assert followed_size(12 * MIB, f"{MD5}-2") == 8 * MIB  # and not 6 or 10


@pytest.mark.parametrize(
    ("size", "etag"),
    [
        (100 * MIB, MD5),
        (100 * MIB, f"{MD5}-1"),
        (100 * MIB, f"{MD5}-77"),
        (100 * MIB, ""),
        (LARGEST, f"{MD5}-10001"),
    ],
)
def test_a_part_size_that_cannot_be_told_is_not_followed(size: int, etag: str) -> None:
    assert followed_size(size, etag) is None


@pytest.mark.parametrize(
    ("size", "etag", "chosen", "whole"),
    [
        (0, MD5, None, True),
        (WHOLE_BYTES, MD5, None, True),
        (WHOLE_BYTES + 1, MD5, None, False),
        (20 * MIB, f"{MD5}-3", None, False),
        (20 * MIB, f"{MD5}-77", None, True),  # in parts of a size that nobody knows
        (MIN_PART_BYTES - 1, f"{MD5}-2", None, True),
        (MIN_PART_BYTES - 1, f"{MD5}-1", None, True),
        (MIN_PART_BYTES, f"{MD5}-1", None, False),  # one part, for the sake of the etag
        (20 * MIB, f"{MD5}-1", 32 * MIB, True),
        (20 * MIB, MD5, 8 * MIB, False),
        (8 * MIB, MD5, 8 * MIB, True),
        (20 * MIB, f"{MD5}-3", 32 * MIB, True),  # one part would be worth nothing
        (96 * MIB, MD5, 128 * MIB, True),
        (32 * MIB + 1, MD5, 64 * MIB, False),  # more than one PUT may hold
    ],
)
def test_small_objects_are_copied_whole(
    size: int, etag: str, chosen: int | None, whole: bool
) -> None:
    largest = 32 * MIB if chosen == 64 * MIB else MAX_PART_BYTES
    assert is_whole(size, etag, largest, chosen) is whole


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=9))
def test_the_etag_of_parts_is_the_md5_of_their_md5s(bodies: list[bytes]) -> None:
    parts = [Part(n, 0, len(body), md5(body)) for n, body in enumerate(bodies, start=1)]
    digests = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies)
    assert expected_etag(parts) == f"{md5(digests)}-{len(bodies)}"


@pytest.mark.parametrize("etag", ["", "opaque", MD5[:-2], MD5 + "aa", f"{MD5}-2"])
def test_parts_whose_etags_are_no_md5s_tell_no_etag(etag: str) -> None:
    assert expected_etag([Part(1, 0, 1, MD5), Part(2, 1, 1, etag)]) == ""
