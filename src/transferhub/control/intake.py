"""`Intake`: takes in what stores say of their changes, from queues and over HTTP."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from transferhub.control.secrets import digest_of
from transferhub.control.turnstile import address_key
from transferhub.control.vault import Credentials
from transferhub.errors import InputError, SignInError, TooManyError
from transferhub.model.clock import Clock
from transferhub.model.event import EventSource, ObjectEvent, SourceKind
from transferhub.model.people import CredentialKind
from transferhub.model.run import Task, TaskId
from transferhub.plugins.objects.events import read_events
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.base import TaskStore
from transferhub.state.events import Inbox

log = logging.getLogger(__name__)

_LONGEST_KEY = 1_024
_SENT = 200.0
"""Requests of one task's sender that one server takes in a second. A request may name many keys."""

_REFUSED = 1.0
"""Bad tokens of one address that one server looks at in a second."""

_BURST_SECONDS = 10
_MOST_BOUNDS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a sender shows that it is one: by the token, or by an HMAC-SHA256 over the body with the
    token as key, in hexadecimal digits."""

    token: str = ""
    signature: str = ""


class Intake:
    """Puts events into the inbox; those of other buckets and prefixes are passed over."""

    def __init__(
        self, store: TaskStore, inbox: Inbox, credentials: Credentials, *, clock: Clock
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._credentials = credentials
        self._refusals = _Bounds(_REFUSED, clock)
        self._requests = _Bounds(_SENT, clock)

    async def take(self, task: Task, bodies: Sequence[str | bytes]) -> Sequence[bool]:
        """Returns of each body whether it was read; the events of these are in the inbox then."""
        events: list[ObjectEvent] = []
        read = []
        for body in bodies:
            try:
                events += read_events(body)
            except InputError as error:
                log.warning(
                    "task %s got what is no event: %s",
                    task.ident,
                    error.message,
                    extra={"action": "event_unreadable", "task": task.ident},
                )
                read.append(False)
            else:
                read.append(True)
        await self._put(task, events)
        return read

    async def receive(self, ident: TaskId, body: bytes, proof: Proof, *, address: str) -> int:
        """Takes in one request of a webhook's sender.

        Returns:
            How many of its events are the task's.

        Raises:
            SignInError: there is no such task with a webhook, or the proof is wrong; which of them
                is not told.
            TooManyError: the sender, or who claims to be it, asks too often.
            InputError: the body is no event.
        """
        key = address_key(address)
        self._refusals.check(key)
        task = await self._proven(ident, body, proof)
        if task is None:
            self._refusals.count(key)
            raise SignInError("Send the token that this task's webhook was given.")
        self._requests.check(ident)
        self._requests.count(ident)
        return await self._put(task, read_events(body))

    async def _proven(self, ident: TaskId, body: bytes, proof: Proof) -> Task | None:
        task = await self._store.get_task(ident)
        secret = "" if task is None else await self._secret(task)
        return task if proves(proof, secret, body) and secret else None

    async def _secret(self, task: Task) -> str:
        """Empty where the task has no webhook, or its token is gone."""
        source = EventSource.from_json(task.events) if task.events else None
        if source is None or source.kind is not SourceKind.WEBHOOK:
            return ""
        try:
            opened = await self._credentials.open(source.credential)
        except InputError:
            log.warning(
                "task %s names a token that is not stored",
                task.ident,
                extra={"action": "event_token_missing", "task": task.ident},
            )
            return ""
        return opened.fields["token"] if opened.credential.kind is CredentialKind.TOKEN else ""

    async def _put(self, task: Task, events: Sequence[ObjectEvent]) -> int:
        ours = events_for(task, events)
        if ours:
            await self._inbox.put(task.ident, ours)
        return len(ours)


def events_for(task: Task, events: Sequence[ObjectEvent]) -> list[ObjectEvent]:
    """Those of the task's source."""
    source = ObjectsSpec.from_json(task.spec).source
    return [
        event
        for event in events
        if event.bucket == source.bucket
        and event.key.startswith(source.prefix)
        and _can_be_stored(event.key)
    ]


def proves(proof: Proof, secret: str, body: bytes) -> bool:
    """Takes as long whatever is wrong."""
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    by_token = hmac.compare_digest(digest_of(proof.token), digest_of(secret))
    by_signature = hmac.compare_digest(digest_of(proof.signature.lower()), digest_of(signature))
    return by_signature if proof.signature else by_token


def _can_be_stored(key: str) -> bool:
    try:
        return 0 < len(key.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False  # no key of a store: keys are UTF-8


class _Bounds:
    """Lets each name do something only so often, a burst ahead."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._each = timedelta(seconds=1 / per_second)
        self._ahead = self._each * per_second * _BURST_SECONDS
        self._clock = clock
        self._until: dict[str, datetime] = {}

    def check(self, name: str) -> None:
        """Raises TooManyError where the name must wait."""
        now = self._clock()
        wait = self._until.get(name, now) - self._ahead - now
        if wait > timedelta():
            raise TooManyError("Too many requests; send more events in each, or wait.", wait=wait)

    def count(self, name: str) -> None:
        now = self._clock()
        if len(self._until) >= _MOST_BOUNDS:
            self._until = {at: until for at, until in self._until.items() if until > now}
        self._until[name] = max(self._until.get(name, now), now) + self._each
