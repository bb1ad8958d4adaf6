"""Changes at real sources, followed by the real `dth up`."""

import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.fleet import up
from tests.acceptance.hub import ADMIN, Desk, located
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import wait_until
from tests.servers.boto import Boto
from tests.servers.process import free_ports
from tests.servers.seaweedfs import SeaweedFS
from tests.servers.sqs import Queue, queue_of
from transferhub.control.tasks import TaskDraft
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState, Task, Trigger


@pytest.fixture
def queue(moto_source: Place) -> Iterator[Queue]:
    with queue_of(moto_source.endpoint) as made:
        yield made


@pytest.fixture
def dth_of_moto(dth: Dth, moto_source: Place, destination: Place) -> Dth:
    return dth.between(moto_source.endpoint, destination.endpoint)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, dth_of_moto: Dth) -> None:
    """The desk reaches places with the same variables as the hub."""
    for name, value in dth_of_moto.environment().items():
        if name.startswith("DTH_SOURCE"):
            monkeypatch.setenv(name, value)


@pytest.fixture
async def desk(dth_of_moto: Dth) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{dth_of_moto.state}/dth.sqlite3"
        yield await Desk.open(dth_of_moto.state, url, stack)


async def following(desk: Desk, queue: Queue, source: Place, to: Place, **options: Any) -> Task:
    task = await desk.task(source, to, **options)
    values = {"kind": "sqs", "queue_url": queue.url}
    await desk.services.events.set_source(ADMIN, task.ident, values)
    await desk.services.events.set_up(ADMIN, task.ident)
    return await desk.services.tasks.get(ADMIN, task.ident)


async def runs_of(desk: Desk, task: Task) -> tuple[Run, ...]:
    return (await desk.services.orders.page(ADMIN, RunFilter(task=task.ident))).items


def has(place: Place, key: str, content: bytes) -> Callable[[], bool]:
    return lambda: key in place.listing() and place.get(key) == content


@pytest.mark.usefixtures("environment")
async def test_changes_of_a_bucket_are_copied_as_they_come(
    desk: Desk, queue: Queue, dth_of_moto: Dth, moto_source: Place, destination: Place
) -> None:
    task = await following(desk, queue, moto_source, destination, mirror=True, max_delete=5)
    with ExitStack() as scope:
        up(dth_of_moto, scope)
        keys = ["a", "é + %/b c", "large"]
        for key in keys:
            content = content_of(key, 9 * MIB if key == "large" else 1_000)
            moto_source.put(key, content)
            wait_until(has(destination, key, content), key)
        moto_source.put("a", b"newer and longer")
        wait_until(has(destination, "a", b"newer and longer"), "a newer version")
        moto_source.delete("a")
        wait_until(lambda: "a" not in destination.listing(), "the delete")
        wait_until(lambda: queue.size == 0, "an empty queue")
        [run] = await runs_of(desk, task)
        await desk.services.orders.stop(ADMIN, run.ident)
        await desk.ended(run)
    assert run.trigger is Trigger.EVENT
    assert destination.contents() == moto_source.contents()


@pytest.mark.usefixtures("environment")
async def test_delete_markers_come_and_go(
    desk: Desk, queue: Queue, dth_of_moto: Dth, moto_source: Place, destination: Place
) -> None:
    client, bucket = moto_source.boto.client, moto_source.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await following(desk, queue, moto_source, destination, mirror=True, max_delete=5)
    with ExitStack() as scope:
        up(dth_of_moto, scope)
        moto_source.put("a", b"1")
        wait_until(has(destination, "a", b"1"), "the copy")
        # moto keeps versions as S3 does, but tells nothing of their deletes.
        marker = client.delete_object(Bucket=bucket, Key="a")["VersionId"]
        queue.send(record(bucket, "a", "ObjectRemoved:DeleteMarkerCreated").decode())
        wait_until(lambda: destination.listing() == {}, "the delete")
        client.delete_object(Bucket=bucket, Key="a", VersionId=marker)
        queue.send(record(bucket, "a", "ObjectRemoved:Delete").decode())
        wait_until(has(destination, "a", b"1"), "the copy of what came back")
    listed = client.list_object_versions(Bucket=bucket)
    for version in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
        client.delete_object(Bucket=bucket, Key="a", VersionId=version["VersionId"])


