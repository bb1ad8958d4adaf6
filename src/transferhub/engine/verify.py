"""Checks of what was read and what was written."""

from __future__ import annotations

import asyncio
import hashlib

from transferhub.engine.compare import is_md5
from transferhub.errors import CorruptError
from transferhub.model.objects import ObjectInfo, Written

_THREAD_BYTES = 1 << 20
"""Bodies from here on are hashed in a thread (3 ms and more), so that the event loop stays
responsive."""


async def md5_of(body: bytes) -> bytes:
    if len(body) < _THREAD_BYTES:
        return hashlib.md5(body, usedforsecurity=False).digest()
    return await asyncio.to_thread(lambda: hashlib.md5(body, usedforsecurity=False).digest())


def verify_length(info: ObjectInfo, body: bytes, *, where: str) -> None:
    """Holds the length of a whole object against what its own response said of it.

    Raises:
        CorruptError
    """
    if len(body) != info.size:
        raise CorruptError(
            f"{info.key!r} at {where} gave {len(body)} bytes and promised {info.size};"
            " it is read again",
            code="short_read",
        )


def told_md5(info: ObjectInfo, *, md5_etags: bool) -> bytes | None:
    """The MD5 of a whole object as its etag tells it; None where that is none."""
    told = md5_etags and is_md5(info.etag) and not info.encrypted_by_key
    return bytes.fromhex(info.etag) if told else None


def verify_md5(info: ObjectInfo, md5: bytes, *, where: str) -> None:
    """Holds the MD5 of the bytes read of a whole object against the one that its etag is.

    Raises:
        CorruptError
    """
    if md5.hex() != info.etag:
        raise CorruptError(
            f"the bytes read of {info.key!r} at {where} have the MD5 {md5.hex()}, but its etag is"
            f" {info.etag}; the object, or the way from there, is damaged"
        )


def verify_written(
    key: str, written: Written, expected: str, *, md5_etags: bool, where: str
) -> None:
    """Holds the etag that a write gave against the one its bytes must have.

    Raises:
        CorruptError
    """
    if not md5_etags or not expected or written.encrypted_by_key or not written.etag:
        return
    if written.etag != expected:
        raise CorruptError(
            f"{key!r} was written to {where} and came out with the etag {written.etag} instead of"
            f" {expected}; it is written again",
            code="wrong_etag",
        )
