"""Bad input for every argument of every mutation, and for every field within one: it is refused
with a code, the field is named as it was written, and nothing is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest

from tests.api.hub_desk import EMAIL, OF_TASKS, Desk, desk_served, put
from tests.api.operations import fields_of, inputs_of, written
from tests.api.snapshot import taken

NO_TEXT = 5
"""For fields that take any text: only what is no text is bad."""
LONG = "x" * 20_000
NOBODY = "nobody-has-this-id"

LOCATION: Mapping[str, Any] = {
    "url": "nonsense",
    "scheme": "ftp",
    "provider": "nonsense",
    "bucket": "a bucket",
    "prefix": "x" * 1_100,
    "path": "/a/folder",
    "endpoint": "ftp://host",
    "region": NO_TEXT,
    "credential": NO_TEXT,
    "profile": NO_TEXT,
    "credentialsFile": "relative",
    "anonymous": "yes",
    "addressing": "nonsense",
    "caBundle": "relative",
    "proxy": "ftp://host",
    "requestPayer": "yes",
    "dualStack": "yes",
    "fips": "yes",
    "accelerate": "yes",
    "account": "x",
}
SPEC: Mapping[str, Any] = {
    "": "nonsense",
    "source": "nonsense",
    **{f"source.{name}": value for name, value in LOCATION.items()},
    "destination": "nonsense",
    **{f"destination.{name}": value for name, value in LOCATION.items()},
    "destinationPrefix": NO_TEXT,
    "prefixList": NO_TEXT,
    "manifest": NO_TEXT,
    "inventory": "nonsense",
    **{f"inventory.{name}": value for name, value in LOCATION.items()},
    "inventoryKey": NO_TEXT,
    "include": ["[a"],
    "exclude": ["[a"],
    "minSize": -1,
    "maxSize": 1.5,
    "newerThan": "yesterday",
    "olderThan": "yesterday",
    "storageClassesIn": [NO_TEXT],
    "storageClass": "STANDARD=",
    "acl": "nonsense",
    "sse": "nonsense",
    "kmsKey": "given without sse",
    "keepMetadata": "yes",
    "tags": "yes",
    "mirror": "yes",
    "maxDelete": 5,
    "maxDeletePercent": 101,
    "compare": "nonsense",
    "copyMode": "nonsense",
    "partSize": 1,
}
REGISTRY: Mapping[str, Any] = {
    "url": "a host",
    "scheme": "ftp",
    "host": "a host",
    "prefix": "a:b",
    "account": "x",
    "region": NO_TEXT,
    "endpoint": "ftp://host",
    "credential": NO_TEXT,
    "profile": NO_TEXT,
    "credentialsFile": "relative",
    "anonymous": "yes",
    "caBundle": "relative",
    "proxy": "ftp://host",
    "plainHttp": "yes",
}
IMAGES: Mapping[str, Any] = {
    "": "nonsense",
    "source": "nonsense",
    **{f"source.{name}": value for name, value in REGISTRY.items()},
    "destination": "nonsense",
    **{f"destination.{name}": value for name, value in REGISTRY.items()},
    "all": "yes",
    "images": "an image",
    "imagesFile": NO_TEXT,
    "imagesParameter": NO_TEXT,
    "include": ["[a"],
    "exclude": ["[a"],
    "tagPattern": "[",
    "semver": "the newest",
    "newest": 0,
    "platform": "a b",
    "untagged": "yes",
    "indexChildren": "yes",
    "cosign": "yes",
    "referrers": "yes",
    "prefix": "UPPER/",
    "rename": "nonsense",
    "rename.0.from": NO_TEXT,
    "rename.0.to": NO_TEXT,
    "create": "yes",
    "tagMutability": "nonsense",
    "scanOnPush": "yes",
    "encryption": "nonsense",
    "kmsKey": "given without KMS",
    "prune": "yes",
    "maxDelete": 1.5,
    "maxDeletePercent": 101,
    "concurrency": 0,
    "attempts": 0,
}
SCHEDULE: Mapping[str, Any] = {
    "": "nonsense",
    "once": "tomorrow",
    "every": "1s",
    "anchor": "2026-01-01T00:00:00Z",
    "cron": "* * *",
    "zone": "Nowhere/At_all",
    "jitter": "2d",
    "overlap": "NONSENSE",
    "catchUp": "ALL",
    "mostCaughtUp": 0,
    "windows": "nonsense",
    "windows.0.kind": "NONSENSE",
    "windows.0.days": [],
    "windows.0.from": "25:00",
    "windows.0.to": "noon",
    "windows.0.zone": "Nowhere/At_all",
    "windows.0.bandwidth": 0.5,
}
LIMITS: Mapping[str, Any] = {
    "": "nonsense",
    "bandwidth": 0.5,
    "requests": -1,
    "concurrency": 10_001,
}
TASK: Mapping[str, Any] = {
    "input": "nonsense",
    "name": " ",
    "kind": "NONSENSE",
    "description": "x" * 2_001,
    "tags": ["two words"],
    **{f"spec.{name}".rstrip("."): value for name, value in SPEC.items()},
    **{f"images.{name}".rstrip("."): value for name, value in IMAGES.items()},
    **{f"schedule.{name}".rstrip("."): value for name, value in SCHEDULE.items()},
    **{f"limits.{name}".rstrip("."): value for name, value in LIMITS.items()},
}
CREDENTIAL: Mapping[str, Any] = {
    "input": "nonsense",
    "name": "two words",
    "kind": "NONSENSE",
    "accessKeyId": "",
    "secretAccessKey": "",
    "sessionToken": LONG,
    "roleArn": LONG,
    "externalId": LONG,
    "user": "not of keys",
    "password": "not of keys",
    "token": "not of keys",
}
CHANNEL: Mapping[str, Any] = {
    "input": "nonsense",
    "kind": "nonsense",
    "name": "two words",
    "enabled": "yes",
    "events": ["nonsense"],
    "tasks": [""],
    "tags": [""],
    "language": "nonsense",
    "window": -1,
    "host": "a host",
    "port": 0,
    "security": "nonsense",
    "user": "u" * 300,
    "password": NO_TEXT,
    "sender": "nobody",
    "recipients": ["nobody"],
    "url": "ftp://host",
    "secret": "short",
}
EVENTS: Mapping[str, Any] = {
    "": "nonsense",
    "kind": "NONSENSE",
    "queueUrl": "nonsense",
    "region": NO_TEXT,
    "endpoint": "nonsense",
    "credential": NOBODY,
}


def below(name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {f"{name}.{inner}".rstrip("."): value for inner, value in values.items()}


OF_USERS = ("setUserRole", "disableUser", "enableUser", "setPassword")
BAD: Mapping[str, Mapping[str, Any]] = {
    "createTask": TASK,
    "updateTask": {"id": NOBODY, "version": "first", **TASK},
    "cloneTask": {"id": NOBODY, "name": ""},
    "pauseTask": {"id": NOBODY},
    "resumeTask": {"id": NOBODY},
    "deleteTask": {"id": NOBODY, "purge": "yes"},
    "setTaskLimits": {"id": NOBODY, **below("limits", LIMITS)},
    "setTaskEvents": {"id": NOBODY, **below("events", EVENTS)},
    "createEventToken": {"id": NOBODY},
    "setUpEvents": {"id": NOBODY},
    "takeDownEvents": {"id": NOBODY},
    "startRun": {"task": NOBODY},
    "stopRun": {"id": NOBODY, "abandon": "yes"},
    "retryRun": {"id": NOBODY, "code": NO_TEXT, "key": NO_TEXT, "keys": ["k"] * 1_001},
    "putCredential": CREDENTIAL,
    "deleteCredential": {"name": NOBODY},
    "rotateCredentials": {},
    "createUser": {"name": "two words", "password": "short", "role": "NONSENSE"},
    "setUserRole": {"name": NOBODY, "role": "NONSENSE"},
    "disableUser": {"name": NOBODY},
    "enableUser": {"name": NOBODY},
    "setPassword": {"name": NOBODY, "password": "short"},
    "changePassword": {"old": NO_TEXT, "new": "short"},
    "createLink": {"name": "two words", "role": "NONSENSE", "duration": "8d"},
    "createToken": {"label": "", "role": "NONSENSE", "duration": "forever", "scopes": []},
    "revokeToken": {"id": NOBODY},
    "putChannel": CHANNEL,
    "deleteChannel": {"name": NOBODY},
    "testChannel": {"name": NOBODY},
    "drainWorker": {"id": NOBODY},
}
CODES: Mapping[tuple[str, str], str] = {
    **{(mutation, "id"): "no_task" for mutation in (*OF_TASKS, "setTaskLimits", "setTaskEvents")},
    ("startRun", "task"): "no_task",
    ("stopRun", "id"): "no_run",
    ("retryRun", "id"): "no_run",
    ("drainWorker", "id"): "no_worker",
    ("revokeToken", "id"): "no_token",
    **{(mutation, "name"): "no_user" for mutation in OF_USERS},
    ("deleteCredential", "name"): "no_credential",
    ("deleteChannel", "name"): "no_channel",
    ("testChannel", "name"): "no_channel",
}
"""Of the rows whose bad input is the id or the name of nothing; the others are of bad_input."""


def case(mutation: str, path: str, good: dict[str, Any]) -> dict[str, Any]:
    """The good variables with the bad value at `path`."""
    bad = BAD[mutation][path]
    arguments = fields_of("mutation")[mutation].args
    where = path.split(".")
    if where[0] not in arguments:
        where = ["input", *where]
    for others, adapt in ADAPTED:
        if path in others or path.rpartition(".")[2] in others:
            adapt(good, where)
    put(good, where, bad)
    return good


def without_place(named: str) -> str:
    """The list, where one of its things is named: this table has a row for the list."""
    outer, _, last = named.rpartition(".")
    return outer if last.isdecimal() else named


def by_url(good: dict[str, Any], where: Sequence[str]) -> None:
    """A location has its url instead of its parts."""
    good["input"][where[1]][where[-2]] = {}


def by_name(good: dict[str, Any], _: Sequence[str]) -> None:
    del good["input"]["images"]["all"]


def without_cron(good: dict[str, Any], _: Sequence[str]) -> None:
    good["input"]["schedule"].pop("cron", None)


def by_mail(good: dict[str, Any], where: Sequence[str]) -> None:
    if "kind" in good["input"] and good["input"]["kind"] == "webhook":
        good["input"] = deepcopy(EMAIL)


ADAPTED: Sequence[tuple[frozenset[str], Callable[[dict[str, Any], Sequence[str]], None]]] = (
    (frozenset({"spec.source.url", "spec.destination.url", "spec.inventory.url"}), by_url),
    (frozenset({"images.source.url", "images.destination.url"}), by_url),
    (frozenset({"images.images"}), by_name),
    (frozenset({"schedule.once", "schedule.every"}), without_cron),
    (frozenset({"host", "port", "security", "sender", "recipients"}), by_mail),
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_served("memory", tmp_path_factory.mktemp("hub")) as desk:
        yield desk


CASES = [(mutation, path) for mutation, paths in BAD.items() for path in paths]


@pytest.mark.parametrize(("mutation", "path"), CASES, ids=[" ".join(pair) for pair in CASES])
def test_bad_input_is_named_and_changes_nothing(desk: Desk, mutation: str, path: str) -> None:
    asked = case(mutation, path, desk.good(mutation, images=path.startswith("images")))
    query = written("mutation", mutation, {name: asked[name] for name in asked})
    before = taken(desk.world)
    answer = desk.client.ask(query, **asked)
    assert taken(desk.world) == before
    faults = [
        (error["extensions"]["code"], fault["field"])
        for error in answer["errors"]
        for fault in error["extensions"].get("fields", ())
    ]
    assert [(code, without_place(named)) for code, named in faults] == [
        (CODES.get((mutation, path), "bad_input"), path)
    ], answer
    assert "s3cret" not in str(answer)


def test_every_argument_and_every_field_has_a_row() -> None:
    assert BAD.keys() == fields_of("mutation").keys()
    for mutation, paths in BAD.items():
        assert set(inputs_of(mutation)) == paths.keys(), mutation


@pytest.mark.parametrize("mutation", [name for name in BAD if name != "rotateCredentials"])
def test_what_is_left_out_is_named(desk: Desk, mutation: str) -> None:
    answer = desk.client.ask(written("mutation", mutation, {}))
    needed = [
        name for name, of in fields_of("mutation")[mutation].args.items() if str(of.type)[-1] == "!"
    ]
    assert [error["extensions"]["field"] for error in answer["errors"]] == needed
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"bad_input"}


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize(
    ("mutation", "path"),
    [("createTask", "name"), ("createTask", "spec.source.endpoint"), ("cloneTask", "name"),
     ("createUser", "name"), ("putCredential", "accessKeyId"), ("retryRun", "key")],
)  # fmt: skip
def test_text_that_no_database_holds_is_refused(
    desk: Desk, mutation: str, path: str, text: str
) -> None:
    asked = desk.good(mutation)
    where = path.split(".")
    put(asked, where if where[0] in asked or mutation == "retryRun" else ["input", *where], text)
    before = taken(desk.world)
    answer = desk.client.ask(written("mutation", mutation, asked), **asked)
    assert [error["extensions"]["field"] for error in answer["errors"]] == [path]
    assert taken(desk.world) == before


def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    bad = {
        "name": "",
        "tags": ["two words"],
        "spec": {"source": {"url": "x"}, "destination": {"url": "s3://b"}, "minSize": -1},
        "schedule": {"cron": "x", "windows": [{"from": "x", "to": "06:00"}]},
        "limits": {"requests": 0},
    }
    create = "mutation ($t: TaskInput!) { createTask(input: $t) { id } }"
    assert [field for _, field in desk.client.refused(create, t=bad)] == [
        "name",
        "tags",
        "spec.source.url",
        "spec.minSize",
        "schedule.cron",
        "schedule.windows.0.from",
        "limits.requests",
    ]
