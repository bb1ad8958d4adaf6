"""The hub's API as the demo uses it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import sleep
from typing import Any

from tests.servers.hub import HubClient

_LOOK_SECONDS = 0.2
UNDER_WAY = ("QUEUED", "RUNNING")

_CREATE = "mutation Create($input: TaskInput!) { createTask(input: $input) { id version } }"
_UPDATE = """mutation Update($id: ID!, $version: Int!, $input: TaskInput!) {
  updateTask(id: $id, version: $version, input: $input) { id version }
}"""
_LIMIT = """mutation Limit($id: ID!, $limits: TaskLimitsInput!) {
  setTaskLimits(id: $id, limits: $limits) { id version }
}"""
_START = "mutation Start($task: ID!) { startRun(task: $task) { id } }"
_LINK = 'mutation Link { createLink(name: "demo", role: ADMIN) { secret } }'
_RUN = """query Run($id: ID!) {
  run(id: $id) {
    id state resumed error errorCode
    progress {
      listing scannedSource same new changed extra done failed vanished skipped deleted waiting
      bytes copyBytes
    }
  }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    id: str
    version: int


class Desk:
    """Whoever has signed in at a hub. All verbs raise HubError where it refuses."""

    def __init__(self, client: HubClient) -> None:
        self._client = client

    def create(self, given: Mapping[str, Any]) -> Task:
        return Task(**self._client.graph(_CREATE, input=given)["createTask"])

    def update(self, task: Task, given: Mapping[str, Any]) -> Task:
        asked = {"id": task.id, "version": task.version, "input": given}
        return Task(**self._client.graph(_UPDATE, **asked)["updateTask"])

    def limit(self, task: Task, limits: Mapping[str, Any]) -> Task:
        asked = {"id": task.id, "limits": limits}
        return Task(**self._client.graph(_LIMIT, **asked)["setTaskLimits"])

    def start(self, task: Task) -> str:
        """The id of the run."""
        return str(self._client.graph(_START, task=task.id)["startRun"]["id"])

    def watch(self, run: str) -> Iterator[Mapping[str, Any]]:
        """The run, again and again, until it has ended."""
        while (found := self._client.graph(_RUN, id=run)["run"])["state"] in UNDER_WAY:
            yield found
            sleep(_LOOK_SECONDS)
        yield found

    def link(self) -> str:
        """Where a browser signs in once."""
        return f"{self._client.url}#token={self._client.graph(_LINK)['createLink']['secret']}"

    def rest(self) -> None:
        """Leaves the connection, as a hub does with an idle one; the next verb makes another."""
        self._client.close()

    def close(self) -> None:
        self._client.close()
