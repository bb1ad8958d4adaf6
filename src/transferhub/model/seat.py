"""Who may act where only one may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A named lease.

    Attributes:
        number: greater than every former holder's, so that what is written with it tells the
            present holder from a former one.
    """

    name: str
    holder: str
    number: int
    until: datetime
