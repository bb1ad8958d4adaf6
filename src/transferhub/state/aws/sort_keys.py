"""How keys of transfers are written as sort keys, which hold 1,024 bytes and sort by their bytes.

A group covers the keys from `low` on, up to the `low` of the next one. Its rows stand together: a
body, or several while one takes the place of another, then its head.
"""

from __future__ import annotations

from hashlib import sha256

MOST = 990
"""Bytes of an encoded `low`."""

_END = b"\x00"
_BODY, _HEAD = b"\x00", b"\x01"
_LONGEST_ROW_KEY = 950


def head_key(low: bytes) -> bytes:
    return encode(low) + _END + _HEAD


def body_key(low: bytes, ident: bytes) -> bytes:
    return encode(low) + _END + _BODY + ident


def first_row(low: bytes) -> bytes:
    """What no row of the group of this `low` sorts before."""
    return encode(low) + _END


def last_head(key: bytes) -> bytes:
    """What no head sorts after that may cover the key."""
    encoded = encode(key)
    return encoded[: MOST + 10] if len(encoded) > MOST else encoded + _END + _HEAD


def is_head(sort_key: bytes) -> bool:
    low, _, rest = sort_key.rpartition(_END)
    return rest == _HEAD and not low.endswith(_END)


def encode(low: bytes) -> bytes:
    """Sorts as `low` does, and holds no zero byte."""
    if b"\x00" not in low and b"\x01" not in low:
        return low
    return low.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")


def separator(before: bytes, key: bytes) -> bytes | None:
    """The shortest `low` after `before` and up to `key`; None where it would be too long."""
    shared = 0
    for ours, theirs in zip(before, key, strict=False):
        if ours != theirs:
            break
        shared += 1
    low = key[: shared + 1]
    return low if len(encode(low)) <= MOST else None


def row_key(key: str) -> bytes:
    """Of a row of its own for a transfer. Beyond 950 bytes keys sort by a hash."""
    raw = b"k" + key.encode()
    if len(raw) <= _LONGEST_ROW_KEY:
        return raw
    return raw[:_LONGEST_ROW_KEY] + sha256(raw).digest()
