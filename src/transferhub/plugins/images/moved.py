"""What was done for the blobs of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Count and bytes of blobs that were uploaded, taken over from another repository of the
    destination, and there already."""

    sent: int = 0
    sent_bytes: int = 0
    mounted: int = 0
    mounted_bytes: int = 0
    present: int = 0
    present_bytes: int = 0

    def __add__(self, other: Self) -> Moved:
        return Moved(
            sent=self.sent + other.sent,
            sent_bytes=self.sent_bytes + other.sent_bytes,
            mounted=self.mounted + other.mounted,
            mounted_bytes=self.mounted_bytes + other.mounted_bytes,
            present=self.present + other.present,
            present_bytes=self.present_bytes + other.present_bytes,
        )

    def __str__(self) -> str:
        """For people; "" for no blobs."""
        if not self.sent + self.mounted + self.present:
            return ""
        return (
            f"blobs: {self.sent} sent ({self.sent_bytes} bytes), {self.mounted} mounted"
            f" ({self.mounted_bytes} bytes), {self.present} were there"
            f" ({self.present_bytes} bytes)"
        )
