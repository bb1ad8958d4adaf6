"""`Expiry`: when DynamoDB may delete what nobody purged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import When
from transferhub.model.clock import Clock
from transferhub.state.aws.schema import EXPIRES

KEPT = timedelta(days=400)
"""Far beyond what a hub keeps of runs by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Attributes:
    keep: how long an item is kept after it was last written; None: until it is purged.
    """

    clock: Clock
    keep: timedelta | None

    def of_now(self) -> Item:
        """The attributes of an item that is written now."""
        if self.keep is None:
            return {}
        return {EXPIRES: int((self.clock() + self.keep).timestamp())}

    def alive(self) -> When:
        """A filter that leaves out what has expired."""
        return When(
            "(attribute_not_exists(#expires) OR #expires > :now)",
            {":now": int(self.clock().timestamp())},
            {"#expires": EXPIRES},
        )
