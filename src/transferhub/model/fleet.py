"""The processes of a hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from transferhub.model.transfer import RunId


class MemberKind(StrEnum):
    SERVER = "server"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a process carries."""

    runs: tuple[RunId, ...] = ()
    leases: int = 0
    objects_per_second: float = 0.0
    bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A server or worker process.

    Attributes:
        ident: of this process alone: never given again, not even after a restart.
        version: of the program.
        seen_at: its last sign of life.
        draining: it was asked to finish what it carries and take nothing new.
    """

    ident: str
    host: str
    pid: int
    version: str
    kind: MemberKind
    started_at: datetime
    seen_at: datetime
    draining: bool = False
    load: Load = field(default_factory=Load)
