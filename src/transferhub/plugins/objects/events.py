"""What stores say of changes to their objects, as events.

Sources: Amazon S3's "Event message structure" (2.x), "Using EventBridge" and "Ordering and
duplicate events"; MinIO's bucket notifications; Alibaba Cloud OSS's event notifications, and
Message Service's HTTP push; SeaweedFS's filer webhook, as its weed/notification/webhook sends it.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from transferhub.errors import InputError
from transferhub.model.event import EventKind, ObjectEvent

_FIELD = "event"
_BUCKETS, _UPLOADS = "/buckets/", ".uploads/"


def read_events(body: str | bytes) -> list[ObjectEvent]:
    """The events of a message, in its order; [] where it only tests the way.

    Takes S3's own form, which MinIO and many others use, also inside an SNS notification; an
    EventBridge event, or a list of them; OSS's form, also inside a Message Service notification;
    and that of SeaweedFS's filer. Other kinds of event are passed over.

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


def _events(document: Any) -> Iterator[ObjectEvent | None]:  # noqa: ANN401 - the edge
    if isinstance(document, list):
        for each in document:
            yield from _events(each)
    elif document.get("Type") == "Notification":
        yield from read_events(document["Message"])
    elif "TopicName" in document:
        yield from read_events(_mns_message(document["Message"]))
    elif document.get("Event") == "s3:TestEvent":
        return
    elif "Records" in document:
        yield from map(_of_s3, document["Records"])
    elif "events" in document:
        yield from map(_of_oss, document["events"])
    elif "detail-type" in document:
        yield _of_eventbridge(document)
    elif "event_type" in document:
        yield from _of_filer(document)
    else:
        raise ValueError("no Records, events, detail-type or event_type")


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


def _mns_message(message: str) -> bytes:
    """Message Service wraps what OSS says in Base64, or leaves it as it is."""
    try:
        return b64decode(message, validate=True)
    except binascii.Error:
        return message.encode()


def _of_filer(document: Mapping[str, Any]) -> Iterator[ObjectEvent]:
    """A filer tells of every path; buckets are folders in /buckets. A rename is two events."""
    message = document["message"]
    old, new = message.get("old_entry"), message.get("new_entry")
    if (new or old or {}).get("is_directory"):
        return
    path, folder = _text(document["key"]), message.get("new_parent_path", "")
    if new is None:
        yield from _at_path(path, EventKind.REMOVED)
    elif old is not None and folder and (moved := f"{folder}/{_text(new['name'])}") != path:
        yield from _at_path(path, EventKind.REMOVED)
        yield from _at_path(moved, EventKind.CREATED)
    else:
        yield from _at_path(path, EventKind.CREATED)


def _at_path(path: str, kind: EventKind) -> Iterator[ObjectEvent]:
    bucket, slash, key = path.removeprefix(_BUCKETS).partition("/")
    # Parts of uploads lie there until they are one object.
    if path.startswith(_BUCKETS) and slash and not key.startswith(_UPLOADS):
        yield ObjectEvent(bucket, key, kind)


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
