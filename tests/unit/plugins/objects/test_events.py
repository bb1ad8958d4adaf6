import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.event import EventKind, ObjectEvent, latest_of_each
from transferhub.plugins.objects.events import read_events

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
keys = st.text(min_size=1, max_size=20)


def s3_record(key: str, name: str = "ObjectCreated:Put", **thing: Any) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-11-24T12:00:00.000Z",
        "eventName": name,
        "s3": {"bucket": {"name": "bucket"}, "object": {"key": quote_plus(key), **thing}},
    }


def bridged(key: str, kind: str = "Object Created", **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.s3",
        "detail-type": kind,
        "time": "2026-11-24T12:00:00Z",
        "detail": {"bucket": {"name": "bucket"}, "object": {"key": key, "size": 5}, **detail},
    }


def read(document: Any) -> list[ObjectEvent]:
    return read_events(json.dumps(document))


def test_an_event_of_s3_is_read_whole() -> None:
    record = s3_record("a b+c", size=5, eTag="beef", versionId="v1", sequencer="0055AED6DCD9")
    assert read({"Records": [record]}) == [
        ObjectEvent("bucket", "a b+c", EventKind.CREATED, "0055AED6DCD9", AT, 5, "beef", "v1")
    ]


@given(keys)
def test_keys_are_exact_in_every_form(key: str) -> None:
    oss = {
        "eventName": "ObjectCreated:PutObject",
        "oss": {"bucket": {"name": "bucket"}, "object": {"key": key}},
    }
    try:
        key.encode()
    except UnicodeEncodeError:
        return
    for document in ({"Records": [s3_record(key)]}, bridged(key), {"events": [oss]}):
        (event,) = read(document)
        assert (event.bucket, event.key, event.kind) == ("bucket", key, EventKind.CREATED)


@pytest.mark.parametrize(
    ("name", "kind", "marker"),
    [
        ("ObjectCreated:CompleteMultipartUpload", EventKind.CREATED, False),
        ("s3:ObjectCreated:Copy", EventKind.CREATED, False),  # MinIO
        ("ObjectRemoved:Delete", EventKind.REMOVED, False),
        ("ObjectRemoved:DeleteMarkerCreated", EventKind.REMOVED, True),
        ("LifecycleExpiration:DeleteMarkerCreated", EventKind.REMOVED, True),
    ],
)
def test_kinds_of_events(name: str, kind: EventKind, marker: bool) -> None:
    (event,) = read({"Records": [s3_record("a", name)]})
    assert (event.kind, event.marker) == (kind, marker)


@pytest.mark.parametrize("kind", ["Delete Marker Created", "Permanently Deleted"])
def test_eventbridge_tells_markers_apart(kind: str) -> None:
    (event,) = read(bridged("a", "Object Deleted", **{"deletion-type": kind}))
    assert (event.kind, event.marker) == (EventKind.REMOVED, kind == "Delete Marker Created")


def test_what_does_not_change_an_object_is_passed_over() -> None:
    names = ["ObjectTagging:Put", "ObjectRestore:Post", "ReducedRedundancyLostObject"]
    assert read({"Records": [s3_record("a", name) for name in names]}) == []
    assert read(bridged("a", "Object Tags Added")) == []
    assert read({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}) == []


def test_a_notification_holds_a_message() -> None:
    message = json.dumps({"Records": [s3_record("a"), s3_record("b")]})
    found = read({"Type": "Notification", "Message": message})
    assert [event.key for event in found] == ["a", "b"]


def test_a_list_of_events_is_read_in_its_order() -> None:
    assert [event.key for event in read([bridged("b"), bridged("a")])] == ["b", "a"]


