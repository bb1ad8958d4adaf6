"""`Post`: what a server does about notifications."""

from __future__ import annotations

import random
import uuid
from contextlib import AsyncExitStack

from transferhub.control.channels import Channels, OpenChannels
from transferhub.control.courier import Courier
from transferhub.control.endpoints import resolve_name
from transferhub.control.journal import Journal
from transferhub.control.key_ring import KeyRing
from transferhub.control.letters import Desk
from transferhub.control.lookout import Lookout
from transferhub.control.notices import Notices
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.senders.all import open_senders
from transferhub.model.clock import utc_now
from transferhub.model.fleet import Member


def open_notices(state: HubState) -> Notices:
    return Notices(state.channels, state.tasks, state.outbox, new_ident=_new_ident)


class Post:
    """Attributes:
    channels: the verbs on channels.
    courier: sends what is to be sent.
    """

    def __init__(
        self,
        state: HubState,
        ring: KeyRing,
        journal: Journal,
        stack: AsyncExitStack,
        *,
        public_url: str,
        guarded: bool,
    ) -> None:
        """Args:
        public_url: where links in messages lead.
        guarded: whether link-local addresses and metadata services are refused.
        """
        self._state = state
        senders = open_senders(stack, guarded=guarded)
        desk = Desk(public_url, clock=utc_now, new_ident=_new_ident)
        self.channels = Channels(
            state.channels,
            state.outbox,
            ring,
            senders,
            desk,
            journal,
            clock=utc_now,
            resolve=resolve_name,
            others=(state.vault,),
            guarded=guarded,
        )
        self.courier = Courier(
            state.outbox,
            OpenChannels(state.channels, ring),
            senders,
            desk,
            clock=utc_now,
            chance=random.random,
        )

    def lookout(self, member: Member) -> Lookout:
        """Sees what people are to be told of, if it is this member's turn."""
        state = self._state
        return Lookout(
            state.tasks,
            state.ledger,
            state.seats,
            open_notices(state),
            holder=member.ident,
            clock=utc_now,
            lags=state.inbox.lag,
        )


def _new_ident() -> str:
    return uuid.uuid4().hex
