"""Tasks of images in a hub, carried by the real `dth up` between two real registries."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.fleet import kill_carriages, up
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.images import Images
from tests.acceptance.processes import wait_until
from tests.api.web import Client
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import family, image, multi_platform
from transferhub.control.tasks import TaskDraft
from transferhub.model.clock import utc_now
from transferhub.model.run import RunState, Task

pytestmark = pytest.mark.registries

DAY = timedelta(days=1)
LOCAL = {"plain_http": True}
FILE = """\
kind: images
name: Mirror
tags: [nightly]
spec:
  source: {{url: {source}, plain_http: true}}
  destination: {{url: {destination}, plain_http: true}}
  all: true
  rename: {{app: web}}
"""


@dataclass(frozen=True)
class Console:
    """A running hub: its command, and GraphQL as a program asks it."""

    dth: Dth
    port: int
    token: str

    def asked(self, query: str, **variables: Any) -> Any:
        """The whole answer."""
        body = {"query": query, "variables": variables}
        return Client(self.port).ask("POST", "/graphql", body, authorization=self.token)[1]

    def refused(self, query: str, **variables: Any) -> Any:
        return self.asked(query, **variables)["errors"]

    def ask(self, query: str, **variables: Any) -> Any:
        """The one field that the query asks for."""
        answer = self.asked(query, **variables)
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value


@pytest.fixture
def console(images: Images) -> Iterator[Console]:
    with ExitStack() as scope:
        hub = up(images.dth, scope)
        found = re.search(r"the hub is at http://127\.0\.0\.1:(\d+)/\n", hub.out)
        assert found, hub.out
        scopes = ("--scope", "tasks", "--scope", "credentials")
        made = images.dth.well("token", "create", "console", "--role", "admin", *scopes)
        dth = images.dth.having(ACCOUNT.secret)
        yield Console(dth, int(found[1]), made.out.strip())


@pytest.fixture
async def desk(images: Images) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{images.dth.state}/dth.sqlite3"
        yield await Desk.open(images.dth.state, url, stack)


def places(images: Images) -> Mapping[str, Any]:
    return {
        "source": {"url": str(images.source), **LOCAL},
        "destination": {"url": str(images.destination), **LOCAL},
    }


def the_file(images: Images) -> str:
    return FILE.format(source=images.source, destination=images.destination)


def test_a_task_of_a_file_runs_each_day_and_moves_what_is_new(
    images: Images, console: Console
) -> None:
    dth = console.dth
    release = multi_platform("app", attested=True)
    images.source.push(release, "app", "1.0", "latest")
    (dth.folder / "mirror.yaml").write_text(the_file(images))
    (applied,) = dth.well("task", "apply", "-f", "mirror.yaml", "--json").json
    assert applied["outcome"] == "created"
    (again,) = dth.well("task", "apply", "-f", "mirror.yaml", "--json").json
    assert again["outcome"] == "unchanged"

    shown = dth.well("task", "show", "Mirror", "--json").json
    left = datetime.fromisoformat(shown["next_run_at"]) - utc_now()
    assert DAY - timedelta(minutes=2) < left <= DAY
    assert f"{images.source} → {images.destination}" in dth.well("task", "list").out
    told = console.ask(
        "query ($i: ID!) { task(id: $i) { kind spec schedule { every } } }", i=applied["id"]
    )
    assert (told["kind"], told["schedule"]) == ("IMAGES", {"every": "86400s"})
    assert json.loads(told["spec"])["rename"] == [{"from": "app", "to": "web"}]

    preview = """query ($t: ID) { previewImages(task: $t) {
        copies retags same creates bytes pulls firstRows { kind repository tag } } }"""
    seen = console.ask(preview, t=applied["id"])
    assert (seen["copies"], seen["retags"], seen["same"]) == (1, 1, 0)
    assert seen["bytes"] == sum(len(blob.content) for blob in release.all_blobs.values())
    assert images.destination.tags("web") == []

    started = dth.well("task", "start", "Mirror", "--wait")
    assert "2 images" in started.out, started.out
    assert images.destination.tags("web") == ["1.0", "latest"]
    assert images.destination.digest("web", "latest") == release.digest

    second = dth.well("task", "start", "Mirror", "--wait", "--json").json["totals"]
    assert (second["same"], second["new"], second["done"], second["bytes"]) == (2, 0, 0, 0)
    exported = dth.well("task", "export", "Mirror").out
    assert dth.well("task", "apply", "-f", "-", "--json", given=exported).json[0]["outcome"] == (
        "unchanged"
    )


def test_one_image_that_fails_leaves_the_others_and_is_tried_again_once_it_is_mended(
    images: Images, console: Console
) -> None:
    good, bad = image("good"), image("bad")
    images.source.push(good, "good", "1")
    images.source.push(bad, "bad", "1")
    (lost, *_) = bad.all_blobs.values()
    repository = f"{images.source.folder}/bad"
    images.source.pusher.delete_blob(repository, lost.digest)
    dth = console.dth
    hook = {"kind": "webhook", "name": "hook", "url": "http://127.0.0.1:1/", "secret": "s" * 16}
    dth.well("channel", "put", given=json.dumps({**hook, "events": ["completed_with_failures"]}))
    create = "mutation ($t: TaskInput!) { createTask(input: $t) { id } }"
    at = {side: {"url": place["url"], "plainHttp": True} for side, place in places(images).items()}
    listed = {"name": "Listed", "images": {**at, "images": "good:1, bad:1"}}
    console.ask(create, t=listed)
    ended = dth.well("task", "start", "Listed", "--wait", "--json", code=1).json
    assert ended["status"] == "completed_with_failures"
    assert {name: ended["totals"][name] for name in ("done", "failed")} == {
        "done": 1,
        "failed": 1,
    }
    assert images.destination.digest("good", "1") == good.digest

    (group,) = console.ask(
        "query ($r: ID!) { failureGroups(run: $r) { code count exampleKey exampleMessage } }",
        r=ended["run"],
    )
    assert (group["code"], group["count"]) == ("no_blob", 1)
    assert group["exampleKey"] == f"{images.destination.folder}/bad:1"
    assert lost.digest in group["exampleMessage"]

    def told() -> list[tuple[str, int]]:
        """What people are told, of a run and not of each image."""
        page = console.ask("{ messages { items { kind count } } }")
        return [(message["kind"], message["count"]) for message in page["items"]]

    wait_until(lambda: bool(told()), "the message")
    images.source.pusher.push_blob(lost, repository)
    retried = dth.well("task", "retry", "Listed", "--wait", "--json").json
    assert (retried["status"], retried["totals"]["failed"]) == ("succeeded", 0)
    assert images.destination.digest("bad", "1") == bad.digest
    assert told() == [("COMPLETED_WITH_FAILURES", 1)]


def spec_of(images: Images, **more: Any) -> TaskDraft:
    return TaskDraft(name="Many", kind="images", spec={**places(images), **more}, schedule={})


async def many(images: Images, desk: Desk, count: int) -> Task:
    """A task whose run takes some seconds."""
    for number, built in enumerate(family("base", count, layers=2, layer_bytes=2_000)):
        images.source.push(built, f"app{number % 5}", f"v{number}")
    return await desk.services.tasks.create(ADMIN, spec_of(images, all=True, concurrency=1))


@pytest.mark.parametrize("what", ["hub", "carriage"])
async def test_a_hub_that_is_killed_goes_on_with_its_images(
    images: Images, desk: Desk, what: str
) -> None:
    task = await many(images, desk, 60)
    run = await desk.start(task)
    with ExitStack() as scope:
        hub = up(images.dth, scope)
        await desk.under_way(run, done=5)
        if what == "hub":
            hub.kill_all()
            up(images.dth, scope)
        else:
            kill_carriages(hub)
        ended = await desk.ended(run)
    assert ended.state is RunState.SUCCEEDED, ended
    assert (ended.summary["done"], ended.summary["failed"]) == (60, 0)
    assert ended.resumed >= (what == "hub")
    for number in (0, 30, 59):
        where = f"app{number % 5}", f"v{number}"
        assert images.destination.digest(*where) == images.source.digest(*where)


@pytest.mark.parametrize("abandon", [False, True])
async def test_a_stopped_run_of_images_goes_on_when_it_is_retried(
    images: Images, desk: Desk, abandon: bool
) -> None:
    task = await many(images, desk, 40)
    # It is still under way then when it is stopped.
    await desk.services.tasks.set_limits(ADMIN, task.ident, {"requests": 60})
    run = await desk.start(task)
    with ExitStack() as scope:
        up(images.dth, scope)
        await desk.under_way(run, done=2)
        await desk.services.orders.stop(ADMIN, run.ident, abandon=abandon)
        stopped = await desk.ended(run)
        await desk.services.tasks.set_limits(ADMIN, task.ident, {})
        assert stopped.state is RunState.CANCELLED
        assert stopped.summary["waiting"] > 0
        await desk.services.orders.retry(ADMIN, run.ident)
        ended = await desk.ended(run)
    assert (ended.state, ended.summary["done"]) == (RunState.SUCCEEDED, 40)


async def test_a_schedule_starts_runs_of_images(images: Images, desk: Desk) -> None:
    images.source.push(image("app"), "app", "1")
    draft = spec_of(images, all=True)
    task = await desk.services.tasks.create(
        ADMIN, TaskDraft(name="Often", kind="images", spec=draft.spec, schedule={"every": "10s"})
    )
    with ExitStack() as scope:
        up(images.dth, scope)
        async with asyncio.timeout(60):
            while images.destination.tags("app") != ["1"]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
    assert (await desk.services.tasks.get(ADMIN, task.ident)).next_run_at


def test_a_registry_is_reached_with_a_stored_login_and_with_no_keys(
    images: Images, registry_https: DockerRegistry, console: Console
) -> None:
    built = image("app")
    images.source.push(built, "app", "1")
    dth, folder = console.dth, images.source.folder
    login = {"user": ACCOUNT.user, "password": ACCOUNT.secret}
    keys = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s" * 20}
    dth.well("credential", "put", "team", "--kind", "login", given=json.dumps(login))
    dth.well("credential", "put", "keys", "--kind", "keys", given=json.dumps(keys))
    there = {
        "url": f"{registry_https.host}/{folder}",
        "caBundle": str(registry_https.ca),
        "credential": "team",
    }
    test = """query ($r: RegistryInput, $s: Side!) { testConnection(registry: $r, side: $s) {
        works credentials steps { attempted outcome message } } }"""
    tried = console.ask(test, r=there, s="DESTINATION")
    assert tried["works"], tried
    assert "team" in tried["credentials"]
    assert "holds" in str(console.refused(test, r={**there, "credential": "keys"}, s="SOURCE"))

    create = ("task", "create-images", images.source, there["url"], "--all", "--no-schedule")
    how = ("--source-plain-http", "--destination-ca-bundle", there["caBundle"], "--start")
    dth.well(*create, *how, "--name", "Login", "--destination-credential", "team")
    dth.well(*create, *how, "--name", "Keys", "--destination-credential", "keys")
    document = dth.well("task", "show", "Login", "--json").json
    assert (document["next_run_at"], document["task"]["schedule"]) == (None, {})
    with registry_https.pusher() as there_now:
        wait_until(lambda: there_now.digest(f"{folder}/app", "1") == built.digest, "the image")
    wait_until(lambda: status_of(dth, "Keys") == "failed", "its end")
    (run, *_) = dth.well("task", "show", "Keys", "--json").json["runs"]
    assert "holds" in run["error"]["message"], run
    dth.assert_no_secret(dth.well("task", "export"))


def status_of(dth: Dth, task: str) -> str:
    (run, *_) = dth.well("task", "show", task, "--json").json["runs"]
    return str(run["status"])