@pytest.mark.usefixtures("environment")
async def test_a_lost_event_is_healed_by_a_run_that_lists_beside_which_no_event_is_lost(
    desk: Desk, queue: Queue, dth_of_moto: Dth, moto_source: Place, destination: Place
) -> None:
    moto_source.put("never told of", b"1")
    task = await following(desk, queue, moto_source, destination)
    with ExitStack() as scope:
        up(dth_of_moto, scope)
        moto_source.put("told of", b"2")
        wait_until(has(destination, "told of", b"2"), "the event")
        assert destination.keys() == ["told of"]
        lists = await desk.start(task)
        moto_source.put("meanwhile", b"3")
        ended = await desk.ended(lists)
        wait_until(has(destination, "meanwhile", b"3"), "the event that came meanwhile")
        states = {run.ident: run for run in await runs_of(desk, task)}
    assert ended.state is RunState.SUCCEEDED
    assert destination.contents() == moto_source.contents()
    of_events = [run for run in states.values() if run.trigger is Trigger.EVENT]
    former = min(of_events, key=lambda run: run.created_at)
    assert former.state is RunState.SUCCEEDED
    assert former.summary["faults"] == []
    assert ended.started_at is not None
    assert former.ended_at is not None
    assert former.ended_at <= ended.started_at


async def test_dth_sets_up_what_a_queue_needs_and_takes_it_away(
    desk: Desk, queue: Queue, dth_of_moto: Dth, moto_source: Place, destination: Place
) -> None:
    task = await desk.task(moto_source, destination, name="Photos")
    told = dth_of_moto.well("task", "events", "Photos")
    assert "hears of no changes" in told.out
    set_up = dth_of_moto.well("task", "events", "Photos", "--queue", queue.url, "--apply", "--json")
    assert set_up.json["events"] == {"kind": "sqs", "queue_url": queue.url}
    [statement, notification, *_] = [json.loads(at["text"]) for at in set_up.json["setup"]]
    assert queue.policy["Statement"] == [statement]
    asked = moto_source.boto.client.get_bucket_notification_configuration(Bucket=moto_source.bucket)
    assert asked["QueueConfigurations"] == notification["QueueConfigurations"]
    gone = dth_of_moto.well("task", "events", task.ident, "--remove", "--none", "--json")
    assert (gone.json["events"], gone.json["setup"], queue.policy) == (None, [], {})
    refused = dth_of_moto("task", "events", "Photos", "--apply")
    assert refused.code == 2
    assert "hears of no changes" in refused.err
    webhook = dth_of_moto.well("task", "events", "Photos", "--webhook", "--json").json
    assert webhook["events"]["kind"] == "webhook"
    later = dth_of_moto.well("task", "events", "Photos", "--hub-url", "https://hub.example/")
    assert f"https://hub.example/events/{task.ident}" in later.out
    assert webhook["token"] not in later.out


# Webhooks


@pytest.fixture
async def webhook_desk(pair: Dth) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield await Desk.open(pair.state, f"sqlite:///{pair.state}/dth.sqlite3", stack)


def post(port: int, task: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", f"/events/{task}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def record(bucket: str, key: str, name: str = "s3:ObjectCreated:Put") -> bytes:
    thing = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"Records": [{"eventName": name, "s3": thing}]}).encode()


