"""What a registry wants to be shown: the header WWW-Authenticate (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BEGIN = re.compile(r"[\s,]*([A-Za-z][\w-]*)(?=\s*,|\s*$|\s+[A-Za-z])(?!\s*=)\s*")
_PARAMETER = re.compile(r'[\s,]*([A-Za-z_][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Attributes:
    scheme: in small letters.
    realm: of Bearer, where tokens are given.
    scope: what the token must allow, entries with spaces between them.
    error: such as insufficient_scope.
    """

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""
    error: str = ""


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """All of them, in the registry's order."""
    found: list[Challenge] = []
    at, scheme = 0, ""
    parameters: dict[str, str] = {}
    while at < len(header):
        if match := _PARAMETER.match(header, at):
            value = match[2] if match[2] is not None else match[3]
            parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", value)
        elif match := _BEGIN.match(header, at):
            if scheme:
                found.append(_challenge(scheme, parameters))
            scheme, parameters = match[1].lower(), {}
        else:
            break
        at = match.end()
    if scheme:
        found.append(_challenge(scheme, parameters))
    return tuple(found)


def best_challenge(header: str) -> Challenge | None:
    """The one to answer: a token comes before a password; None where neither would do."""
    known = [one for one in read_challenges(header) if one.scheme in {"bearer", "basic"}]
    return min(known, key=lambda one: one.scheme == "basic", default=None)


def _challenge(scheme: str, parameters: Mapping[str, str]) -> Challenge:
    return Challenge(
        scheme=scheme,
        realm=parameters.get("realm", ""),
        service=parameters.get("service", ""),
        scope=parameters.get("scope", ""),
        error=parameters.get("error", ""),
    )
