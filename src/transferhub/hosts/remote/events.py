"""How tasks hear of changes: the verbs of `dth task events` on a hub elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferhub.hosts.remote.answers import moment, snaked
from transferhub.hosts.remote.inputs import camel
from transferhub.hosts.remote.line import Line
from transferhub.model.event import EventSource, EventStatus, SourceKind
from transferhub.model.run import TaskId
from transferhub.plugins.objects.notifications import Piece

_KINDS = {SourceKind.SQS: "QUEUE", SourceKind.WEBHOOK: "WEBHOOK"}

_STATUS = """
query($id: ID!) {
  taskEvents(id: $id) {
    source { kind queueUrl region endpoint credential } waiting since
  }
}
"""
_SETUP = """
query($id: ID!, $hubUrl: String!) { eventSetup(id: $id, hubUrl: $hubUrl) { title text } }
"""
_LISTEN = """
mutation($id: ID!, $events: EventSourceInput) { setTaskEvents(id: $id, events: $events) { id } }
"""
_NEW_TOKEN = "mutation($id: ID!) { createEventToken(id: $id) { secret } }"  # noqa: S105 - a document
_SET_UP = "mutation($id: ID!) { setUpEvents(id: $id) }"
_TAKE_DOWN = "mutation($id: ID!) { takeDownEvents(id: $id) }"


class RemoteEvents:
    """What the token allows is decided there."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def status(self, ident: TaskId) -> EventStatus:
        told = self._ask(_STATUS, ident)
        since = told["since"]
        return EventStatus(
            source=_source(told["source"]) if told["source"] else None,
            waiting=int(told["waiting"]),
            since=moment(since) if since else None,
        )

    def pieces(self, ident: TaskId, hub_url: str) -> list[Piece]:
        return [Piece(**piece) for piece in self._ask(_SETUP, ident, hubUrl=hub_url)]

    def listen(self, ident: TaskId, values: Mapping[str, Any]) -> None:
        given = {camel(name): value for name, value in values.items()}
        if given:
            given["kind"] = _KINDS[SourceKind(given["kind"])]
        self._ask(_LISTEN, ident, events=given or None)

    def new_token(self, ident: TaskId) -> str:
        return str(self._ask(_NEW_TOKEN, ident)["secret"])

    def set_up(self, ident: TaskId) -> None:
        self._ask(_SET_UP, ident)

    def take_down(self, ident: TaskId) -> bool:
        return bool(self._ask(_TAKE_DOWN, ident))

    def _ask(self, document: str, ident: TaskId, **given: Any) -> Any:  # noqa: ANN401 - JSON
        return self._line.ask(document, {"id": ident, **given}, ident="task")


def _source(told: Mapping[str, Any]) -> EventSource:
    kind = next(kind for kind, name in _KINDS.items() if name == told["kind"])
    return EventSource.from_json({**snaked(told), "kind": kind.value})
