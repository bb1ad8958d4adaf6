"""Changes at a source: what stores say of them, and where a task hears it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults

_LONGEST_SEQUENCER = 64
_FIELD = "events"
_AWS_HOST = re.compile(r"(?:sqs|queue)\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


class EventKind(StrEnum):
    CREATED = "created"
    REMOVED = "removed"


class ObjectEvent(NamedTuple):
    """One change of one object.

    Attributes:
        sequencer: orders the events of one key by `order`; "" where the store gives none.
        at: when it happened, by the store's clock; None where it does not say.
        version_id: "" where the bucket has no versions.
        marker: a delete marker was made, and the object's versions are still there.
    """

    bucket: str
    key: str
    kind: EventKind
    sequencer: str = ""
    at: datetime | None = None
    size: int | None = None
    etag: str = ""
    version_id: str = ""
    marker: bool = False

    @property
    def order(self) -> str:
        """Greater for a later event of the same key: a shorter sequencer is followed by zeros. ""
        where there is none."""
        return self.sequencer.upper().ljust(_LONGEST_SEQUENCER, "0") if self.sequencer else ""

    def supersedes(self, other: ObjectEvent) -> bool:
        """Whether this one, which came after `other` of the same key, is later too: by sequencer,
        else by time."""
        if self.order and other.order:
            return self.order >= other.order
        return self.at is None or other.at is None or self.at >= other.at


def latest_of_each(events: Iterable[ObjectEvent]) -> list[ObjectEvent]:
    """Of each key of each bucket the latest event, in the order in which keys came first."""
    latest: dict[tuple[str, str], ObjectEvent] = {}
    for event in events:
        place = event.bucket, event.key
        known = latest.get(place)
        if known is None or event.supersedes(known):
            latest[place] = event
    return list(latest.values())


class Waiting(NamedTuple):
    """A key that an inbox has an event of.

    Attributes:
        mark: another one after each further event of the key.
        kind: of the latest event.
        since: when the first event that waits happened, as far as the store says; never later than
            it came in.
    """

    key: str
    mark: int
    kind: EventKind
    since: datetime


class SourceKind(StrEnum):
    SQS = "sqs"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """Where a task hears of changes at its source. Holds no secret.

    Attributes:
        queue_url: of an SQS queue.
        region: of the queue.
        endpoint: reaches SQS instead of the URL's own host; "" for that.
        credential: the name of a stored one: keys for the queue ("": this machine's own), or the
            token that a webhook's sender has.
    """

    kind: SourceKind
    queue_url: str = ""
    region: str = ""
    endpoint: str = ""
    credential: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Raises InputError, naming each field."""
        known = {"kind", "queue_url", "region", "endpoint", "credential"}
        given = {name: value for name, value in values.items() if value not in (None, "")}
        faults = [
            InputError(f"{_FIELD}.{name[:64]}", "is no such field")
            for name in sorted(given.keys() - known)
        ]
        faults += [
            InputError(f"{_FIELD}.{name}", "is no text")
            for name in sorted(given.keys() & known)
            if not isinstance(given[name], str)
        ]
        if given.get("kind") not in [*SourceKind]:
            faults.append(InputError(f"{_FIELD}.kind", f"write {' or '.join(SourceKind)}"))
        raise_faults(faults)
        kind = SourceKind(given.pop("kind"))
        source = cls(kind=kind, **given)
        raise_faults(source._faults())
        return source

    def to_json(self) -> dict[str, str]:
        values = {
            "kind": self.kind.value,
            "queue_url": self.queue_url,
            "region": self.region,
            "endpoint": self.endpoint,
            "credential": self.credential,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def queue_region(self) -> str:
        """The region given, or the one that the queue's URL names."""
        found = _AWS_HOST.fullmatch(urlsplit(self.queue_url).hostname or "")
        return self.region or (found[1] if found else "us-east-1")

    @property
    def queue_name(self) -> str:
        return self.queue_url.rpartition("/")[2]

    def _faults(self) -> Iterator[InputError]:
        if self.kind is SourceKind.WEBHOOK:
            for name in ("queue_url", "region", "endpoint"):
                if getattr(self, name):
                    yield InputError(f"{_FIELD}.{name}", "a webhook has none")
            if not self.credential:
                yield InputError(
                    f"{_FIELD}.credential", "name the stored token that the sender has"
                )
            return
        if not _is_url(self.queue_url) or not self.queue_name:
            yield InputError(
                f"{_FIELD}.queue_url",
                "write the queue's URL, such as https://sqs.eu-west-1.amazonaws.com/111122223333/q",
            )
        if self.endpoint and not _is_url(self.endpoint):
            yield InputError(f"{_FIELD}.endpoint", "is no http:// or https:// URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStatus:
    """Attributes:
    source: None where the task hears of no changes.
    waiting: keys with events that are not handled yet.
    since: when the oldest of these changed; None where none waits.
    """

    source: EventSource | None
    waiting: int
    since: datetime | None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        )
    except ValueError:
        return False