def filer_event(path: str, old: str = "", new: str = "", folder: str = "") -> dict[str, Any]:
    message = {
        **({"old_entry": {"name": old}} if old else {}),
        **({"new_entry": {"name": new}, "new_parent_path": folder} if new else {}),
    }
    return {"key": path, "event_type": "any", "message": message}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (filer_event("/buckets/b/x/é +", new="é +"), [("x/é +", EventKind.CREATED)]),
        (filer_event("/buckets/b/x/a", "a", "a", "/buckets/b/x"), [("x/a", EventKind.CREATED)]),
        (filer_event("/buckets/b/a", old="a"), [("a", EventKind.REMOVED)]),
        (
            filer_event("/buckets/b/a", "a", "c", "/buckets/b/y"),
            [("a", EventKind.REMOVED), ("y/c", EventKind.CREATED)],
        ),
        (filer_event("/buckets/b/.uploads/1/0001.part", new="0001.part"), []),
        (filer_event("/buckets/b", new="b"), []),
        (filer_event("/etc/b/x", new="x"), []),
    ],
)
def test_events_of_a_seaweedfs_filer(document: Any, found: list[tuple[str, EventKind]]) -> None:
    assert [(event.key, event.kind) for event in read(document)] == found
    assert {event.bucket for event in read(document)} <= {"b"}


def test_folders_of_a_filer_are_no_objects() -> None:
    folder = filer_event("/buckets/b/x", new="x")
    folder["message"]["new_entry"]["is_directory"] = True
    assert read(folder) == []


@pytest.mark.parametrize("coded", [True, False])
def test_message_service_wraps_what_oss_says(coded: bool) -> None:
    event = {
        "eventName": "ObjectCreated:PostObject",
        "oss": {"bucket": {"name": "bucket"}, "object": {"key": "a"}},
    }
    text = json.dumps({"events": [event]})
    message = b64encode(text.encode()).decode() if coded else text
    assert [event.key for event in read({"TopicName": "t", "Message": message})] == ["a"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"event_type": "create"},
        {"TopicName": "t", "Message": 5},
        [1],
        "text",
        None,
        {"Records": [{}]},
        {"Records": 1},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Records": [s3_record("a", sequencer=5)]},
        {"Records": [{**s3_record("a"), "eventTime": "noon"}]},
        {"Records": [{**s3_record("a"), "eventTime": "2026-11-24T12:00:00"}]},
        {"Type": "Notification", "Message": "{"},
    ],
)
def test_what_is_no_event_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="event"):
        read(document)


@pytest.mark.parametrize("body", ["", "{", b"\xff", "[" * 100_000])
def test_what_is_no_json_is_refused(body: str | bytes) -> None:
    with pytest.raises(InputError, match="no JSON"):
        read_events(body)


def event(sequencer: str, kind: EventKind = EventKind.CREATED) -> ObjectEvent:
    return ObjectEvent("bucket", "key", kind, sequencer)


def test_a_shorter_sequencer_is_followed_by_zeros() -> None:
    assert event("0A").supersedes(event("09FF"))
    assert event("0A00").supersedes(event("0A"))
    assert not event("09FF").supersedes(event("0a"))


@given(st.lists(st.text("0123456789abcdefABCDEF", min_size=1, max_size=32), min_size=1))
def test_the_greatest_sequencer_wins_whatever_comes_first(sequencers: list[str]) -> None:
    (last,) = latest_of_each(map(event, sequencers))
    assert last.order == max(event(each).order for each in sequencers)
    assert latest_of_each([last, last]) == [last]


def test_without_sequencers_the_last_to_come_wins() -> None:
    created, removed = event(""), event("", EventKind.REMOVED)
    assert latest_of_each([created, removed]) == [removed]
    assert latest_of_each([event("FF"), removed]) == [removed]


def test_without_sequencers_times_tell_what_is_later() -> None:
    now, before = (event("")._replace(at=at) for at in (AT, AT - timedelta(seconds=1)))
    assert latest_of_each([now, before]) == [now]
    assert latest_of_each([before, now]) == [now]


def test_keys_and_buckets_are_told_apart() -> None:
    events = [ObjectEvent(b, k, EventKind.CREATED) for b in "ab" for k in "cd"]
    assert latest_of_each(events * 2) == events
