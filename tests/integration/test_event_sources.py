"""Queues and notifications of moto, through the code that sets them up and reads them."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import botocore.session
import pytest

from tests.conftest import BucketFactory
from tests.servers.boto import Boto
from tests.servers.endpoint import Endpoint
from tests.servers.moto import MotoServer
from tests.servers.sqs import Queue, queue_of
from transferhub.control.journal import Journal
from transferhub.control.key_ring import GivenKeys
from transferhub.control.reach import OWN_MACHINE, Reach
from transferhub.control.vault import Credentials
from transferhub.errors import DeniedError, NotFoundError, StoreError, TransientError
from transferhub.hosts.events import Queues, SourceNotifier
from transferhub.hosts.lending import Lender
from transferhub.model.clock import utc_now
from transferhub.model.event import EventSource, SourceKind
from transferhub.model.people import Caller, CredentialKind, How, Role
from transferhub.plugins.objects.events import read_events
from transferhub.plugins.objects.notifications import Arrangement
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec
from transferhub.queues.base import Message
from transferhub.queues.sqs import SqsConfig, SqsQueue
from transferhub.state.memory import MemoryAudit, MemoryVault
from transferhub.stores.s3 import Anonymous

NOW = timedelta()
THEIRS = [
    {
        "Id": "theirs",
        "QueueArn": "",
        "Events": ["s3:ObjectCreated:Put"],
        "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".é"}]}},
    }
]


@pytest.fixture
def endpoint(moto_s3: MotoServer) -> Endpoint:
    return moto_s3.endpoint


@pytest.fixture
def queue(endpoint: Endpoint) -> Iterator[Queue]:
    with queue_of(endpoint) as made:
        yield made


@pytest.fixture
def their_queue(endpoint: Endpoint) -> Iterator[Queue]:
    with queue_of(endpoint) as made:
        yield made


@pytest.fixture
def bucket(endpoint: Endpoint, make_bucket: BucketFactory) -> str:
    return make_bucket(endpoint)


@pytest.fixture
def s3(boto: Callable[[Endpoint], Boto], endpoint: Endpoint) -> Any:
    return boto(endpoint).client


@pytest.fixture
def spec(endpoint: Endpoint, bucket: str) -> ObjectsSpec:
    source = {"url": f"s3://{bucket}/in/", "endpoint": endpoint.url, "region": endpoint.region}
    return parse_spec({"source": source, "destination": "file:///nowhere"})


@pytest.fixture
async def queues(endpoint: Endpoint) -> Queues:
    journal = Journal(MemoryAudit(), utc_now)
    vault, ring = MemoryVault(), GivenKeys("A" * 43 + "=")
    credentials = Credentials(vault, ring, journal, utc_now)
    keys = {
        "access_key_id": endpoint.access_key_id,
        "secret_access_key": endpoint.secret_access_key,
    }
    admin = Caller(name="root", role=Role.ADMIN, how=How.COMMAND)
    await credentials.put(admin, "keys", CredentialKind.KEYS, keys)
    env = {
        "DTH_SOURCE_ACCESS_KEY_ID": endpoint.access_key_id,
        "DTH_SOURCE_SECRET_ACCESS_KEY": endpoint.secret_access_key,
    }
    lender = Lender(vault, ring, guarded=False)
    return Queues(lender=lender, reach=Reach(OWN_MACHINE), env=env)


def source_of(queue: Queue, **given: str) -> EventSource:
    return EventSource(kind=SourceKind.SQS, queue_url=queue.url, **given)


@pytest.fixture(params=["", "keys"])
async def opened(
    request: pytest.FixtureRequest, queue: Queue, queues: Queues, spec: ObjectsSpec
) -> AsyncIterator[SqsQueue]:
    found = await queues.of(spec, source_of(queue, credential=request.param))
    yield found
    await found.aclose()


async def test_messages_are_received_once_and_deleted(opened: SqsQueue, queue: Queue) -> None:
    assert await opened.receive(NOW) == []
    bodies = [f"message {number} é" for number in range(23)]
    for body in bodies:
        queue.send(body)
    found: list[Message] = []
    while batch := await opened.receive(NOW):
        found += batch
    assert sorted(message.body for message in found) == sorted(bodies)
    assert queue.size == 23
    await opened.delete(found)
    assert queue.size == 0


async def test_a_long_wait_ends_when_a_message_comes(opened: SqsQueue, queue: Queue) -> None:
    queue.send("here")
    [message] = await opened.receive(timedelta(seconds=20))
    assert message.body == "here"


async def test_a_queue_s_policy_is_written_and_removed(opened: SqsQueue, queue: Queue) -> None:
    assert await opened.policy() == {}
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow"}]}
    await opened.set_policy(policy)
    assert queue.policy == await opened.policy() == policy
    await opened.set_policy({})
    assert await opened.policy() == {}


async def test_a_queue_that_is_not_there_is_told(
    queues: Queues, spec: ObjectsSpec, queue: Queue
) -> None:
    missing = EventSource(kind=SourceKind.SQS, queue_url=f"{queue.url}-none")
    opened = await queues.of(spec, missing)
    with pytest.raises(NotFoundError, match="check the queue") as caught:
        await opened.receive(NOW)
    assert caught.value.code == "no_queue"
    await opened.aclose()


async def test_a_host_that_does_not_answer_is_told() -> None:
    config = SqsConfig(
        queue_url="http://127.0.0.1:9/1/q", endpoint="http://127.0.0.1:9", region="us-east-1"
    )
    opened = SqsQueue(config, Anonymous())
    with pytest.raises(TransientError, match="ReceiveMessage of"):
        await opened.receive(NOW)
    await opened.aclose()


# Notifications


@pytest.fixture
def arrangement(queue: Queue, spec: ObjectsSpec) -> Arrangement:
    return Arrangement.of("task-1", spec, source_of(queue), hub_url="")


def notified(s3: Any, bucket: str) -> list[dict[str, Any]]:
    asked = s3.get_bucket_notification_configuration(Bucket=bucket)
    return list(asked.get("QueueConfigurations", []))


async def test_a_bucket_tells_its_queue_of_changes_and_no_more_when_that_is_taken_away(
    queues: Queues, arrangement: Arrangement, opened: SqsQueue, queue: Queue, s3: Any, bucket: str
) -> None:
    notifier = SourceNotifier(queues=queues)
    for _ in range(2):
        await notifier.add(arrangement)
    [told] = notified(s3, bucket)
    assert (told["Id"], told["QueueArn"]) == ("dth-task-1", queue.arn)
    assert [each["Sid"] for each in queue.policy["Statement"]] == ["dthtask1"]
    s3.put_object(Bucket=bucket, Key="in/é + %", Body=b"x")
    s3.put_object(Bucket=bucket, Key="out/b", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="in/é + %")
    found: list[tuple[str, str]] = []
    while batch := await opened.receive(NOW):
        events = [event for message in batch for event in read_events(message.body)]
        found += [(event.key, event.kind.value) for event in events]
        await opened.delete(batch)
    assert found == [("in/é + %", "created"), ("in/é + %", "removed")]
    assert await notifier.remove(arrangement)
    assert (notified(s3, bucket), queue.policy) == ([], {})
    assert not await notifier.remove(arrangement)


async def test_events_that_come_over_eventbridge_are_read(
    arrangement: Arrangement,
    opened: SqsQueue,
    queue: Queue,
    s3: Any,
    bucket: str,
    endpoint: Endpoint,
) -> None:
    with rule_of(endpoint, arrangement, queue):
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        s3.put_object(Bucket=bucket, Key="in/é + %", Body=b"body")
        s3.put_object(Bucket=bucket, Key="out/b", Body=b"x")
        messages = list(await opened.receive(NOW))
    found = [event for message in messages for event in read_events(message.body)]
    assert [(event.bucket, event.key, event.kind.value, event.size) for event in found] == [
        (bucket, "in/é + %", "created", 4)
    ]


@contextmanager
def rule_of(endpoint: Endpoint, arrangement: Arrangement, queue: Queue) -> Iterator[None]:
    """The rule that is printed for people, with the queue as its target."""
    client: Any = botocore.session.Session().create_client(
        "events",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret_access_key,
    )
    name = arrangement.ident
    client.put_rule(Name=name, EventPattern=json.dumps(arrangement.rule()))
    client.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue.arn}])
    try:
        yield
    finally:
        client.remove_targets(Rule=name, Ids=["queue"])
        client.delete_rule(Name=name)
        client.close()


async def test_what_others_set_up_stays(
    queues: Queues,
    arrangement: Arrangement,
    queue: Queue,
    their_queue: Queue,
    s3: Any,
    bucket: str,
) -> None:
    theirs = [{**THEIRS[0], "QueueArn": their_queue.arn}]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": theirs},
    )
    statement = {"Sid": "theirs", "Effect": "Allow", "Action": "sqs:*", "Principal": "*"}
    policy = {"Version": "2008-10-17", "Id": "theirs", "Statement": [statement]}
    queue.client.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"Policy": str(policy).replace("'", '"')}
    )
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    notifier = SourceNotifier(queues=queues)
    await notifier.add(arrangement)
    both = notified(s3, bucket)
    assert sorted(each["Id"] for each in both) == ["dth-task-1", "theirs"]
    assert {each["Sid"] for each in queue.policy["Statement"]} == {"theirs", "dthtask1"}
    await notifier.remove(arrangement)
    after = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert _told(after) == _told(before)
    assert queue.policy == policy


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


async def test_a_bucket_that_is_not_there_is_told(
    queues: Queues, queue: Queue, endpoint: Endpoint
) -> None:
    source = {"url": "s3://no-such-bucket-at-all", "endpoint": endpoint.url}
    spec = parse_spec({"source": source, "destination": "file:///nowhere"})
    arrangement = Arrangement.of("task-1", spec, source_of(queue), hub_url="")
    with pytest.raises(StoreError) as caught:
        await SourceNotifier(queues=queues).add(arrangement)
    assert isinstance(caught.value, NotFoundError | DeniedError)
