"""Notices: what a hub tells people, the messages that carry them, and how messages fared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from transferhub.model.people import Credential, CredentialKind, Sealed
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId


class NoticeKind(StrEnum):
    """What happened. DEAD_LETTERS comes while a run still goes on, the others when it has ended."""

    RUN_FINISHED = "run_finished"
    RUN_FAILED = "run_failed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    DEAD_LETTERS = "dead_letters"
    GUARD_TRIPPED = "guard_tripped"
    EVENT_LAG = "event_lag"
    WORKER_LOST = "worker_lost"

    @property
    def wider(self) -> NoticeKind | None:
        """Who asked for this kind hears of it too: once, as what it is."""
        return _WIDER.get(self)


_WIDER = {
    NoticeKind.COMPLETED_WITH_FAILURES: NoticeKind.DEAD_LETTERS,
    NoticeKind.GUARD_TRIPPED: NoticeKind.RUN_FAILED,
}


class Language(StrEnum):
    EN = "en"
    ZH = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """How many objects failed with one error code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened.

    Attributes:
        ident: equal for what is the same; a notice of an id is told once.
        task: "" where it is about no task.
        task_name: also the host of a WORKER_LOST.
        task_kind: what the task moves; "" where that is not known any more.
        objects: copied, of whatever kind; bytes: moved; seconds: that the run took.
        failed: objects that failed for good.
        causes: of the failures, most first.
        keys: the first objects that failed.
        code, detail: why a run failed, as the run says it.
        lag: seconds that events are behind.
    """

    ident: str
    kind: NoticeKind
    at: datetime
    task: TaskId | str = ""
    task_name: str = ""
    task_kind: str = "objects"
    run: RunId | str = ""
    objects: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: int = 0
    causes: tuple[Cause, ...] = ()
    keys: tuple[str, ...] = ()
    code: str = ""
    detail: str = ""
    lag: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For `from_json`."""
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **document,
                "kind": NoticeKind(document["kind"]),
                "at": datetime.fromisoformat(document["at"]),
                "causes": tuple(Cause(**cause) for cause in document["causes"]),
                "keys": tuple(document["keys"]),
            }
        )


class MessageState(StrEnum):
    """OPEN takes in further notices until it is sent; SENDING is being sent, or waits to be sent
    again."""

    OPEN = "open"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given_up"


MOST_TOLD = 20
"""Notices that a message keeps whole; of further ones it only knows how many there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Notices of one kind about one task, for one channel.

    Attributes:
        ident: stays through all attempts, so that a receiver knows one that came twice.
        notices: the first MOST_TOLD of them, oldest first.
        count: of all of them.
        planned_at: when it was to be sent first.
        due_at: when it is to be sent, or again by another courier; None once nothing is to be done.
        attempts: begun; whoever settles one names it, and a later one fences it off.
        error: of the last attempt; "" where it went well.
        number: grows; 0 before it is kept.
    """

    ident: str
    channel: str
    kind: NoticeKind
    task: TaskId | str
    notices: tuple[Notice, ...]
    count: int
    created_at: datetime
    planned_at: datetime
    due_at: datetime | None
    state: MessageState = MessageState.OPEN
    attempts: int = 0
    error: str = ""
    ended_at: datetime | None = None
    number: int = 0


_SEALED_AS = "channel "
"""What is sealed of a channel has a name that no credential may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """A channel as it is kept.

    Attributes:
        document: its settings without secrets, as JSON values.
        version: counts its replacements, from 1.
        key_id: of the key that `box`, its secrets, is sealed with.
    """

    name: str
    document: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1
    key_id: str = ""
    box: str = field(default="", repr=False)

    @property
    def credential(self) -> Credential:
        """What the box is bound to."""
        return Credential(
            name=f"{_SEALED_AS}{self.name}",
            kind=CredentialKind.TOKEN,
            described="",
            created_at=self.created_at,
            updated_at=self.updated_at,
            version=self.version,
        )

    @property
    def sealed(self) -> Sealed:
        return Sealed(credential=self.credential, key_id=self.key_id, box=self.box)


def channel_of(sealed_name: str) -> str:
    """The channel whose sealed secrets have this name."""
    return sealed_name.removeprefix(_SEALED_AS)
