"""Semantic versions in tags, and ranges of them.

A tag is a version where it reads `1.2.3`, `v1.2.3`, `1.2` or `1` (what is missing is 0), with a
pre-release after `-` and, as a tag has no `+`, build metadata after `_`.

A range is alternatives parted by `||`, each of comparators parted by blanks or commas that must all
hold: `=`, `!=`, `>`, `>=`, `<`, `<=`, `~1.2` (1.2.x), `^1.2` (below 2), `1.2.x`, `1.2 - 1.4`, `*`.
Pre-releases are left out, unless the alternative names one: `>=1.2.0-0` takes those too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Self

from transferhub.errors import InputError

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_TAIL = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:[_+](?P<build>[0-9A-Za-z._-]+))?"
_VERSION = re.compile(
    rf"[vV]?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?(?:\.(?P<patch>{_NUMBER}))?{_TAIL}",
    re.ASCII,
)
_PART = rf"(?:{_NUMBER}|[xX*])"
_PATTERN = re.compile(
    rf"(?P<operator>~>|[<>!=~^]?=?)\s*[vV]?"
    rf"(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_TAIL}",
    re.ASCII,
)
_HYPHEN = re.compile(r"\s*(?P<low>\S+)\s+-\s+(?P<high>\S+)\s*")
_AFTER_OPERATOR = re.compile(r"(~>|[<>!=~^]=?|=)\s+")
_LOWEST = ("0",)
"""The pre-release that stands before all others."""

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": eq, "==": eq, "!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le,
}  # fmt: skip

Numbers = tuple[int, int, int]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """Ordered as semver.org says; build metadata is no part of it."""

    numbers: Numbers
    prerelease: tuple[str, ...] = ()

    @classmethod
    def of_tag(cls, tag: str) -> Self | None:
        """None where the tag is no version."""
        match = _VERSION.fullmatch(tag)
        if match is None:
            return None
        numbers = (int(match["major"]), int(match["minor"] or 0), int(match["patch"] or 0))
        return cls(numbers, tuple(match["pre"].split(".")) if match["pre"] else ())

    @property
    def rank(self) -> tuple[object, ...]:
        """Orders versions."""
        pre = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in self.prerelease)
        return (self.numbers, not pre, pre)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.rank == other.rank

    def __lt__(self, other: Version) -> bool:
        return self.rank < other.rank

    def __hash__(self) -> int:
        return hash(self.rank)


_Comparator = tuple[str, Version]


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Made by `parse`."""

    text: str
    alternatives: tuple[tuple[tuple[_Comparator, ...], bool], ...]
    """The comparators of each, and whether it takes pre-releases."""

    @classmethod
    def parse(cls, text: str, *, field: str) -> Self:
        """Raises InputError: one sentence, with what to write."""
        alternatives = [_alternative(part, text, field) for part in text.split("||")]
        return cls(text, tuple(alternatives))

    def holds(self, tag: str) -> bool:
        """Whether the tag is a version in the range."""
        version = Version.of_tag(tag)
        return version is not None and any(
            (takes_prereleases or not version.prerelease)
            and all(_OPERATORS[operator](version, bound) for operator, bound in comparators)
            for comparators, takes_prereleases in self.alternatives
        )


def tag_rank(tag: str) -> tuple[object, ...]:
    """Orders tags: those that are no version, by letter, then versions."""
    version = Version.of_tag(tag)
    return (0, (), tag) if version is None else (1, version.rank, tag)


def _alternative(part: str, text: str, field: str) -> tuple[tuple[_Comparator, ...], bool]:
    hyphen = _HYPHEN.fullmatch(part)
    words = (
        [f">={hyphen['low']}", f"<={hyphen['high']}"]
        if hyphen
        else _AFTER_OPERATOR.sub(r"\1", part).replace(",", " ").split()
    )
    comparators: list[_Comparator] = []
    named = False
    for word in words:
        match = _PATTERN.fullmatch(word)
        if match is None:
            raise _fault(text, field)
        named = named or match["pre"] is not None
        comparators += _comparators(match, text, field)
    if not words:
        raise _fault(text, field)
    return tuple(comparators), named


def _comparators(match: re.Match[str], text: str, field: str) -> Iterator[_Comparator]:
    operator = match["operator"] or "="
    given = _given(match)
    low = Version(_filled(given), tuple(match["pre"].split(".")) if match["pre"] else ())
    partial = len(given) < len(low.numbers)
    if partial and match["pre"]:
        raise _fault(text, field)
    if operator in _KEPT or (partial and operator in ("=", "==")):
        kept = given[: _KEPT.get(operator, len)(given)]
        yield from _between(low, _next(kept))
    elif not partial and operator in _OPERATORS:
        yield operator, low
    else:
        high = _next(given)
        if high is None or operator not in _OF_PARTIAL:
            raise _fault(text, field)
        yield _OF_PARTIAL[operator], low if operator in (">=", "<") else Version(high, _LOWEST)


def _given(match: re.Match[str]) -> tuple[int, ...]:
    """The numbers before the first one that is missing or any."""
    numbers: list[int] = []
    for name in ("major", "minor", "patch"):
        part = match[name]
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    return tuple(numbers)


def _filled(given: Sequence[int]) -> Numbers:
    major, minor, patch = (*given, 0, 0, 0)[:3]
    return major, minor, patch


def _caret_length(given: Sequence[int]) -> int:
    """How many numbers stay: all up to the first that is not 0."""
    return next((at + 1 for at, number in enumerate(given) if number), len(given))


_KEPT: Mapping[str, Callable[[Sequence[int]], int]] = {
    "~": lambda _: 2,
    "~>": lambda _: 2,
    "^": _caret_length,
}
"""How many numbers stay as they are."""

_OF_PARTIAL: Mapping[str, str] = {">": ">=", ">=": ">=", "<": "<", "<=": "<"}
"""How 1.2 is compared with: above 1.2 is what is above all of 1.2.x."""


def _next(given: Sequence[int]) -> Numbers | None:
    """The first version after all that start so; None where all do."""
    return _filled([*given[:-1], given[-1] + 1]) if given else None


def _between(low: Version, high: Numbers | None) -> Iterator[_Comparator]:
    yield ">=", low
    if high is not None:
        yield "<", Version(high, _LOWEST)


def _fault(text: str, field: str) -> InputError:
    return InputError(
        field, f"{text[:80]!r} is no range of versions; write one such as >=1.2 <2, ^1.4 or 1.x"
    )
