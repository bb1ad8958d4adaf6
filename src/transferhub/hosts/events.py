"""What follows changes at sources, in a server: queues, webhooks, and the runs that they start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from transferhub.aws.queue import LONGEST_WAIT
from transferhub.control.endpoints import check_endpoint, is_refused, resolve_name
from transferhub.control.event_runs import EventRuns
from transferhub.control.events import Events
from transferhub.control.intake import Intake
from transferhub.control.journal import Journal
from transferhub.control.pump import Pump
from transferhub.control.reach import Reach
from transferhub.control.secrets import new_secret
from transferhub.control.tasks import NewIdent
from transferhub.control.vault import Credentials
from transferhub.control.waiting import wait
from transferhub.engine.groups import unless
from transferhub.errors import StateError, StoreError, UnsupportedError
from transferhub.hosts.credentials import Lent, choose_credentials
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.lending import Lender
from transferhub.hosts.s3 import credential_source, proxy_of
from transferhub.hosts.stores import open_store
from transferhub.model.clock import utc_now
from transferhub.model.event import EventSource
from transferhub.model.run import Task
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.notifications import EVENTS, Arrangement
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.queues.base import EventQueue
from transferhub.queues.sqs import SqsConfig, SqsQueue
from transferhub.stores.s3 import S3Store, TransportConfig
from transferhub.stores.s3.notifications import BucketNotifications
from transferhub.stores.wrapper import unwrapped

log = logging.getLogger(__name__)

_UNTIL_VALID = timedelta(seconds=2)
_TRIES = 6
"""A new policy holds after some seconds; S3 refuses a queue until it does."""


async def _sleep(duration: timedelta) -> None:
    await asyncio.sleep(duration.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Opens the queues of tasks: with the stored keys that they name, else with those of the task's
    source. What tasks of this hub may not reach is refused."""

    lender: Lender
    reach: Reach
    env: Mapping[str, str]

    async def open(self, task: Task, source: EventSource) -> EventQueue:
        """An `OpenQueue`."""
        return await self.of(ObjectsSpec.from_json(task.spec), source)

    async def of(self, spec: ObjectsSpec, source: EventSource) -> SqsQueue:
        """Raises:
        InputError: it may not be reached, or its credentials cannot be used.
        VaultError: they cannot be opened.
        """
        location = spec.source
        if source.credential:
            only = {"credentials_file": "", "profile": "", "anonymous": False}
            location = location.model_copy(update={"credential": source.credential, **only})
        location, lent = await self.reached(location)
        endpoint = source.endpoint.rstrip("/") or _origin(source.queue_url)
        transport = TransportConfig(
            ca_bundle=Path(location.ca_bundle) if location.ca_bundle else None,
            proxy=location.proxy or proxy_of(endpoint, self.env),
            read_timeout=2 * LONGEST_WAIT,
            connections=16,
            refuses=is_refused if lent.guarded else None,
        )
        config = SqsConfig(
            queue_url=source.queue_url,
            endpoint=endpoint,
            region=source.queue_region,
            transport=transport,
        )
        if lent.guarded:
            await check_endpoint(endpoint, resolve_name, field="events.queue_url")
        chosen = choose_credentials(location, self.env, lent)
        return SqsQueue(config, credential_source(chosen, source.queue_region))

    async def reached(self, location: Location) -> tuple[Location, Lent]:
        """A location that tasks of this hub may reach, and what it is reached with."""
        location = await self.reach.pinned_location(location)
        return location, await self.lender.lend([location])


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNotifier:
    """A Notifier for Amazon S3 and what speaks as it does."""

    queues: Queues
    wait: Callable[[timedelta], Awaitable[None]] = _sleep

    async def add(self, arrangement: Arrangement) -> None:
        # The bucket is refused a queue that does not let it send.
        queue = await self.queues.of(arrangement.spec, arrangement.source)
        try:
            policy = await queue.policy()
            merged = arrangement.merged(policy)
            if merged != policy:
                await queue.set_policy(merged)
        finally:
            await queue.aclose()
        await self._with_bucket(arrangement, lambda bucket: self._notify(bucket, arrangement))

    async def remove(self, arrangement: Arrangement) -> bool:
        told = await self._with_bucket(arrangement, lambda bucket: bucket.remove(arrangement.ident))
        queue = await self.queues.of(arrangement.spec, arrangement.source)
        try:
            policy = await queue.policy()
            others = arrangement.without(policy)
            if others != policy:
                await queue.set_policy(others)
            return told or others != policy
        finally:
            await queue.aclose()

    async def _notify(self, bucket: BucketNotifications, arrangement: Arrangement) -> bool:
        for tries_left in reversed(range(_TRIES)):
            try:
                await bucket.add_queue(
                    arrangement.ident, arrangement.queue_arn, EVENTS, prefix=arrangement.prefix
                )
            except StoreError as error:
                if not tries_left or "validate" not in error.message:
                    raise
                await self.wait(_UNTIL_VALID)
            else:
                break
        return True

    async def _with_bucket(
        self,
        arrangement: Arrangement,
        work: Callable[[BucketNotifications], Awaitable[bool]],
    ) -> bool:
        source, lent = await self.queues.reached(arrangement.spec.source)
        store = open_store(source, env=self.queues.env, lent=lent)
        try:
            await store.check()  # which finds the bucket's region
            bucket = unwrapped(store)
            if not isinstance(bucket, S3Store):
                raise UnsupportedError(f"{store.location} tells of no changes.")
            return await work(bucket.notifications)
        finally:
            await store.aclose()


class EventServices:
    """Attributes:
    verbs: what people say of where tasks hear of changes.
    intake: takes events in.
    pump: brings them from queues.
    """

    def __init__(
        self,
        state: HubState,
        credentials: Credentials,
        journal: Journal,
        queues: Queues,
        *,
        new_ident: NewIdent,
        guarded: bool,
    ) -> None:
        """Args:
        guarded: whether link-local addresses and metadata services are refused.
        """
        self._state = state
        self._new_ident = new_ident
        self.verbs = Events(
            state.tasks,
            state.inbox,
            journal,
            credentials,
            state.vault,
            SourceNotifier(queues=queues),
            check_url=_check_url if guarded else _allow_url,
            clock=utc_now,
            new_secret=new_secret,
        )
        self.intake = Intake(state.tasks, state.inbox, credentials, clock=utc_now)
        own = "" if state.own_queue is None else state.own_queue.name
        self.pump = Pump(state.tasks, self.intake, queues.open, own_queue=own)

    async def listen(self, stop: asyncio.Event) -> None:
        """Hears of changes in the queue of the hub's own work, until `stop` is set."""
        own = self._state.own_queue
        while own is not None and not stop.is_set():
            busy = True
            try:
                busy = bool(await unless(stop, own.listen(LONGEST_WAIT)))
            except StateError as error:
                log.warning("%s", error.message, extra={"action": "pump_failed"})
            if busy:
                await wait(stop, LONGEST_WAIT)

    def runs(self, holder: str) -> EventRuns:
        """Starts runs of events, in the name of a server."""
        state = self._state
        return EventRuns(
            state.tasks,
            state.inbox,
            state.ledger,
            state.seats,
            holder=holder,
            new_ident=self._new_ident,
        )


async def _check_url(url: str, field: str) -> None:
    await check_endpoint(url, resolve_name, field=field)


async def _allow_url(_: str, __: str) -> None:
    return
