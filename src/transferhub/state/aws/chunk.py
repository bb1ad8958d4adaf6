"""`Chunk`: some consecutive parts of a transfer, in one row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transferhub.aws.attributes import Item
from transferhub.model.transfer import Part
from transferhub.state.aws.group import AT_ONCE, due_key, pack, unpack

PARTS_IN_CHUNK = 16
"""So that a row stays under 1 KB: its end costs one write unit, doubled as it is one of several
changes that hold together."""


@dataclass(slots=True)
class PartEntry:
    part: Part
    attempts: int = 0
    due: int = AT_ONCE
    token: str = ""
    worker: str = ""

    def may_start(self, now: int) -> bool:
        return not self.part.etag and self.due <= now

    def wait(self, due: int) -> None:
        self.token, self.worker, self.due = "", "", due


@dataclass(slots=True)
class Chunk:
    """Attributes:
    key: of the transfer.
    generation: names the parts that were made together; see `Entry.generation`.
    number: from 0.
    version: that was read; 0 of a new one.
    """

    key: str
    generation: str
    number: int
    version: int
    parts: list[PartEntry]
    is_changed: bool = False

    @property
    def sort_key(self) -> bytes:
        return chunk_key(self.generation, self.number)

    def find(self, number: int) -> PartEntry | None:
        return next((entry for entry in self.parts if entry.part.number == number), None)

    def startable(self, now: int) -> Iterator[PartEntry]:
        return (entry for entry in self.parts if entry.may_start(now))

    def item(self, epoch: str, expires: int) -> Item:
        """The row, of the next version."""
        rows = [
            [
                *entry.part[:4],
                int(entry.part.proven),
                entry.attempts,
                entry.due,
                entry.token,
                entry.worker,
            ]
            for entry in self.parts
        ]
        item: Item = {
            "pk": parts_of(epoch),
            "sk": self.sort_key,
            "transfer": self.key,
            "generation": self.generation,
            "number": self.number,
            "version": self.version + 1,
            "parts": pack(rows),
            "expires": expires,
        }
        dues = [entry.due for entry in self.parts if not entry.part.etag]
        if dues:
            item |= {"due_of": parts_of(epoch), "due": due_key(min(dues))}
        return item

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Chunk:
        entries = []
        for number, offset, size, etag, proven, *rest in unpack(item["parts"]):
            part = Part(number, offset, size, etag, proven=bool(proven))
            entries.append(PartEntry(part, *rest))
        return cls(
            key=item["transfer"],
            generation=item["generation"],
            number=item["number"],
            version=item["version"],
            parts=entries,
        )


def chunks_of(key: str, generation: str, parts: Sequence[Part]) -> list[Chunk]:
    """New rows for all parts of a transfer."""
    return [
        Chunk(
            key,
            generation,
            start // PARTS_IN_CHUNK,
            0,
            [PartEntry(part) for part in parts[start : start + PARTS_IN_CHUNK]],
        )
        for start in range(0, len(parts), PARTS_IN_CHUNK)
    ]


def parts_of(epoch: str) -> str:
    """The partition of an epoch's parts."""
    return f"{epoch}|parts"


def chunk_key(generation: str, number: int) -> bytes:
    return generation.encode() + number.to_bytes(4, "big")
