"""Output whose reader may leave early, as `head` does."""

from __future__ import annotations

import os
from typing import TextIO


class Stream:
    """A text stream that drops what nobody reads any more instead of raising.

    A run must not die because its progress was piped into something that ended.
    """

    def __init__(self, raw: TextIO) -> None:
        self._raw = raw
        self.abandoned = False

    @property
    def encoding(self) -> str:
        return self._raw.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._raw.isatty()

    def fileno(self) -> int:
        return self._raw.fileno()

    def write(self, text: str) -> int:
        if not self.abandoned:
            try:
                return self._raw.write(text)
            except OSError:
                self.abandon()
        return len(text)

    def flush(self) -> None:
        if not self.abandoned:
            try:
                self._raw.flush()
            except OSError:
                self.abandon()

    def line(self, text: str = "") -> None:
        self.write(text + "\n")
        self.flush()

    def lines(self, texts: list[str]) -> None:
        self.write("".join(f"{text}\n" for text in texts))
        self.flush()

    def abandon(self) -> None:
        """Drops all that follows, also what Python flushes at exit."""
        self.abandoned = True
        try:
            descriptor = self._raw.fileno()
        except (OSError, ValueError):
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def tolerant(raw: TextIO) -> Stream:
    """A stream that escapes what its encoding cannot hold: keys may be anything."""
    reconfigure = getattr(raw, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return Stream(raw)
