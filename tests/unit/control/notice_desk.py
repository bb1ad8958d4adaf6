"""Notifications over state in memory, with receivers that say what the test tells them to."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tests.unit.control.hub_desk import ADMIN, HubDesk
from transferhub.control.channels import Channels, OpenChannels
from transferhub.control.courier import Courier
from transferhub.control.key_ring import KeyFile
from transferhub.control.letters import Desk, Letter
from transferhub.control.lookout import Lookout
from transferhub.control.notices import Notices
from transferhub.control.vault import Credentials
from transferhub.model.channel import KINDS
from transferhub.model.notice import Notice, NoticeKind
from transferhub.state.memory import MemorySeats, MemoryVault
from transferhub.state.memory.notices import MemoryChannels, MemoryOutbox

SLACK_URL = "https://hooks.slack.test/services/T0/B0/s3cr3ts3cr3t"
SLACK = {"kind": "slack", "name": "ops", "url": SLACK_URL}
EMAIL = {
    "kind": "email",
    "name": "mail",
    "host": "smtp.test",
    "user": "hub",
    "password": "p4ssw0rd!",
    "sender": "hub@example.org",
    "recipients": ["ops@example.org", "me@example.org"],
}
WEBHOOK = {
    "kind": "webhook",
    "name": "hook",
    "url": "https://own.test/in?token=t0k3nt0k3n",
    "secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
}
SECRETS = ("s3cr3ts3cr3t", "p4ssw0rd!", "t0k3nt0k3n", "whsec_c2VjcmV0c2VjcmV0c2VjcmV0")
ADDRESSES = {
    "smtp.test": ["192.0.2.5"],
    "local.test": ["127.0.0.1", "::1"],
    "half.test": ["127.0.0.1", "192.0.2.1"],
    "sneaky.test": ["192.0.2.9", "169.254.169.254"],
}


class Receiver:
    """A Sender whose receiver fails as `faults` say, then takes all."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.faults: list[BaseException] = []
        self.came = asyncio.Event()

    async def send(self, channel: Any, letter: Letter) -> str:
        if self.faults:
            raise self.faults.pop(0)
        self.letters.append(letter)
        self.came.set()
        return f"{channel.name} took it"


class NoticeDesk(HubDesk):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        numbers = count(1)

        def ident() -> str:
            return f"m{next(numbers)}"

        def clock() -> Any:
            return self.now

        self.receiver = Receiver()
        self.senders = dict.fromkeys(KINDS, self.receiver)
        self.outbox = MemoryOutbox(clock)
        self.kept = MemoryChannels(self.outbox)
        self.ring = KeyFile(folder / "keys")
        self.vault = MemoryVault()
        self.letters = Desk("https://hub.test/", clock=clock, new_ident=ident)
        self.channels = Channels(
            self.kept,
            self.outbox,
            self.ring,
            self.senders,
            self.letters,
            self.journal,
            clock=clock,
            resolve=self.resolve,
            others=(self.vault,),
        )
        self.credentials = Credentials(
            self.vault, self.ring, self.journal, clock, others=(self.kept,)
        )
        self.notices = Notices(self.kept, self.store, self.outbox, new_ident=ident)
        self.seats = MemorySeats(clock)
        self.lags: dict[Any, Any] = {}
        self.lookout = self.new_lookout("one")
        self.courier = self.new_courier()

    def new_courier(self) -> Courier:
        opened = OpenChannels(self.kept, self.ring)
        return Courier(
            self.outbox,
            opened,
            self.senders,
            self.letters,
            clock=lambda: self.now,
            chance=lambda: 0.5,
            wait=self.rest,
        )

    def new_lookout(self, holder: str) -> Lookout:
        return Lookout(
            self.store,
            self.ledger,
            self.seats,
            self.notices,
            holder=holder,
            clock=lambda: self.now,
            lags=self.read_lags,
            wait=self.rest,
        )

    async def rest(self, stop: asyncio.Event, duration: timedelta) -> None:
        await asyncio.sleep(0)

    async def read_lags(self) -> Any:
        return self.lags

    async def resolve(self, host: str) -> list[str]:
        return ADDRESSES.get(host, ["192.0.2.1"])

    async def put(self, values: Mapping[str, Any] = SLACK, **more: Any) -> Any:
        return await self.channels.put(ADMIN, {**values, **more})

    async def tell(self, ident: str, kind: NoticeKind = NoticeKind.RUN_FAILED, **more: Any) -> bool:
        return await self.notices.tell(Notice(ident=ident, kind=kind, at=self.now, **more))

    async def deliver(self, seconds: float = 5) -> list[Letter]:
        """What was received by now."""
        self.now += timedelta(seconds=seconds)
        await self.courier.tick()
        return self.receiver.letters
