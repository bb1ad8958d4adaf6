"""`Channels`: where notifications go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from transferhub.control.access import authorise
from transferhub.control.endpoints import Resolve, address_of, check_endpoint
from transferhub.control.journal import Journal
from transferhub.control.key_ring import KeyRing
from transferhub.control.letters import Desk, Letter
from transferhub.control.vault import SealedPlace, present_key, seal, unseal
from transferhub.errors import InputError, SendError
from transferhub.model.channel import (
    KINDS,
    Channel,
    EmailChannel,
    Security,
    parse_channel,
    public,
    secrets_of,
)
from transferhub.model.clock import Clock
from transferhub.model.notice import Message, StoredChannel
from transferhub.model.people import Caller, Role, Scope
from transferhub.state.notices import ChannelStore, Outbox

MOST_CHANNELS = 100
PATIENCE = timedelta(seconds=45)
"""How long one attempt may take."""


class Sender(Protocol):
    """Sends to one kind of channel."""

    async def send(self, channel: Any, letter: Letter) -> str:  # noqa: ANN401 - its kind's model
        """Sends once, and returns what the receiver answered when it has accepted the letter. The
        same letter, by its id, may be sent again.

        Raises:
            SendError: the receiver refused it, or did not answer; holds no secret.
        """


Senders = Mapping[str, Sender]
"""By kind of channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """A channel as people see it.

    Attributes:
        kind: which of `KINDS`.
        settings: its fields as JSON values, without secrets. `put` takes them, and keeps the
            secrets that are left out.
        described: where its messages go.
        last: the newest message that was for it.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    described: str
    created_at: datetime
    updated_at: datetime
    version: int
    last: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a test went.

    Attributes:
        sentence: what the receiver said.
    """

    delivered: bool
    sentence: str


