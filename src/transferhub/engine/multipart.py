"""The parts of a large object."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from transferhub.engine.compare import part_count
from transferhub.model.transfer import Part
from transferhub.stores.base import MAX_PARTS, MIN_PART_BYTES

_MIB = 1 << 20

WHOLE_BYTES = 64 * _MIB
"""Objects up to here are copied whole, unless the source was uploaded in parts itself: the etag of
one PUT is the MD5 that the source has, and can be compared ever after."""

_PART_BYTES = 16 * _MIB
_WIDE_PART_BYTES = 64 * _MIB
"""Parts of 16 MiB interleave well; they widen to 64 MiB before their number becomes a burden,
because small parts are slow on a long path."""

_MANY_PARTS = 640

_USUAL_MIB = (5, 6, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512, 1024)
"""Part sizes that clients use (in MiB; the AWS tools 8, rclone 5, JuiceFS 32, s5cmd 50...)."""

_LARGEST_FOLLOWED = _USUAL_MIB[-1] * _MIB
"""A part is held in memory whole."""


def part_size(size: int, etag: str, chosen: int | None = None) -> int:
    """Bytes of each part but the last.

    The chosen one; else the source's where its etag ends in -N and a usual part size gives N parts,
    so that both etags agree; else 16 to 64 MiB. Always as large as 10,000 parts need.
    """
    fewest = -(-size // MAX_PARTS)
    if chosen is not None:
        return max(chosen, fewest)
    told = followed_size(size, etag)
    if told is not None:
        return told
    usual = max(_PART_BYTES, min(_WIDE_PART_BYTES, -(-size // _MANY_PARTS)), fewest)
    return -(-usual // _MIB) * _MIB


def followed_size(size: int, etag: str) -> int | None:
    """The part size that the source was uploaded with, where its etag tells. Of several that fit, a
    power of two, as most clients use."""
    count = part_count(etag)
    if count == 1 and MIN_PART_BYTES <= size <= WHOLE_BYTES:
        return size
    if not 1 < count <= MAX_PARTS:
        return None
    fits = [mib * _MIB for mib in _USUAL_MIB if -(-size // (mib * _MIB)) == count]
    powers = [fit for fit in fits if fit & (fit - 1) == 0]
    found = powers or fits
    return found[0] if found else None


def is_untold(size: int, etag: str) -> bool:
    """Whether the source was uploaded in parts of a size that its etag does not tell."""
    many = size >= MIN_PART_BYTES and 1 < part_count(etag) <= MAX_PARTS
    return many and followed_size(size, etag) is None


def can_follow(each: int, size: int, etag: str) -> bool:
    """Whether parts of `each` bytes may be those that the source was uploaded in."""
    return MIN_PART_BYTES <= each <= _LARGEST_FOLLOWED and -(-size // each) == part_count(etag)


def is_whole(size: int, etag: str, largest: int, chosen: int | None = None) -> bool:
    """True where the object is better copied in one piece."""
    if size > largest:
        return False
    if chosen is not None:
        return size <= chosen
    if size > WHOLE_BYTES:
        return False
    return size < MIN_PART_BYTES or followed_size(size, etag) is None


def parts_of(size: int, each: int) -> list[Part]:
    """Parts that cover `size` bytes without gap or overlap, numbered from 1."""
    return [
        Part(number, offset, min(each, size - offset))
        for number, offset in enumerate(range(0, size, each), start=1)
    ]


def is_followed(part: Part, size: int, etag: str) -> bool:
    """Whether the source has the same part, as far as its size and its etag tell."""
    each = followed_size(size, etag)
    if each is None:
        return False
    offset = (part.number - 1) * each
    return part.offset == offset and part.size == min(each, size - offset)


def expected_etag(parts: Sequence[Part]) -> str:
    """What a store with MD5 etags gives to an object of these parts; "" where the parts' etags are
    no MD5s."""
    try:
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    except ValueError:
        return ""
    if len(digests) != 16 * len(parts):
        return ""
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
