"""What stores say of changes to their objects, as events.

Sources: Amazon S3's "Event message structure" (2.x), "Using EventBridge" and "Ordering and
duplicate events"; MinIO's bucket notifications; Alibaba Cloud OSS's event notifications.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from transferhub.errors import InputError

_LONGEST_SEQUENCER = 64
_FIELD = "event"


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
        """Greater for a later event of the same key: a shorter sequencer is followed by zeros."""
        return self.sequencer.upper().ljust(_LONGEST_SEQUENCER, "0")

    def supersedes(self, other: ObjectEvent) -> bool:
        """Whether this one is later than `other`, of the same key. Without sequencers the one that
        came last is."""
        return not (self.sequencer and other.sequencer) or self.order >= other.order


def read_events(body: str | bytes) -> list[ObjectEvent]:
    """The events of a message, in its order; [] where it only tests the way.

    Takes S3's own form, which MinIO and many others use, also inside an SNS notification; an
    EventBridge event, or a list of them; and OSS's form. Other kinds of event are passed over.

    Raises:
        InputError: it is none of these.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError(_FIELD, "is no JSON document") from None
    try:
        return [event for event in _events(document) if event is not None]
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise InputError(_FIELD, f"is not as stores send events: {fault!r}") from None


def latest_of_each(events: Iterable[ObjectEvent]) -> list[ObjectEvent]:
    """Of each key of each bucket the latest event, in the order in which keys came first."""
    latest: dict[tuple[str, str], ObjectEvent] = {}
    for event in events:
        place = event.bucket, event.key
        known = latest.get(place)
        if known is None or event.supersedes(known):
            latest[place] = event
    return list(latest.values())


def _events(document: Any) -> Iterator[ObjectEvent | None]:  # noqa: ANN401 - the edge
    if isinstance(document, list):
        for each in document:
            yield from _events(each)
    elif document.get("Type") == "Notification":
        yield from read_events(document["Message"])
    elif document.get("Event") == "s3:TestEvent":
        return
    elif "Records" in document:
        yield from map(_of_s3, document["Records"])
    elif "events" in document:
        yield from map(_of_oss, document["events"])
    elif "detail-type" in document:
        yield _of_eventbridge(document)
    else:
        raise ValueError("no Records, events or detail-type")


def _of_s3(record: Mapping[str, Any]) -> ObjectEvent | None:
    name = record["eventName"].removeprefix("s3:")
    kind = _kind(name)
    if kind is None:
        return None
    bucket, thing = record["s3"]["bucket"], record["s3"]["object"]
    return ObjectEvent(
        bucket=_text(bucket["name"]),
        key=unquote_plus(thing["key"], errors="surrogateescape"),
        kind=kind,
        sequencer=_text(thing.get("sequencer", "")),
        at=_moment(record.get("eventTime", "")),
        size=thing.get("size"),
        etag=_text(thing.get("eTag", "")).strip('"'),
        version_id=_text(thing.get("versionId", "")),
        marker=name.endswith("DeleteMarkerCreated"),
    )


def _of_oss(record: Mapping[str, Any]) -> ObjectEvent | None:
    kind = _kind(record["eventName"])
    if kind is None:
        return None
    bucket, thing = record["oss"]["bucket"], record["oss"]["object"]
    return ObjectEvent(
        bucket=_text(bucket["name"]),
        key=_text(thing["key"]),
        kind=kind,
        at=_moment(record.get("eventTime", "")),
        size=thing.get("size"),
        etag=_text(thing.get("eTag", "")).strip('"'),
    )


def _of_eventbridge(event: Mapping[str, Any]) -> ObjectEvent | None:
    kind = {
        "Object Created": EventKind.CREATED,
        "Object Deleted": EventKind.REMOVED,
    }.get(event["detail-type"])
    if kind is None:
        return None
    detail = event["detail"]
    thing = detail["object"]
    return ObjectEvent(
        bucket=_text(detail["bucket"]["name"]),
        key=_text(thing["key"]),
        kind=kind,
        sequencer=_text(thing.get("sequencer", "")),
        at=_moment(event.get("time", "")),
        size=thing.get("size"),
        etag=_text(thing.get("etag", "")).strip('"'),
        version_id=_text(thing.get("version-id", "")),
        marker=detail.get("deletion-type") == "Delete Marker Created",
    )


def _kind(name: str) -> EventKind | None:
    """Of names such as "ObjectCreated:Put"; lifecycle expirations remove objects too."""
    family = name.partition(":")[0]
    if family == "ObjectCreated":
        return EventKind.CREATED
    removes = family in ("ObjectRemoved", "LifecycleExpiration")
    return EventKind.REMOVED if removes else None


def _text(value: Any) -> str:  # noqa: ANN401 - the edge
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment
