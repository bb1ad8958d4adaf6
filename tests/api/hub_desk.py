"""A hub with one of everything, and what each mutation takes to do something with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.api.hub_world import GraphClient, Kind, World, hub_served
from tests.api.web import PASSWORD
from transferhub.model.people import Role
from transferhub.model.run import RunState
from transferhub.model.transfer import RunId

OF_TASKS = (
    "updateTask",
    "cloneTask",
    "pauseTask",
    "resumeTask",
    "deleteTask",
    "createEventToken",
    "setUpEvents",
    "takeDownEvents",
)
GOOD_SPEC = {
    "source": {"scheme": "s3", "bucket": "photos", "prefix": "2026/"},
    "destination": {"scheme": "s3", "bucket": "backup"},
    "inventory": {"scheme": "s3", "bucket": "lists"},
    "inventoryKey": "manifest.json",
}
GOOD_TASK = {
    "name": "Photos",
    "spec": GOOD_SPEC,
    "schedule": {
        "cron": "0 3 * * *",
        "windows": [{"kind": "BANDWIDTH", "from": "22:00", "to": "06:00", "bandwidth": 1e6}],
    },
    "limits": {"concurrency": 5},
}
GOOD_IMAGES = {
    "name": "Images",
    "images": {
        "source": {"host": "registry.example.com", "prefix": "team/"},
        "destination": {"scheme": "ecr", "region": "eu-west-1", "credential": "keys"},
        "all": True,
        "rename": [{"from": "app", "to": "web"}],
    },
    "schedule": {"cron": "0 3 * * *"},
}
EMAIL = {
    "kind": "email",
    "name": "mail",
    "host": "127.0.0.1",
    "user": "me",
    "password": "s3cret",
    "sender": "hub@example.com",
    "recipients": ["me@example.com"],
}
WEBHOOK = {
    "kind": "webhook",
    "name": "hook",
    "url": "http://127.0.0.1:1/hook",
    "secret": "sixteen-characters",
}


@dataclass
class Desk:
    """A hub with one of everything, and an administrator who signed in with a password."""

    world: World
    client: GraphClient
    known: dict[str, str] = field(default_factory=dict)

    def good(self, mutation: str, *, images: bool = False) -> dict[str, Any]:
        """Variables with which the mutation would do something.

        Args:
            images: to a task of images, where it creates or changes one.
        """
        known = self.known
        if images:
            of_task = {"id": known["images"], "version": 1} if mutation == "updateTask" else {}
            return deepcopy({**of_task, "input": GOOD_IMAGES})
        if mutation == "deleteTask":  # the others go on with theirs
            return {"id": self.client.create()["id"]}
        of_task = {"id": known["task"]}
        table: Mapping[str, dict[str, Any]] = {
            "createTask": {"input": GOOD_TASK},
            "updateTask": {**of_task, "version": 1, "input": GOOD_TASK},
            "cloneTask": {**of_task, "name": "Copy"},
            "setTaskLimits": {**of_task, "limits": {"concurrency": 5}},
            "setTaskEvents": {
                **of_task,
                "events": {
                    "kind": "QUEUE",
                    "queueUrl": "http://127.0.0.1:1/111122223333/q",
                    "credential": "keys",
                },
            },
            "startRun": {"task": known["task"]},
            "stopRun": {"id": known["running"]},
            "retryRun": {"id": known["ended"]},
            "putCredential": {
                "input": {
                    "name": "new",
                    "kind": "KEYS",
                    "accessKeyId": "AKIA",
                    "secretAccessKey": "s3cret",
                }
            },
            "deleteCredential": {"name": "keys"},
            "createUser": {"name": "new", "password": PASSWORD, "role": "VIEWER"},
            "setUserRole": {"name": "bob", "role": "ADMIN"},
            "setPassword": {"name": "bob", "password": PASSWORD},
            "changePassword": {"old": PASSWORD, "new": "a battery of new horses"},
            "createLink": {"name": "guest", "role": "VIEWER", "duration": "1h"},
            "createToken": {"label": "x", "role": "VIEWER", "duration": "1d", "scopes": ["TASKS"]},
            "putChannel": {"input": WEBHOOK},
            "drainWorker": {"id": known["worker"]},
        }
        return deepcopy(table.get(mutation, of_task if mutation in OF_TASKS else {}))


@contextmanager
def desk_served(kind: Kind, folder: Path) -> Iterator[Desk]:
    with hub_served(kind, folder) as world:
        client = world.user_client("ada", Role.ADMIN)
        world.do(world.hub.accounts.create_user(world.root, "bob", PASSWORD, Role.VIEWER))
        desk = Desk(world, client)
        running, ended = client.create()["id"], client.create()["id"]
        desk.known["task"] = client.create()["id"]
        desk.known["images"] = client.get(
            "mutation ($t: TaskInput!) { createTask(input: $t) { id } }", t=GOOD_IMAGES
        )["id"]
        desk.known["running"] = world.run_of(running).ident
        desk.known["ended"] = world.run_of(ended, RunState.COMPLETED_WITH_FAILURES).ident
        world.dead_letters(RunId(desk.known["ended"]), "a", "b")
        desk.known["worker"] = world.worker()
        put = "mutation ($c: CredentialInput!) { putCredential(input: $c) { name } }"
        given = {"kind": "KEYS", "accessKeyId": "AKIA", "secretAccessKey": "s3cret"}
        client.get(put, c={"name": "keys", **given})
        yield desk


def put(values: Any, where: Sequence[str], value: Any) -> None:
    """Sets what stands at a path of names and places."""
    *outer, last = where
    for name in outer:
        values = values[int(name)] if isinstance(values, list) else values.setdefault(name, {})
    if isinstance(values, list):
        values[int(last)] = value
    else:
        values[last] = value
