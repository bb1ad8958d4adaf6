"""How tasks hear of changes: the verbs of `dth task events` on the state of this machine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from transferhub.control.events import Events
from transferhub.model.event import EventStatus
from transferhub.model.people import Caller
from transferhub.model.run import TaskId
from transferhub.plugins.objects.notifications import Piece

T = TypeVar("T")


class LocalEvents:
    """What is typed is done as the administrator who typed it."""

    def __init__(
        self, verbs: Events, me: Caller, wait: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self._verbs = verbs
        self._me = me
        self._wait = wait

    def status(self, ident: TaskId) -> EventStatus:
        return self._done(self._verbs.status(self._me, ident))

    def pieces(self, ident: TaskId, hub_url: str) -> list[Piece]:
        return self._done(self._verbs.arrangement(self._me, ident, hub_url=hub_url)).pieces()

    def listen(self, ident: TaskId, values: Mapping[str, Any]) -> None:
        self._done(self._verbs.set_source(self._me, ident, values))

    def new_token(self, ident: TaskId) -> str:
        return self._done(self._verbs.new_token(self._me, ident))[1]

    def set_up(self, ident: TaskId) -> None:
        self._done(self._verbs.set_up(self._me, ident))

    def take_down(self, ident: TaskId) -> bool:
        return self._done(self._verbs.take_down(self._me, ident))

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        result: T = self._wait(work)
        return result
