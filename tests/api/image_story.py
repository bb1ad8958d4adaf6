"""What clients do with tasks of images."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.api.hub_world import TASK, GraphClient, World

TO_ECR = {"source": {"url": "10.0.0.1:5000/team"}, "destination": {"url": "ecr://eu-west-1"}}


def story_of_images(world: World) -> Iterator[GraphClient]:
    client = world.user_client("ina")
    yield client
    parts = "id version kind source destination spec nextRunAt createdAt schedule { every anchor }"
    create = f"mutation ($t: TaskInput!) {{ createTask(input: $t) {{ {parts} }} }}"
    rename = [{"from": "app", "to": "web"}]
    images = {**TO_ECR, "all": True, "newest": 5, "rename": rename}
    asked = {"name": "Images", "images": images}
    task = client.get(create, t=asked)
    assert (task["kind"], task["source"], task["destination"]) == (
        *("IMAGES", "10.0.0.1:5000/team", "ecr://eu-west-1"),
    )
    spec = json.loads(task["spec"])
    assert spec["source"] == {"host": "10.0.0.1:5000", "prefix": "team/"}
    assert (spec["newest"], spec["rename"]) == (5, rename)
    again = client.get(create, t={"name": "Again", "kind": "IMAGES", "images": spec})
    assert json.loads(again["spec"]) == spec

    created = datetime.fromisoformat(task["createdAt"]).replace(microsecond=0)
    assert task["schedule"]["every"] == "86400s"
    assert datetime.fromisoformat(task["schedule"]["anchor"]) == created
    assert datetime.fromisoformat(task["nextRunAt"]) == created + timedelta(days=1)
    nothing: tuple[dict[str, Any] | None, ...] = (None, {})
    for none in nothing:
        assert client.get(create, t={**asked, "schedule": none})["schedule"] is None
    objects = {"name": "Objects", "spec": TASK["spec"]}
    assert client.get(create, t=objects)["schedule"] is None
    update = f"""mutation ($i: ID!, $v: Int!, $t: TaskInput!) {{
        updateTask(id: $i, version: $v, input: $t) {{ {parts} }} }}"""
    changed = {"name": "Images", "images": {**images, "newest": 4}}
    updated = client.get(update, i=task["id"], v=task["version"], t=changed)
    assert updated["schedule"] == task["schedule"]

    for wrong, field in (
        ({"spec": TASK["spec"], "images": images}, "images"),
        ({"kind": "OBJECTS", "images": images}, "images"),
        ({"kind": "IMAGES", "spec": TASK["spec"]}, "spec"),
        ({"kind": "IMAGES"}, "images"),
        ({}, "spec"),
        ({"images": {**TO_ECR, "all": True, "rename": [*rename, {"from": "app", "to": "b"}]}},
         "images.rename"),
        ({"images": TO_ECR}, "images.images"),
    ):  # fmt: skip
        assert client.refused(create, t={"name": "x", **wrong}) == [("bad_input", field)], wrong
    moved = {"i": task["id"], "v": 2, "t": objects}
    assert client.refused(update, **moved) == [("bad_input", "kind")]
    follow = "mutation ($i: ID!, $e: EventSourceInput) { setTaskEvents(id: $i, events: $e) { id } }"
    assert client.refused(follow, i=task["id"], e={"kind": "WEBHOOK"}) == [("bad_input", "events")]
    listed = client.get('{ tasks(filter: {kind: IMAGES}, search: "again") { items { id } } }')
    assert [item["id"] for item in listed["items"]] == [again["id"]]
    schema = json.loads(client.get("{ specSchema(kind: IMAGES) }"))
    assert "newest" in schema["properties"]


def story_of_registries(world: World) -> Iterator[GraphClient]:
    client = world.user_client("rae")
    yield client
    images = {**TO_ECR, "all": True}
    create = "mutation ($t: TaskInput!) { createTask(input: $t) { id } }"
    task = client.get(create, t={"name": "Images", "images": images})
    test = """query ($l: LocationInput, $r: RegistryInput) {
        testConnection(location: $l, registry: $r, side: SOURCE) {
            works url steps { attempted outcome } } }"""
    assert client.get(test, r={"scheme": "public"}) == {
        "works": True,
        "url": "public",
        "steps": [{"attempted": at, "outcome": "SKIPPED"} for at in ("LIST", "READ")],
    }
    location = {"url": "s3://a"}
    assert client.refused(test, l=location, r={"url": "public"}) == [("bad_input", "location")]
    assert client.refused(test) == [("bad_input", "location")]
    for wrong, field in (({"host": "a host"}, "host"), ({"scheme": "ftp"}, "scheme")):
        assert client.refused(test, r=wrong) == [("bad_input", f"registry.{field}")]

    preview = """query ($i: ImagesSpecInput, $t: ID, $s: Int) {
        previewImages(images: $i, task: $t, seconds: $s) { copies firstRows { kind tag } } }"""
    nobody = {**images, "source": {"host": "127.0.0.1:1", "plainHttp": True}}
    nobody["destination"] = {"host": "127.0.0.1:2", "plainHttp": True}
    assert client.refused(preview, i=nobody, s=1) == [("timeout", "")]
    assert client.refused(preview, i={**images, "newest": 0}) == [("bad_input", "images.newest")]
    assert client.refused(preview, i=images, t=task["id"]) == [("bad_input", "task")]
    assert client.refused(preview, t="nothing") == [("no_task", "task")]
    of_objects = "query ($t: ID!) { preview(task: $t) { copies } }"
    assert client.refused(of_objects, t=task["id"]) == [("bad_input", "task")]
    assert client.refused(preview, t=client.create()["id"]) == [("bad_input", "task")]