class OpenChannels:
    """Channels with their secrets, for whoever sends; never for an answer to a caller."""

    def __init__(self, store: ChannelStore, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def open(self, name: str) -> Channel | None:
        """None where there is none of this name.

        Raises:
            VaultError: its secrets cannot be opened.
        """
        stored = await self._store.get_channel(name)
        return None if stored is None else self.opened(stored)

    def opened(self, stored: StoredChannel) -> Channel:
        """Raises VaultError where its secrets cannot be opened."""
        return parse_channel({**settings_of(stored), **unseal(stored.sealed, self._ring.keys())})


class Channels:
    """All verbs want an admin; none gives a secret back."""

    def __init__(
        self,
        store: ChannelStore,
        outbox: Outbox,
        ring: KeyRing,
        senders: Senders,
        desk: Desk,
        journal: Journal,
        *,
        clock: Clock,
        resolve: Resolve,
        others: Sequence[SealedPlace] = (),
        guarded: bool = True,
    ) -> None:
        """Args:
        others: places whose things are under the same keys: the vault.
        guarded: whether link-local addresses and metadata services are refused.
        """
        self._store = store
        self._outbox = outbox
        self._ring = ring
        self._senders = senders
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._resolve = resolve
        self._places = (store, *others)
        self._guarded = guarded
        self._open = OpenChannels(store, ring)

    async def list(self, caller: Caller) -> Sequence[ChannelView]:
        """By name."""
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        stored = await self._store.channels(limit=MOST_CHANNELS)
        return [await self._view(channel) for channel in stored]

    async def put(self, caller: Caller, values: Mapping[str, Any]) -> ChannelView:
        """Creates the channel, or replaces the one of its name.

        Args:
            values: the fields of one of `KINDS`, and its `kind`. A secret that is left out or None
                stays as it is, while what it is given to stays the same.

        Raises:
            InputError: one for each field that is wrong; none quotes a secret.
            ConflictError: another writer came first.
            VaultError
        """
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        was = await self._store.get_channel(str(values.get("name", "")))
        channel = self._parsed(values, was)
        await self._check(channel, was)
        now = self._clock()
        made = StoredChannel(
            name=channel.name,
            document={**public(channel), "described": channel.described},
            created_at=was.created_at if was else now,
            updated_at=now,
            version=was.version + 1 if was else 1,
        )
        key = await present_key(self._ring, self._places)
        sealed = seal(made.credential, secrets_of(channel), key)
        made = replace(made, key_id=sealed.key_id, box=sealed.box)
        if was is None:
            await self._store.create_channel(made)
        else:
            await self._store.replace_channel(made, was)
        await self._journal.note(
            caller,
            "channel.replace" if was else "channel.create",
            channel.name,
            before=_told(was) if was else None,
            after=_told(made),
        )
        return await self._view(made)

    async def delete(self, caller: Caller, name: str) -> None:
        """What waits to be sent to it is given up."""
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        was = await self._store.get_channel(name)
        if was is None or not await self._store.delete_channel(name):
            raise _no_channel(name)
        await self._journal.note(caller, "channel.delete", name, before=_told(was))

    async def test(self, caller: Caller, name: str) -> Trial:
        """Sends a message at once, also where the channel is switched off.

        Raises:
            InputError: there is none of this name.
            VaultError
        """
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        channel = await self._open.open(name)
        if channel is None:
            raise _no_channel(name)
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                said = await self._senders[channel.kind].send(channel, self._desk.trial(channel))
        except SendError as error:
            trial = Trial(delivered=False, sentence=error.message)
        except TimeoutError:
            trial = Trial(delivered=False, sentence=too_slow())
        else:
            trial = Trial(delivered=True, sentence=said)
        await self._journal.note(caller, "channel.test", name, after={"delivered": trial.delivered})
        return trial

    async def messages(
        self, caller: Caller, *, channel: str = "", before: int | None = None, limit: int = 100
    ) -> Sequence[Message]:
        """What was sent, is being sent, or was given up: newest first, those whose numbers are
        below `before`."""
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        return await self._outbox.messages(channel=channel, before=before, limit=limit)

    def _parsed(self, values: Mapping[str, Any], was: StoredChannel | None) -> Channel:
        given = {name: value for name, value in values.items() if value is not None}
        kind = KINDS.get(str(given.get("kind", "")))
        if was is None or kind is None or settings_of(was)["kind"] != given["kind"]:
            return parse_channel(given)
        left_out = set(kind.SECRETS) - given.keys()
        if not left_out or (kind is EmailChannel and not given.get("user")):
            return parse_channel(given)
        known = self._open.opened(was)
        kept = {name: text for name, text in secrets_of(known).items() if name in left_out}
        channel = parse_channel({**given, **kept})
        if isinstance(channel, EmailChannel) and channel.target != known.target:
            raise InputError("password", "give it again: it would go to another server or user")
        return channel

    async def _check(self, channel: Channel, was: StoredChannel | None) -> None:
        field = "host" if isinstance(channel, EmailChannel) else "url"
        if self._guarded:
            await check_endpoint(channel.target, self._resolve, field=field)
        if isinstance(channel, EmailChannel):
            await self._check_security(channel)
        if was is None and len(await self._store.channels(limit=MOST_CHANNELS)) >= MOST_CHANNELS:
            raise InputError("name", f"there are {MOST_CHANNELS} channels already; delete one")

    async def _check_security(self, channel: EmailChannel) -> None:
        if channel.security is not Security.NONE:
            return
        written = address_of(channel.host)
        found = [channel.host] if written else await self._resolve(channel.host)
        addresses = [address_of(address) for address in found]
        if not addresses or not all(at is not None and at.is_loopback for at in addresses):
            raise InputError("security", "none is for a server on this machine; take starttls")

    async def _view(self, stored: StoredChannel) -> ChannelView:
        settings = settings_of(stored)
        return ChannelView(
            name=stored.name,
            kind=settings["kind"],
            settings=settings,
            described=stored.document["described"],
            created_at=stored.created_at,
            updated_at=stored.updated_at,
            version=stored.version,
            last=next(iter(await self._outbox.messages(channel=stored.name, limit=1)), None),
        )


def settings_of(stored: StoredChannel) -> dict[str, Any]:
    """Its fields as JSON values, without secrets."""
    return {name: value for name, value in stored.document.items() if name != "described"}


def too_slow() -> str:
    return f"The receiver did not answer within {PATIENCE.total_seconds():.0f} seconds."


def _no_channel(name: str) -> InputError:
    return InputError("name", f"there is no channel {name[:128]!r}", code="no_channel")


def _told(stored: StoredChannel) -> Mapping[str, Any]:
    return {**stored.document, "version": stored.version}