async def test_a_sender_with_the_token_is_heard_and_no_other(
    webhook_desk: Desk, pair: Dth, source: Place, destination: Place
) -> None:
    desk = webhook_desk
    task, token = await desk.services.events.new_token(
        ADMIN, (await desk.task(source, destination)).ident
    )
    (port,) = free_ports(1)
    body = record(source.bucket, "a")
    source.put("a", b"1")
    with ExitStack() as scope:
        up(pair.having(token), scope, "--port", port)
        for headers in ({}, {"authorization": "Bearer guessed"}, {"x-dth-signature": "sha256=0"}):
            status, told = post(port, task.ident, body, headers)
            assert (status, told["errors"][0]["extensions"]["code"]) == (401, "sign_in")
        bearer = {"authorization": f"Bearer {token}"}
        assert post(port, "no-such-task", body, bearer)[0] == 401
        assert post(port, task.ident, b"{}", bearer)[0] == 400
        assert post(port, task.ident, b" " * (2 * MIB), bearer)[0] == 413
        assert destination.listing() == {}
        assert post(port, task.ident, body, bearer) == (200, {"taken": 1})
        wait_until(has(destination, "a", b"1"), "the copy")
        source.put("b", b"2")
        body = record(source.bucket, "b")
        signature = hmac.new(token.encode(), body, "sha256").hexdigest()
        signed = {"x-dth-signature": f"sha256={signature}"}
        assert post(port, task.ident, body, signed) == (200, {"taken": 1})
        wait_until(has(destination, "b", b"2"), "the copy of what was signed")


async def test_what_a_sender_was_told_is_kept_outlives_a_hub_that_is_killed(
    webhook_desk: Desk, pair: Dth, source: Place, destination: Place
) -> None:
    desk = webhook_desk
    task, token = await desk.services.events.new_token(
        ADMIN, (await desk.task(source, destination)).ident
    )
    objects = {f"{number:03}": content_of(str(number), 2_000) for number in range(300)}
    source.fill(objects)
    records = [json.loads(record(source.bucket, key))["Records"][0] for key in objects]
    (port,) = free_ports(1)
    bearer = {"authorization": f"Bearer {token}"}
    with ExitStack() as scope:
        hub = up(pair.having(token), scope, "--port", port)
        body = json.dumps({"Records": records}).encode()
        assert post(port, task.ident, body, bearer) == (200, {"taken": 300})
        wait_until(lambda: bool(destination.listing()), "the first copy")
        hub.process.kill()
        hub.process.wait()
    with ExitStack() as scope:
        up(pair.having(token), scope, "--port", port)
        wait_until(lambda: len(destination.listing()) == 300, "all copies")
    assert destination.contents() == source.contents()


async def test_seaweedfs_tells_of_its_changes(
    webhook_desk: Desk, pair: Dth, source: Place, destination: Place
) -> None:
    tasks, events = webhook_desk.services.tasks, webhook_desk.services.events
    (port,) = free_ports(1)
    # Its server is told where to send to before there is a bucket in it.
    task, token = await events.new_token(
        ADMIN, (await webhook_desk.task(source, destination)).ident
    )
    with (
        SeaweedFS(webhook=(f"http://127.0.0.1:{port}/events/{task.ident}", token)) as server,
        Boto(server.admin) as client,
    ):
        client.create_bucket("telling")
        told = Place(endpoint=server.admin, bucket="telling", boto=client)
        spec = {
            "source": located(told, "source"),
            "destination": located(destination, "destination"),
        }
        await tasks.update(ADMIN, task.ident, TaskDraft(name="moves", kind="objects", spec=spec))
        hub = pair.between(server.admin, destination.endpoint).having(token)
        with ExitStack() as scope:
            up(hub, scope, "--port", port)
            told.put("in/é b", b"1")
            wait_until(has(destination, "in/é b", b"1"), "the copy")
            large = content_of("large", 12 * MIB)
            told.put_multipart("large", large)
            wait_until(has(destination, "large", large), "the copy in parts")
        assert destination.keys() == ["in/é b", "large"]
