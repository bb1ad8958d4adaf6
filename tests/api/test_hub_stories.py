"""Every query and every mutation once, from end to end."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from tests.api.hub_world import GraphClient, Kind, World, hub_served
from tests.api.image_story import story_of_images, story_of_registries
from tests.api.operations import written
from tests.api.web import PASSWORD, Client
from tests.servers.boto import Boto
from tests.servers.moto import MotoServer
from tests.servers.receivers import HttpReceiver
from tests.servers.sqs import queue_of
from transferhub.api.hub_graph import MUTATIONS, QUERIES
from transferhub.model.history import LogLevel, LogLine, Sample
from transferhub.model.people import Role
from transferhub.model.run import RunState, TaskId

NEW_PASSWORD = "a battery of new horses"
KEYS = {
    "name": "photos",
    "kind": "KEYS",
    "accessKeyId": "AKIAEXAMPLEKEY007Q2M",
    "secretAccessKey": "s3cret/s3cret",
}


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    kind: Kind = request.param
    with hub_served(kind, tmp_path) as world:
        yield world


def story_of_tasks(world: World) -> Iterator[GraphClient]:
    client = world.client(Role.OPERATOR)
    yield client
    made = client.get(
        "mutation ($t: TaskInput!) { createTask(input: $t) { id version state owner } }",
        t={
            "name": " Photos ",
            "tags": ["home", "home"],
            "spec": {
                "source": {"scheme": "s3", "bucket": "photos", "prefix": "2026"},
                "destination": {
                    "url": "s3://backup/photos",
                    "provider": "minio",
                    "endpoint": "http://127.0.0.1:9000",
                },
                "newerThan": "7d",
                "storageClass": "STANDARD=STANDARD_IA,*=STANDARD",
                "minSize": 1e10,
                "include": ["*.jpg"],
            },
            "schedule": {
                "cron": "30 2 * * mon-fri",
                "zone": "Europe/Berlin",
                "overlap": "QUEUE",
                "catchUp": "ALL",
                "windows": [
                    {"from": "22:00", "to": "06:00", "days": ["SAT"]},
                    {"kind": "BANDWIDTH", "from": "08:00", "to": "18:00", "bandwidth": 1e6},
                    {"kind": "BANDWIDTH", "from": "18:00", "to": "20:00", "bandwidth": None},
                ],
            },
            "limits": {"bandwidth": 5e7, "requests": 0.5, "concurrency": 3},
        },
    )
    assert (made["version"], made["state"], made["owner"]) == (1, "ACTIVE", "root")
    query = """query ($id: ID!) { task(id: $id) { name tags source destination spec version state
      nextRunAt limits { bandwidth requests concurrency } latestRun { id }
      schedule { once every cron zone jitter overlap catchUp mostCaughtUp
                 windows { kind days from to zone bandwidth } } } }"""
    task = client.get(query, id=made["id"])
    assert (task["name"], task["tags"]) == ("Photos", ["home"])
    assert (task["source"], task["destination"]) == ("s3://photos/2026/", "s3://backup/photos/")
    assert task["limits"] == {"bandwidth": 5e7, "requests": 0.5, "concurrency": 3}
    assert task["schedule"]["windows"][0]["days"] == ["SAT"]
    assert [at["bandwidth"] for at in task["schedule"]["windows"]] == [None, 1e6, None]
    assert task["latestRun"] is None
    spec = json.loads(task["spec"])
    assert spec["storageClass"] == "STANDARD=STANDARD_IA,*=STANDARD"
    assert (spec["newerThan"], spec["minSize"]) == ("7d", 10**10)

    update = """mutation ($id: ID!, $v: Int!, $t: TaskInput!) {
      updateTask(id: $id, version: $v, input: $t) { version name spec schedule { cron } } }"""
    changed = client.get(update, id=made["id"], v=1, t={"name": "Pictures", "spec": spec})
    assert (changed["version"], changed["name"], changed["schedule"]) == (2, "Pictures", None)
    assert json.loads(changed["spec"]) == spec  # what is given can be given back
    assert client.refused(update, id=made["id"], v=1, t={"name": "Lost", "spec": spec}) == [
        ("conflict", "")
    ]
    versions = client.get(
        "query ($id: ID!) { taskVersions(id: $id) { version name } }", id=made["id"]
    )
    assert versions == [{"version": 2, "name": "Pictures"}, {"version": 1, "name": "Photos"}]

    moments = client.get('{ nextRuns(schedule: {cron: "0 3 * * *"}, first: 2) }')
    assert [at[11:] for at in moments] == ["03:00:00Z", "03:00:00Z"]
    assert client.get("query ($id: ID!) { nextRuns(task: $id) }", id=made["id"]) == []
    assert client.refused("{ nextRuns }") == [("bad_input", "task")]

    limit = """mutation ($id: ID!) {
      setTaskLimits(id: $id, limits: {requests: 5}) { limits { requests bandwidth } } }"""
    assert client.get(limit, id=made["id"])["limits"] == {"requests": 5.0, "bandwidth": None}
    pause = "mutation ($id: ID!) { pauseTask(id: $id) { state } }"
    assert client.get(pause, id=made["id"]) == {"state": "PAUSED"}
    assert client.refused(pause, id=made["id"]) == [("wrong_state", "")]
    resume = "mutation ($id: ID!) { resumeTask(id: $id) { state } }"
    assert client.get(resume, id=made["id"]) == {"state": "ACTIVE"}
    clone = 'mutation ($id: ID!) { cloneTask(id: $id, name: "Copy") { id state name } }'
    copy = client.get(clone, id=made["id"])
    assert (copy["state"], copy["name"]) == ("PAUSED", "Copy")

    page = """query ($after: String) { tasks(first: 1, after: $after, sort: NAME, descending: false,
      search: "photos", filter: {kind: OBJECTS}) { total cursor items { name } } }"""
    first = client.get(page)
    assert (first["total"], first["items"]) == (2, [{"name": "Copy"}])
    second = client.get(page, after=first["cursor"])
    assert (second["cursor"], second["items"]) == (None, [{"name": "Pictures"}])
    assert client.refused(page, after="nonsense") == [("bad_input", "after")]
    paused = client.get("{ tasks(filter: {state: PAUSED}) { items { name } } }")
    assert paused["items"] == [{"name": "Copy"}]

    delete = "mutation ($id: ID!) { deleteTask(id: $id) }"
    assert client.get(delete, id=copy["id"]) is True
    assert client.refused(query, id=copy["id"]) == [("no_task", "id")]
    schema = json.loads(client.get("{ specSchema(kind: OBJECTS) }"))
    assert "destination" in schema["properties"]


def story_of_runs(world: World) -> Iterator[GraphClient]:
    client = world.client(Role.OPERATOR)
    yield client
    task = client.create()["id"]
    started = client.get(
        "mutation ($t: ID!) { startRun(task: $t) { id state trigger task progress { waiting } } }",
        t=task,
    )
    assert (started["state"], started["trigger"], started["task"]) == ("QUEUED", "PERSON", task)
    stop = "mutation ($r: ID!) { stopRun(id: $r, abandon: true) { state order endedAt } }"
    assert client.get(stop, r=started["id"])["state"] == "CANCELLED"
    assert client.refused(stop, r=started["id"]) == [("wrong_state", "")]
    assert client.refused(stop, r="nothing") == [("no_run", "id")]

    run = world.run_of(task, RunState.COMPLETED_WITH_FAILURES).ident
    world.dead_letters(run, "a/1", "a/2", "b/1")
    world.dead_letters(run, "c", code="corrupt")
    query = """query ($r: ID!) { run(id: $r) { id state task taskVersion
      progress { listing failed done waiting bytes } } }"""
    assert client.get(query, r=run)["progress"]["failed"] == 4
    latest = client.get("query ($t: ID!) { task(id: $t) { latestRun { id state } } }", t=task)
    assert latest["latestRun"] == {"id": run, "state": "COMPLETED_WITH_FAILURES"}

    runs = """query ($t: ID, $after: String) { runs(first: 1, after: $after, filter: {task: $t,
      states: [CANCELLED, COMPLETED_WITH_FAILURES], trigger: PERSON,
      since: "2020-01-01T00:00:00Z", until: "2120-01-01T00:00:00+01:00"})
      { cursor items { id } } }"""
    first = client.get(runs, t=task)
    assert first["items"] == [{"id": run}]
    second = client.get(runs, t=task, after=first["cursor"])
    assert (second["cursor"], second["items"]) == (None, [{"id": started["id"]}])

    transfers = """query ($r: ID!, $after: String) {
      transfers(run: $r, prefix: "a/", states: [FAILED], code: "denied", first: 1, after: $after) {
        cursor items { key state size code history { code } } } }"""
    keys: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(transfers, r=run, after=cursor)
        keys += [item["key"] for item in page["items"]]
        cursor = page["cursor"]
    assert keys == ["a/1", "a/2"]
    failures = """query ($r: ID!, $after: String) { failures(run: $r, key: "*1", first: 1,
      after: $after) { cursor items { key code message history { code message at } } } }"""
    page = client.get(failures, r=run)
    assert (page["items"][0]["key"], page["items"][0]["code"]) == ("a/1", "denied")
    assert page["items"][0]["history"][0]["message"] == "It is not allowed."
    rest = client.get(failures, r=run, after=page["cursor"])
    assert ([item["key"] for item in rest["items"]], rest["cursor"]) == (["b/1"], None)
    groups = client.get(
        "query ($r: ID!) { failureGroups(run: $r) { code count size exampleKey } }", r=run
    )
    assert groups[0] == {"code": "denied", "count": 3, "size": 15, "exampleKey": "a/1"}

    retry = """mutation ($r: ID!, $code: String, $key: String, $keys: [String!]) {
      retryRun(id: $r, code: $code, key: $key, keys: $keys) { count run { state } } }"""
    nothing = client.get(retry, r=run, keys=["not/there"])
    assert nothing == {"count": 0, "run": {"state": "COMPLETED_WITH_FAILURES"}}
    some = client.get(retry, r=run, keys=["a/2", "c"], code="denied")
    assert some == {"count": 1, "run": {"state": "QUEUED"}}
    assert client.refused(retry, r=run) == [("wrong_state", "")]


def story_of_workers(world: World) -> Iterator[GraphClient]:
    client = world.client()
    yield client
    ident = world.worker()
    (worker,) = client.get("{ workers { id kind host pid draining runs leases objectsPerSecond } }")
    assert worker == {
        "id": ident,
        "kind": "WORKER",
        "host": "host",
        "pid": 1,
        "draining": False,
        "runs": ["r"],
        "leases": 3,
        "objectsPerSecond": 1.5,
    }
    drain = "mutation ($id: ID!) { drainWorker(id: $id) { draining } }"
    assert client.get(drain, id=ident) == {"draining": True}
    assert client.get("{ workers { draining } }") == [{"draining": True}]
    assert client.refused(drain, id="nothing") == [("no_worker", "id")]


def story_of_credentials(world: World) -> Iterator[GraphClient]:
    client = world.client()
    yield client
    put = """mutation ($c: CredentialInput!) {
      putCredential(input: $c) { name kind described version } }"""
    made = client.get(put, c=KEYS)
    assert made == {"name": "photos", "kind": "KEYS", "described": "AKIA…7Q2M", "version": 1}
    assert client.get(put, c=KEYS)["version"] == 2
    client.get(put, c={"name": "archive", "kind": "TOKEN", "token": "s3cret"})
    page = (
        "query ($after: String) { credentials(first: 1, after: $after) { cursor items { name } } }"
    )
    first = client.get(page)
    assert first == {"cursor": "archive", "items": [{"name": "archive"}]}
    assert client.get(page, after="archive") == {"cursor": None, "items": [{"name": "photos"}]}
    assert client.get("mutation { rotateCredentials }") == 2
    delete = "mutation ($n: String!) { deleteCredential(name: $n) }"
    assert client.get(delete, n="photos") is True
    assert client.refused(delete, n="photos") == [("no_credential", "name")]


def story_of_people(world: World) -> Iterator[GraphClient]:
    client = GraphClient(Client(world.port))
    yield client
    link = world.do(world.hub.accounts.create_link(world.root, "boss", Role.ADMIN))
    assert client.http.ask("POST", "/session", {"link": link})[0] == 200
    assert client.get("{ me { name role how scopes } }") == {
        "name": "boss",
        "role": "ADMIN",
        "how": "LINK",
        "scopes": ["CREDENTIALS", "PEOPLE", "TASKS"],
    }
    create = """mutation ($n: String!, $p: String!) {
      createUser(name: $n, password: $p, role: VIEWER) { name role disabled } }"""
    assert client.get(create, n="Ada", p=PASSWORD) == {
        "name": "ada",
        "role": "VIEWER",
        "disabled": False,
    }
    assert client.refused(create, n="ada", p=PASSWORD) == [("bad_input", "name")]
    client.get(create, n="bob", p=PASSWORD)
    page = "query ($after: String) { users(first: 1, after: $after) { cursor items { name } } }"
    assert client.get(page) == {"cursor": "ada", "items": [{"name": "ada"}]}
    assert client.get(page, after="ada") == {"cursor": None, "items": [{"name": "bob"}]}
    assert client.get('mutation { setUserRole(name: "ada", role: OPERATOR) { role } }') == {
        "role": "OPERATOR"
    }
    assert client.get('mutation { disableUser(name: "bob") { disabled } }') == {"disabled": True}
    assert client.get('mutation { enableUser(name: "bob") { disabled } }') == {"disabled": False}
    assert client.refused('mutation { enableUser(name: "eve") { name } }') == [("no_user", "name")]
    password = 'mutation ($p: String!) { setPassword(name: "bob", password: $p) }'
    assert client.get(password, p=NEW_PASSWORD) is True

    bob = Client(world.port)
    signed_in = bob.ask("POST", "/session", {"name": "bob", "password": NEW_PASSWORD})
    assert signed_in[0] == 200
    change = "mutation ($o: String!, $n: String!) { changePassword(old: $o, new: $n) }"
    bobs = GraphClient(bob, asked=client.asked)
    assert bobs.refused(change, o="wrong", n=PASSWORD) == [("sign_in", "")]
    assert bobs.get(change, o=NEW_PASSWORD, n=PASSWORD) is True
    assert bob.ask("POST", "/session", {"name": "bob", "password": PASSWORD})[0] == 200

    secret = client.get(
        'mutation { createLink(name: "guest", role: VIEWER, duration: "5m") { secret } }'
    )
    guest = Client(world.port)
    assert guest.ask("POST", "/session", {"link": secret["secret"]})[1]["role"] == "viewer"

    made = client.get(
        """mutation {
          createToken(label: "ci", role: OPERATOR, duration: "30d", scopes: [TASKS, PEOPLE]) {
          secret token { id label owner role scopes revokedAt } } }"""
    )
    assert made["token"]["scopes"] == ["PEOPLE", "TASKS"]
    program = GraphClient(Client(world.port), made["secret"])
    assert program.get("{ me { role how } }") == {"role": "OPERATOR", "how": "TOKEN"}
    ident = made["token"]["id"]
    assert ident in [token["id"] for token in client.get("{ tokens { id revokedAt } }")]
    assert client.get("mutation ($t: ID!) { revokeToken(id: $t) }", t=ident) is True
    assert program.http.ask("POST", "/graphql", {"query": "{ me { name } }"})[0] == 401

    page = """query ($after: String) { audit(who: "boss", first: 3, after: $after) { cursor
      items { number at who how action subject before after } } }"""
    actions: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        found = client.get(page, after=cursor)
        actions += [(item["action"], item["subject"]) for item in found["items"]]
        cursor = found["cursor"]
    assert actions[0] == ("token.revoke", ident)
    assert ("user.password", "bob") in actions
    assert len(actions) == len(set(actions))
    assert client.refused(page, after="x") == [("bad_input", "after")]


def story_of_channels(world: World) -> Iterator[GraphClient]:
    client = world.client()
    yield client
    receiver = HttpReceiver()
    world.do(receiver.start())
    put = """mutation ($c: ChannelInput!) { putChannel(input: $c) {
      name kind settings described version latestMessage { id } } }"""
    url = f"{receiver.url}/hooks/s3cret-s3cret-s3cret/end"
    made = client.get(
        put, c={"kind": "webhook", "name": "hook", "url": url, "secret": "s3cret-of-sixteen"}
    )
    assert (made["name"], made["kind"], made["version"]) == ("hook", "webhook", 1)
    again = client.get(put, c={**json.loads(made["settings"]), "language": "zh"})
    assert (again["version"], json.loads(again["settings"])["language"]) == (2, "zh")
    trial = client.get('mutation { testChannel(name: "hook") { delivered sentence } }')
    assert trial["delivered"], trial
    assert receiver.received[0].target == "/hooks/s3cret-s3cret-s3cret/end"
    world.do(receiver.stop())
    trial = client.get('mutation { testChannel(name: "hook") { delivered sentence } }')
    assert not trial["delivered"]
    assert "s3cret" not in trial["sentence"]
    (channel,) = client.get("{ channels { name described settings latestMessage { state } } }")
    assert channel["name"] == "hook"
    assert "s3cret" not in str(channel)
    assert client.get('{ messages(channel: "hook") { cursor items { id } } }') == {
        "cursor": None,
        "items": [],
    }
    assert client.refused('{ messages(after: "x") { cursor } }') == [("bad_input", "after")]
    delete = 'mutation { deleteChannel(name: "hook") }'
    assert client.get(delete) is True
    assert client.refused(delete) == [("no_channel", "name")]


def story_of_places(world: World) -> Iterator[GraphClient]:
    client = world.client()
    yield client
    with MotoServer() as moto:
        spec = reached(client, moto)
        test = """query ($l: LocationInput!, $s: Side!) { testConnection(location: $l, side: $s) {
          works url credentials steps { attempted outcome permission code message } } }"""
        source = client.get(test, l=spec["source"], s="SOURCE")
        assert source["works"], source
        assert [step["attempted"] for step in source["steps"]][:1] == ["LIST"]
        target = client.get(test, l=spec["destination"], s="DESTINATION")
        assert {step["outcome"] for step in target["steps"]} == {"OK"}
        missing = {**spec["source"], "url": "s3://nothing-here"}
        failed = client.get(test, l=missing, s="SOURCE")
        assert not failed["works"]
        assert "no_bucket" in [step["code"] for step in failed["steps"]]
        bad = {**spec["source"], "endpoint": "http://169.254.169.254"}
        blocked = [("blocked_address", "location.endpoint")]
        assert client.refused(test, l=bad, s="SOURCE") == blocked
        assert client.refused(test, l={"url": "x"}, s="SOURCE") == [("bad_input", "location.url")]

        parts = """complete copies deletes bytes seconds cost currency egressCost
          unpriced pricesFrom requests { side kind count cost } scan { scannedSource new same }
          firstKeys { key destination size difference }"""
        preview = (
            f"query ($s: ObjectsSpecInput, $t: ID) {{ preview(spec: $s, task: $t) {{ {parts} }} }}"
        )
        seen = client.get(preview, s=spec)
        assert (seen["complete"], seen["copies"], seen["bytes"]) == (True, 2, 8)
        assert [first["key"] for first in seen["firstKeys"]] == ["a", "b"]
        asked = {"side": "DESTINATION", "kind": "PUT", "count": 2, "cost": None}
        assert asked in seen["requests"]
        task = client.create(spec=spec)["id"]
        assert client.get(preview, t=task)["scan"] == seen["scan"]
        assert client.refused(preview) == [("bad_input", "task")]
        assert client.refused(preview, t="nothing") == [("no_task", "task")]
        wrong = {**spec, "minSize": 5, "maxSize": 1}
        assert client.refused(preview, s=wrong) == [("bad_input", "spec.minSize")]
        unreached = {**spec, "destination": {**spec["destination"], "url": "s3://nothing-here"}}
        assert client.refused(preview, s=unreached) == [("no_bucket", "")]

        guess = f"""query ($s: ObjectsSpecInput!, $n: Float!) {{
          estimate(spec: $s, objects: $n, size: 1e12) {{ {parts} }} }}"""
        told = client.get(guess, s=spec, n=1e6)
        assert (told["complete"], told["copies"], told["bytes"]) == (False, 1e6, 1e12)
        assert client.refused(guess, s=spec, n=1.5) == [("bad_input", "objects")]
        assert client.refused(guess, s=wrong, n=1) == [("bad_input", "spec.minSize")]


def story_of_events(world: World) -> Iterator[GraphClient]:
    client = world.client()
    yield client
    with MotoServer() as moto, queue_of(moto.endpoint) as queue:
        task = client.create(spec=reached(client, moto))["id"]
        events = "query ($t: ID!) { taskEvents(id: $t) { source { kind queueUrl } waiting since } }"
        assert client.get(events, t=task) == {"source": None, "waiting": 0, "since": None}
        source = """mutation ($t: ID!, $e: EventSourceInput) { setTaskEvents(id: $t, events: $e) {
          events { kind queueUrl region credential } } }"""
        given = {"kind": "QUEUE", "queueUrl": queue.url, "credential": "moto"}
        told = client.get(source, t=task, e=given)["events"]
        assert told == {**given, "region": None}
        assert client.get(events, t=task)["source"] == {"kind": "QUEUE", "queueUrl": queue.url}
        pieces = """query ($t: ID!) { eventSetup(id: $t, hubUrl: "https://hub.example/") {
          title text } }"""
        assert queue.arn in client.get(pieces, t=task)[0]["text"]
        set_up = "mutation ($t: ID!) { setUpEvents(id: $t) }"
        assert client.get(set_up, t=task) is True
        assert queue.policy["Statement"]
        down = "mutation ($t: ID!) { takeDownEvents(id: $t) }"
        assert [client.get(down, t=task), client.get(down, t=task)] == [True, False]
        token = (
            "mutation ($t: ID!) { createEventToken(id: $t) { secret task { events { kind } } } }"
        )
        made = client.get(token, t=task)
        assert made["task"] == {"events": {"kind": "WEBHOOK"}}
        assert made["secret"]
        hook = client.get(pieces, t=task)
        assert f"https://hub.example/events/{task}" in str(hook)
        assert made["secret"] not in str(hook)
        assert client.get(source, t=task, e=None) == {"events": None}
        assert client.refused(set_up, t=task) == [("bad_input", "id")]
        assert client.refused(down, t="nothing") == [("no_task", "id")]


def reached(client: GraphClient, moto: MotoServer) -> dict[str, dict[str, str]]:
    """Two buckets, the first with two objects; reached with a stored credential."""
    put = "mutation ($c: CredentialInput!) { putCredential(input: $c) { name } }"
    endpoint = moto.endpoint
    client.get(
        put,
        c={
            "name": "moto",
            "kind": "KEYS",
            "accessKeyId": endpoint.access_key_id,
            "secretAccessKey": endpoint.secret_access_key,
        },
    )
    with Boto(endpoint) as boto:
        for name in ("one", "two"):
            boto.client.create_bucket(Bucket=name)
        for key in ("a", "b"):
            boto.client.put_object(Bucket="one", Key=key, Body=b"four")
    how = {"endpoint": endpoint.url, "credential": "moto", "region": endpoint.region}
    return {"source": {"url": "s3://one/", **how}, "destination": {"url": "s3://two/", **how}}


def story_of_history(world: World) -> Iterator[GraphClient]:
    client = world.client(Role.VIEWER)
    yield client
    task = TaskId(world.client().create()["id"])
    run = world.run_of(task)
    query = (
        "query ($r: ID!) { run(id: $r) { sample { phase workers bytesPerSecond secondsLeft } } }"
    )
    assert client.get(query, r=run.ident) == {"sample": None}
    start = datetime(2026, 1, 2, tzinfo=UTC)
    for seconds in range(0, 20, 2):
        sample = Sample(
            at=start + timedelta(seconds=seconds),
            phase="copying",
            listing=False,
            bytes=seconds * 100,
            objects=seconds,
            failures=1,
            deleted=0,
            open=20 - seconds,
            workers=2,
            bytes_per_second=100.0 + seconds,
        )
        world.do(world.state.samples.add(run.ident, task, sample))
    assert client.get(query, r=run.ident)["sample"] == {
        "phase": "copying", "workers": 2, "bytesPerSecond": 118.0, "secondsLeft": None,
    }  # fmt: skip
    series = """query ($t: ID, $r: ID, $n: Int) { series(task: $t, run: $r, points: $n,
      since: "2026-01-02T00:00:00Z", until: "2026-01-02T01:00:20+01:00") {
      at bytes objects failures waiting workers bytesPerSecond peakBytesPerSecond } }"""
    whole = client.get(series, t=task, n=10)
    assert [point["objects"] for point in whole] == list(range(0, 20, 2))
    first, last = client.get(series, r=run.ident, n=2)
    assert (first["at"], first["peakBytesPerSecond"]) == ("2026-01-02T00:00:00Z", 108.0)
    assert (last["at"], last["bytes"], last["waiting"]) == ("2026-01-02T00:00:10Z", 1_800, 2)
    assert client.refused(series) == [("bad_input", "task")]
    assert client.refused(series, t="nothing") == [("no_task", "task")]
    assert client.refused(series, r=run.ident, n=2_001) == [("bad_input", "points")]

    def line(number: int, level: LogLevel = LogLevel.INFO) -> LogLine:
        return LogLine(
            at=start,
            level=level,
            action="object_failed",
            message=f"line {number}",
            task=task,
            run=run.ident,
            worker="w",
        )

    world.do(world.state.logs.append([line(number) for number in range(1, 6)]))
    world.do(world.state.logs.append([line(6, LogLevel.ERROR)]))
    logs = """query ($r: ID, $t: ID, $n: Int, $l: LogLevel, $s: String, $a: String, $b: String) {
      logs(run: $r, task: $t, first: $n, level: $l, search: $s, after: $a, before: $b) {
      before after more dropped items { number level action message task run worker at } } }"""
    newest = client.get(logs, r=run.ident, n=2)
    assert [at["message"] for at in newest["items"]] == ["line 5", "line 6"]
    older = client.get(logs, t=task, n=2, b=newest["before"])
    assert [at["message"] for at in older["items"]] == ["line 3", "line 4"]
    assert client.get(logs, r=run.ident, a=newest["after"])["items"] == []
    world.do(world.state.logs.append([line(7)]))
    followed = client.get(logs, r=run.ident, a=newest["after"])
    assert [at["message"] for at in followed["items"]] == ["line 7"]
    assert [at["level"] for at in client.get(logs, r=run.ident, l="ERROR")["items"]] == ["ERROR"]
    assert len(client.get(logs, r=run.ident, s="LINE 3")["items"]) == 1
    assert client.refused(logs, r=run.ident, n=1_001) == [("bad_input", "first")]
    assert client.refused(logs, r=run.ident, s="x" * 201) == [("bad_input", "search")]
    assert client.refused(logs, r=run.ident, a="x") == [("bad_input", "after")]
    assert client.refused(logs, r=run.ident, a="1", b="2") == [("bad_input", "before")]
    assert client.refused(logs, r="nothing") == [("no_run", "run")]


STORIES: tuple[Callable[[World], Iterator[GraphClient]], ...] = (
    story_of_tasks,
    story_of_runs,
    story_of_workers,
    story_of_credentials,
    story_of_people,
    story_of_channels,
    story_of_places,
    story_of_events,
    story_of_history,
    story_of_images,
    story_of_registries,
)


def asked_fields(queries: list[str]) -> set[str]:
    operations = (node for query in queries for node in parse(query).definitions)
    return {
        field.name.value
        for operation in operations
        if isinstance(operation, OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
    }


def test_every_query_and_mutation_does_what_it_says(world: World) -> None:
    asked: set[str] = set()
    for story in STORIES:
        telling = story(world)
        client = next(telling)
        assert next(telling, None) is None
        asked |= asked_fields(client.asked)
    assert QUERIES.keys() | MUTATIONS.keys() == asked


def test_nothing_that_is_told_holds_a_secret(world: World) -> None:
    for story in (story_of_credentials, story_of_people, story_of_channels):
        list(story(world))
    admin = world.client()
    everything = admin.get("{ audit(first: 500) { items { before after subject } } }")
    everything = f"{everything}{admin.get('{ credentials { items { name described } } }')}"
    for secret in (PASSWORD, NEW_PASSWORD, "s3cret", "AKIAEXAMPLEKEY"):
        assert secret not in str(everything)


def test_nothing_is_answered_to_who_is_not_known(world: World) -> None:
    client = Client(world.port)
    for query in ("{ me { name } }", "{ __schema { types { name } } }", "{ __typename }", "{ x"):
        status, answer = client.ask("POST", "/graphql", {"query": query})
        assert (status, answer["errors"][0]["extensions"]["code"]) == (401, "sign_in")
        assert "data" not in answer


def test_the_schema_is_told_to_whoever_is_known(world: World) -> None:
    told = world.client(Role.VIEWER).get("{ __schema { queryType { fields { name } } } }")
    assert {field["name"] for field in told["queryType"]["fields"]} == set(QUERIES)


def test_a_request_asks_for_so_much_and_no_more(world: World) -> None:
    client = world.client()
    much = written("query", "tasks", {"first": 1_000})
    assert client.refused(much, first=1_000) == [("bad_request", "query")]
    assert client.get(much, first=200)["items"] == []
    reach = 'testConnection(location: {url: "s3://a"}, side: SOURCE) { works }'
    many = "{ " + " ".join(f"t{n}: {reach}" for n in range(11)) + " }"
    assert client.refused(many) == [("bad_request", "query")]
    for null in ("tasks(first: null) { total }", "runs(first: null) { cursor }"):
        assert client.refused(f"{{ {null} }}") == [("bad_input", "first")]
