"""Which keys a server holds exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_KEY_BYTES = 1_024

_FILE_NAME_BYTES = 255  # the longest name of nearly all file systems


class Markers(StrEnum):
    """What becomes of a key that ends with a slash."""

    OBJECTS = "objects"  # it is a key like any other
    EMPTY = "empty"  # it is a folder, which has no bytes
    REFUSED = "refused"  # the slash is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """The keys that a server would refuse or, worse, take for another one.

    Attributes:
        characters: none of these.
        empty_segments: `a//b` and `/a` are keys.
        dot_segments: `a/./b` and `../a` are keys.
        segment_bytes: longest name between slashes; 0: as long as the key.
    """

    characters: str = ""
    empty_segments: bool = True
    dot_segments: bool = True
    segment_bytes: int = 0
    markers: Markers = Markers.OBJECTS

    def fault(self, key: str, *, has_body: bool) -> str:
        """Why the server cannot hold the key, as half a sentence; "" where it can."""
        for character in self.characters:
            if character in key:
                return f"the store would change the character {character!r}"
        segments = key.split("/")
        if not self.empty_segments and not all(segments[:-1]):
            return "the store would drop its empty segments"
        if not self.dot_segments and not _DOTS.isdisjoint(segments):
            return "the store knows no segments '.' and '..'"
        if self.segment_bytes and any(_exceeds(name, self.segment_bytes) for name in segments):
            return f"a name between slashes has no more than {self.segment_bytes} bytes"
        if key.endswith("/"):
            return self._marker_fault(has_body=has_body)
        return ""

    def _marker_fault(self, *, has_body: bool) -> str:
        if self.markers is Markers.REFUSED:
            return "the store would drop the slash at its end"
        if self.markers is Markers.EMPTY and has_body:
            return "what ends with a slash is a folder there, and holds no bytes"
        return ""


ANY_KEY = KeyRules()
FOLDERS = KeyRules(
    characters="\\\0",
    empty_segments=False,
    dot_segments=False,
    segment_bytes=_FILE_NAME_BYTES,
    markers=Markers.EMPTY,
)
"""SeaweedFS 4, found by trial: it takes `\\` for `/`, and drops empty segments."""
PATHS = KeyRules(
    characters="\0",
    empty_segments=False,
    dot_segments=False,
    segment_bytes=_FILE_NAME_BYTES,
    markers=Markers.REFUSED,
)
"""Servers that keep objects as files, such as `rclone serve s3`."""

_DOTS = frozenset({".", ".."})
# An empty segment, a dot segment, a control character, a backslash.
_ODD = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)|[\x00-\x1f\x7f\\]")
_LONG = re.compile(rf"[^/]{{{_FILE_NAME_BYTES // 4 + 1}}}")  # a character has up to 4 bytes


def is_unusual(key: str) -> bool:
    """Whether some servers refuse or change such keys."""
    if _ODD.search(key):
        return True
    return bool(_LONG.search(key)) and any(
        _exceeds(name, _FILE_NAME_BYTES) for name in key.split("/")
    )


def has_dot_segment(path: str) -> bool:
    """Whether a URL parser would change the path."""
    return "/." in path and not _DOTS.isdisjoint(path.split("/"))


def _exceeds(name: str, limit: int) -> bool:
    return len(name) > limit or len(name.encode("utf-8", "surrogatepass")) > limit
