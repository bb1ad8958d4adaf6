"""What people say of where a task hears of changes."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.control.event_desk import BLOCKED, SQS, SourceDesk
from tests.unit.control.hub_desk import ADMIN, OPERATOR, VIEWER
from transferhub.errors import AccessError, InputError
from transferhub.model.event import EventSource, SourceKind
from transferhub.model.faults import flatten
from transferhub.model.people import CredentialKind, Role
from transferhub.model.run import Task
from transferhub.plugins.objects.notifications import Arrangement
from transferhub.plugins.objects.spec import ObjectsSpec

KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "very secret"}


@pytest.fixture
def desk() -> SourceDesk:
    return SourceDesk()


async def test_a_task_is_told_where_it_hears_of_changes(desk: SourceDesk) -> None:
    task = await desk.task()
    changed = await desk.events.set_source(OPERATOR, task.ident, {**SQS, "endpoint": ""})
    assert (changed.events, changed.version) == (SQS, 2)
    status = await desk.events.status(VIEWER, task.ident)
    assert (status.source, status.waiting, status.since) == (EventSource.from_json(SQS), 0, None)
    await desk.tell(task)
    status = await desk.events.status(VIEWER, task.ident)
    assert (status.waiting, status.since) == (1, desk.now)


async def test_a_task_that_hears_of_no_changes_any_more_forgets_those_that_wait(
    desk: SourceDesk,
) -> None:
    task = await desk.following()
    await desk.tell(task)
    changed = await desk.events.set_source(OPERATOR, task.ident, {})
    assert (changed.events, await desk.inbox.count(task.ident)) == ({}, 0)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"kind": "kafka"}, ["kind"]),
        ({"queue_url": "x"}, ["kind"]),
        ({"kind": "sqs"}, ["queue_url"]),
        ({"kind": "sqs", "queue_url": "ftp://host/q"}, ["queue_url"]),
        ({"kind": "sqs", "queue_url": "https://host/"}, ["queue_url"]),
        ({"kind": "sqs", "queue_url": "https://me:pw@host/q"}, ["queue_url"]),
        ({**SQS, "endpoint": "here"}, ["endpoint"]),
        ({**SQS, "colour": "blue", "region": 5}, ["colour", "region"]),
        ({"kind": "webhook"}, ["credential"]),
        ({"kind": "webhook", "queue_url": "x", "credential": "c"}, ["queue_url"]),
        ({**SQS, "credential": "none"}, ["credential"]),
        ({**SQS, "credential": "a-token"}, ["credential"]),
        ({"kind": "webhook", "credential": "keys"}, ["credential"]),
        ({"kind": "sqs", "queue_url": BLOCKED}, ["queue_url"]),
        ({**SQS, "endpoint": BLOCKED}, ["endpoint"]),
    ],
)
async def test_a_bad_source_is_refused_and_its_fields_are_named(
    desk: SourceDesk, values: dict[str, Any], fields: list[str]
) -> None:
    await desk.credentials.put(ADMIN, "keys", CredentialKind.KEYS, KEYS)
    await desk.credentials.put(ADMIN, "a-token", CredentialKind.TOKEN, {"token": "t"})
    task = await desk.task()
    with pytest.raises(InputError) as caught:
        await desk.events.set_source(OPERATOR, task.ident, values)
    assert [fault.field for fault in flatten([caught.value])] == [f"events.{at}" for at in fields]
    assert await desk.store.get_task(task.ident) == task


async def test_stored_keys_may_read_a_queue(desk: SourceDesk) -> None:
    await desk.credentials.put(ADMIN, "keys", CredentialKind.KEYS, KEYS)
    task = await desk.task()
    source = {**SQS, "credential": "keys", "region": "eu-central-1"}
    assert (await desk.events.set_source(OPERATOR, task.ident, source)).events == source


@pytest.mark.parametrize(
    "given",
    [
        {"spec": {"source": "file:///srv/in", "destination": "s3://copies/"}},
        {"spec": {"source": "s3://a/", "destination": "s3://b/", "manifest": "file:///keys"}},
        {"kind": "images"},
    ],
)
async def test_only_buckets_tell_of_changes(desk: SourceDesk, given: dict[str, Any]) -> None:
    task = await desk.task(**given)
    with pytest.raises(InputError, match="events"):
        await desk.events.set_source(OPERATOR, task.ident, SQS)
    with pytest.raises(InputError, match="events"):
        await desk.events.new_token(ADMIN, task.ident)


async def test_a_webhook_s_token_is_told_once_and_kept_nowhere_in_the_open(
    desk: SourceDesk,
) -> None:
    task, token = await desk.events.new_token(ADMIN, (await desk.task()).ident)
    assert task.events == {"kind": "webhook", "credential": f"events-{task.ident}"}
    assert (await desk.credentials.open(f"events-{task.ident}")).fields == {"token": token}
    kept = json.dumps([str(entry) for entry in await desk.audit()]) + str(task)
    assert token not in kept
    _, second = await desk.events.new_token(ADMIN, task.ident)
    assert second != token
    assert (await desk.credentials.open(f"events-{task.ident}")).fields == {"token": second}


async def test_notifications_are_set_up_and_taken_down(desk: SourceDesk) -> None:
    task = await desk.following()
    arrangement = await desk.events.set_up(OPERATOR, task.ident)
    assert desk.notifier.there == {arrangement.ident: arrangement}
    assert await desk.events.take_down(OPERATOR, task.ident)
    assert not await desk.events.take_down(OPERATOR, task.ident)
    actions = [entry.action for entry in await desk.audit()]
    assert actions[:2] == ["task.events.remove", "task.events.add"]


async def test_what_has_no_queue_is_set_up_by_its_people(desk: SourceDesk) -> None:
    task, _ = await desk.events.new_token(ADMIN, (await desk.task()).ident)
    for verb in (desk.events.set_up, desk.events.take_down):
        with pytest.raises(InputError, match="queue"):
            await verb(OPERATOR, task.ident)
    with pytest.raises(InputError, match="hears of no changes"):
        await desk.events.arrangement(VIEWER, (await desk.task()).ident, hub_url="")


Verb = Callable[[SourceDesk, Any, Task], Awaitable[object]]
VERBS: list[tuple[Role, Verb]] = [
    (Role.VIEWER, lambda desk, who, task: desk.events.status(who, task.ident)),
    (Role.VIEWER, lambda desk, who, task: desk.events.arrangement(who, task.ident, hub_url="")),
    (Role.OPERATOR, lambda desk, who, task: desk.events.set_source(who, task.ident, SQS)),
    (Role.OPERATOR, lambda desk, who, task: desk.events.set_up(who, task.ident)),
    (Role.OPERATOR, lambda desk, who, task: desk.events.take_down(who, task.ident)),
    (Role.ADMIN, lambda desk, who, task: desk.events.new_token(who, task.ident)),
]


@pytest.mark.parametrize(("role", "verb"), VERBS)
async def test_each_verb_needs_its_role(desk: SourceDesk, role: Role, verb: Verb) -> None:
    task = await desk.following()
    for who in (VIEWER, OPERATOR, ADMIN):
        if who.role.covers(role):
            await verb(desk, who, task)
        else:
            with pytest.raises(AccessError):
                await verb(desk, who, task)


# What is to be set up


def arrangement(source: dict[str, str], prefix: str = "in/") -> Arrangement:
    spec = ObjectsSpec.from_json({"source": f"s3://photos/{prefix}", "destination": "s3://b/"})
    values = EventSource.from_json(source)
    return Arrangement.of("20260101-0a1b", spec, values, hub_url="https://hub.example")


def test_the_documents_of_a_queue_name_bucket_prefix_and_queue() -> None:
    made = arrangement(SQS)
    arn = "arn:aws:sqs:eu-west-1:111122223333:q"
    [queue] = made.notification()["QueueConfigurations"]
    assert (queue["Id"], queue["QueueArn"]) == ("dth-20260101-0a1b", arn)
    assert queue["Filter"] == {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    assert made.statement() == {
        "Sid": "dth202601010a1b",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos"}},
    }
    assert made.rule()["detail"] == {
        "bucket": {"name": ["photos"]},
        "object": {"key": [{"prefix": "in/"}]},
    }
    for piece in made.pieces():
        json.loads(piece.text)


def test_a_whole_bucket_has_no_filter() -> None:
    made = arrangement(SQS, prefix="")
    assert "Filter" not in made.notification()["QueueConfigurations"][0]
    assert made.rule()["detail"] == {"bucket": {"name": ["photos"]}}


def test_china_is_another_partition() -> None:
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q"
    made = arrangement({"kind": "sqs", "queue_url": url})
    assert made.queue_arn == "arn:aws-cn:sqs:cn-north-1:111122223333:q"
    assert made.bucket_arn == "arn:aws-cn:s3:::photos"


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"Version": "2012-10-17", "Id": "theirs", "Statement": [{"Sid": "theirs"}, {"a": 1}]},
        {"Version": "2008-10-17", "Statement": {"Sid": "theirs"}},
    ],
)
def test_policies_of_others_stay_as_they_are(others: dict[str, Any]) -> None:
    made = arrangement(SQS)
    merged = made.merged(others)
    assert made.statement() in merged["Statement"]
    assert made.merged(merged) == merged
    left = made.without(merged)
    theirs = others.get("Statement", [])
    assert left.get("Statement", []) == ([theirs] if isinstance(theirs, dict) else theirs)
    assert {**left, "Statement": 0} == {**others, "Statement": 0}


def test_a_webhook_is_described_for_each_kind_of_sender() -> None:
    made = arrangement({"kind": SourceKind.WEBHOOK, "credential": "c"})
    texts = {piece.title.partition(":")[0]: piece.text for piece in made.pieces()}
    assert "mc event add ALIAS/photos arn:minio:sqs::dth202601010a1b:webhook" in texts["MinIO"]
    assert 'path_prefixes = ["/buckets/photos/in/"]' in texts["SeaweedFS"]
    assert all("https://hub.example/events/20260101-0a1b" in text for text in texts.values())
