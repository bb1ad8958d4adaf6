r"""Globs over keys and names, read as .gitignore reads them.

- `*` matches any characters of one segment, `?` one of them, `[a-z]` and `[!a-z]` one of a set;
  none of them matches `/`. A backslash takes the character after it literally.
- A pattern without `/` matches the last segment of a key at any depth: `*.jpg`.
- A pattern with `/` is matched from the start of the key: `logs/*.gz`. A first `/` only says so:
  `/a` matches `a` and not `b/a`.
- `**` crosses segments: `logs/**` is everything below `logs/`, `**/tmp/*` is at any depth.
- A last `/` stands for everything below a folder: `tmp/` at any depth, `/tmp/` only at the top. A
  key that ends in a slash itself is meant by `\/` at the end.

Letters match by their case. A pattern matches the whole key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from transferhub.errors import InputError

_LAST_SLASH = re.compile(r"(?<!\\)(?:\\\\)*/\Z")
"""A slash at the end that no backslash takes literally."""

_TOKEN = re.compile(
    r"(?P<folders>(?:^|(?<=/))\*\*/)"
    r"|(?P<any>\*\*)"
    r"|(?P<star>\*)"
    r"|(?P<one>\?)"
    r"|\[(?P<set>[!^]?\]?[^\]]*)\]"
    r"|\\(?P<escaped>.)"
    r"|(?P<literal>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern as the source of a regular expression for `fullmatch` with DOTALL."""

    pattern: str
    expression: str

    @classmethod
    def parse(cls, pattern: str, *, field: str) -> Self:
        """Raises InputError where the pattern is empty or ends in the middle of something."""
        if pattern in ("", "/"):
            raise InputError(field, f"the glob {pattern!r} names nothing")
        body = f"{pattern}**" if _LAST_SLASH.search(pattern) else pattern
        anchored = "/" in pattern[:-1]
        try:
            expression = _expression(body.removeprefix("/"))
            re.compile(expression)
        except (ValueError, re.error) as error:
            raise InputError(field, f"the glob {pattern!r} cannot be read: {error}") from None
        return cls(pattern, expression if anchored else f"(?:.*/)?{expression}")


def compile_globs(patterns: Sequence[str], *, field: str) -> re.Pattern[str] | None:
    """One expression that fully matches what any of the patterns does; None for no patterns."""
    if not patterns:
        return None
    expressions = [Glob.parse(pattern, field=field).expression for pattern in patterns]
    return re.compile("|".join(f"(?:{expression})" for expression in expressions), re.DOTALL)


def _expression(pattern: str) -> str:
    parts = []
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "folders":
                parts.append("(?:.*/)?")
            case "any":
                parts.append(".*")
            case "star":
                parts.append("[^/]*")
            case "one":
                parts.append("[^/]")
            case "set":
                parts.append(_set(token["set"]))
            case "escaped":
                parts.append(re.escape(token["escaped"]))
            case _:
                parts.append(_literal(token["literal"]))
    return "".join(parts)


def _literal(letter: str) -> str:
    if letter == "[":
        raise ValueError("a [ is never closed; write \\[ for the character itself")
    if letter == "\\":
        raise ValueError("it ends in a backslash; write \\\\ for the character itself")
    return re.escape(letter)


def _set(content: str) -> str:
    negated = content[:1] in ("!", "^")
    letters = content[1:] if negated else content
    if not letters:
        raise ValueError("a set [] is empty")
    # What is special in a set of a regular expression and is not in one of a glob.
    escaped = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", letters)
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
