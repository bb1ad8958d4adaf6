"""The tables and queues of a state on AWS: what `dth aws create-state` and deployments create.

Names of resources are the state's name, a hyphen, and the name here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

EXPIRES = "expires"
"""The attribute with the second (of 1970) at which DynamoDB may delete an item. It may take days:
readers leave out what has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSchema:
    """A global secondary index; its keys are strings unless they are listed as binary."""

    name: str
    partition: str
    sort: str
    keys_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """Its keys are `pk`, a string, and `sk`.

    Attributes:
        binary: the attributes among all keys that are binary; the others are strings.
    """

    name: str
    binary: frozenset[str] = frozenset()
    indexes: tuple[IndexSchema, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSchema:
    """Attributes:
    visibility: how long a message is hidden from others where its receiver says nothing.
    dead: the queue for messages that were received too often, and how often that is.
    """

    name: str
    visibility: timedelta = timedelta(minutes=15)
    retention: timedelta = timedelta(days=14)
    dead: str = ""
    receives: int = 0


DUE = IndexSchema(name="due", partition="due_of", sort="due", keys_only=True)
"""Of the ledger: groups that have work by when it may start, and dead letters by their code."""

LEDGER = TableSchema(name="ledger", binary=frozenset({"sk", "due"}), indexes=(DUE,))

BY1 = IndexSchema(name="by1", partition="by1", sort="at1")
"""Of the hub's table, sparse: items without the attributes are not in it. It lags: what is found
there is decided by the item itself."""

HUB = TableSchema(name="hub", indexes=(BY1,))
"""What a hub keeps but for its transfers. The part of `pk` up to its first # names the kind."""

TABLES = (LEDGER, HUB)

DEAD = QueueSchema(name="dead")
WORK = QueueSchema(name="work", dead=DEAD.name, receives=5)

QUEUES = (DEAD, WORK)
"""In the order of their creation."""
