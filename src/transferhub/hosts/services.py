"""The services of a hub, over one state."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

from transferhub.control.history import History
from transferhub.control.hub import Hub
from transferhub.control.journal import Journal
from transferhub.control.orders import Orders, ScheduledRuns
from transferhub.control.passwords import Effort, Passwords
from transferhub.control.people import Accounts
from transferhub.control.places import Places
from transferhub.control.reach import Reach
from transferhub.control.secrets import new_secret
from transferhub.control.signin import SignIn, SignInRules
from transferhub.control.tasks import Tasks
from transferhub.control.vault import Credentials
from transferhub.control.workers import Workers
from transferhub.hosts.events import EventServices, Queues
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.kinds import KINDS, kind_of
from transferhub.hosts.lending import Lender, grant_of
from transferhub.hosts.members import new_ident
from transferhub.hosts.places import HostLooks
from transferhub.hosts.post import Post
from transferhub.model.clock import utc_now


class Services:
    """Attributes:
    hub: what people and programs ask for.
    sign_in: how they come in.
    scheduled: what the scheduler starts.
    post: notifications.
    events: what follows changes at sources.
    """

    def __init__(
        self,
        state: HubState,
        settings: HubSettings,
        stack: AsyncExitStack,
        *,
        public_url: str,
    ) -> None:
        """Args:
        public_url: where links in messages lead.
        """
        clock = utc_now

        def ident() -> str:
            return new_ident(clock())

        journal, passwords = Journal(state.audit, clock), Passwords(Effort())
        grant = grant_of(settings)
        ring, guarded = grant.ring, not grant.rules.metadata
        reach = Reach(grant.rules)
        lender, env = Lender(state.vault, ring, guarded=guarded), dict(os.environ)
        looks = HostLooks(
            settings.base.state,
            env,
            lender,
            tuning=settings.base.tuning(),
            prices=settings.base.prices,
        )
        self.post = Post(state, ring, journal, stack, public_url=public_url, guarded=guarded)
        self.sign_in = SignIn(
            state.people,
            passwords,
            journal,
            clock=clock,
            new_secret=new_secret,
            rules=SignInRules(),
        )
        self.scheduled = ScheduledRuns(state.tasks, clock=clock, new_ident=ident)
        credentials = Credentials(state.vault, ring, journal, clock, others=(state.channels,))
        self.events = EventServices(
            state,
            credentials,
            journal,
            Queues(lender=lender, reach=reach, env=env),
            new_ident=ident,
            guarded=guarded,
        )
        self.hub = Hub(
            tasks=Tasks(
                state.tasks,
                state.ledger,
                journal,
                {name: kind_of(name).parse for name in KINDS},
                admit=reach.check_spec,
                clock=clock,
                new_ident=ident,
            ),
            orders=Orders(state.tasks, state.ledger, journal, clock=clock, new_ident=ident),
            workers=Workers(state.fleet, journal),
            accounts=Accounts(
                state.people,
                passwords,
                self.sign_in,
                journal,
                clock=clock,
                new_secret=new_secret,
            ),
            credentials=credentials,
            events=self.events.verbs,
            channels=self.post.channels,
            places=Places(state.tasks, looks, reach, journal),
            history=History(state.tasks, state.samples, state.logs),
            journal=journal,
        )
