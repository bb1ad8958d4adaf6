"""Keys in their order, which is that of their bytes."""

from __future__ import annotations

import sys

_SURROGATES = range(0xD800, 0xE000)


def next_letter(letter: str) -> str:
    """The character after this one; the last one stays itself."""
    code = ord(letter) + 1
    if code in _SURROGATES:  # no characters of UTF-8
        code = _SURROGATES.stop
    return chr(min(code, sys.maxunicode))


def beyond(prefix: str) -> str | None:
    """The first string after all that start with `prefix`; None where there is none."""
    stem = prefix.rstrip(chr(sys.maxunicode))
    return stem[:-1] + next_letter(stem[-1]) if stem else None


def can_be_key(text: str) -> bool:
    """No key, nor anything else in UTF-8, holds half a surrogate pair."""
    return not any(ord(letter) in _SURROGATES for letter in text)
