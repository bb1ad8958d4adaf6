"""Platforms that an index has images for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from transferhub.errors import InputError
from transferhub.registries.manifest import Descriptor, Platform

_WORD = re.compile(r"[a-z0-9_.-]+", re.ASCII)
_PARTS = (2, 3)
_ALIASES: Mapping[str, tuple[str, str]] = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
_DEFAULT_VARIANTS: Mapping[str, str] = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


def parse_platform(text: str, *, field: str) -> Platform:
    """A platform such as linux/arm64/v8; without a variant, any will do.

    Raises:
        InputError: one sentence, with what to write.
    """
    parts = text.lower().split("/")
    if len(parts) not in _PARTS or not all(_WORD.fullmatch(part) for part in parts):
        raise InputError(
            field, f"{text[:80]!r} is no platform; write one such as linux/amd64 or linux/arm/v7"
        )
    architecture, variant = _ALIASES.get(parts[1], (parts[1], ""))
    if len(parts) == max(_PARTS):
        variant = parts[2]
    return Platform(os=parts[0], architecture=architecture, variant=variant)


def choose(wanted: Platform, members: Iterable[Descriptor]) -> Descriptor | None:
    """An index's image for a platform: the first with the very variant, else with the usual one of
    its architecture, else, where `wanted` names no variant, the first with any."""
    fitting = [
        (_distance(wanted, member.platform), member)
        for member in members
        if member.platform is not None and _fits(wanted, member.platform)
    ]
    return min(fitting, key=lambda found: found[0])[1] if fitting else None


def _fits(wanted: Platform, given: Platform) -> bool:
    if (wanted.os, wanted.architecture) != (given.os, given.architecture):
        return False
    return not wanted.variant or _variant(wanted) == _variant(given)


def _distance(wanted: Platform, given: Platform) -> int:
    if wanted.variant == given.variant:
        return 0
    return 1 if _variant(wanted) == _variant(given) else 2


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULT_VARIANTS.get(platform.architecture, "")
