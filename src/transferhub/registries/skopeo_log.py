"""What skopeo tells while it copies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote

from transferhub.registries.manifest import Digest

LONGEST_LINE_BYTES = 65_536
_MOST_WORDS = 2_000
_ENTRY = re.compile(r'level=(\w+) msg=("(?:[^"\\]|\\.)*"?|\S+)')
_ESCAPE = re.compile(r"\\(.)")
_UPLOADED = re.compile(r"Upload of layer (\S+) complete")
_TRIED = re.compile(r"Trying to mount \S*[?&]mount=([^&\s]+)")
_NOT_MOUNTED = re.compile(r"Mounting (\S+) from \S+ to \S+ started an upload instead")
_SKIPPED = re.compile(r"Skipping blob (\S+) \(already present\)")
_WAITING = re.compile(r"Too many requests to .*: sleeping for ([0-9.]+) seconds")


@dataclass(slots=True)
class SkopeoLog:
    """What was told so far, of `skopeo --debug`; any of its lines can be missing.

    Attributes:
        uploaded: blobs that were sent.
        mounted: blobs that another repository of the destination had.
        present: blobs that were there.
        wait: how long a registry that was asked too often last had it wait.
        fatal: why it failed, or "".
        other: the end of what was no line of its log.
        begun: the line that has no end yet.
    """

    uploaded: set[Digest] = field(default_factory=set)
    mounted: set[Digest] = field(default_factory=set)
    present: set[Digest] = field(default_factory=set)
    wait: timedelta | None = None
    fatal: str = ""
    other: str = ""
    begun: bytes = b""
    _tried: set[Digest] = field(default_factory=set)

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes. The end of a line that is too long is left out."""
        *lines, begun = (self.begun + piece).split(b"\n")
        self.begun = begun[:LONGEST_LINE_BYTES]
        for line in lines:
            self._take(line[:LONGEST_LINE_BYTES].decode(errors="replace"))

    def end(self) -> None:
        """There are no more bytes."""
        self.feed(b"\n")

    def _take(self, line: str) -> None:
        entry = _ENTRY.search(line)
        if entry is None:
            self.other = f"{self.other}{line}\n"[-_MOST_WORDS:]
        elif entry[1] == "fatal":
            self.fatal = _plain(entry[2])
        elif entry[1] == "debug":
            self._note(_plain(entry[2]))

    def _note(self, words: str) -> None:
        if found := _UPLOADED.match(words):
            self.uploaded.add(Digest(found[1]))
        elif found := _TRIED.match(words):
            self._tried.add(Digest(unquote(found[1])))
        elif found := _NOT_MOUNTED.match(words):
            self._tried.discard(Digest(found[1]))
        elif found := _SKIPPED.match(words):
            self._skipped(Digest(found[1]))
        elif found := _WAITING.match(words):
            self.wait = timedelta(seconds=float(found[1]))

    def _skipped(self, digest: Digest) -> None:
        if digest in self._tried:
            self._tried.discard(digest)
            self.mounted.add(digest)
        elif digest not in self.mounted and digest not in self.uploaded:
            self.present.add(digest)


def _plain(quoted: str) -> str:
    """The words of a message as Go's logfmt quotes them."""
    if not quoted.startswith('"'):
        return quoted
    return _ESCAPE.sub(lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), quoted[1:-1])
