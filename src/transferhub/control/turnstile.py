"""`Turnstile`: lets each name and address try to sign in only so often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

from transferhub.errors import TooManyError
from transferhub.model.clock import Clock
from transferhub.model.people import Strikes
from transferhub.state.people import People

_NO_TIME = timedelta()
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How failures are answered.

    Attributes:
        free: so many failures cost no pause.
        first: the pause after the next one; each further one doubles it.
        longest: no pause is longer.
        forget: after so long without a try, failures are forgotten.
    """

    free: int
    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(minutes=15)
    forget: timedelta = timedelta(hours=24)

    def pause(self, failures: int) -> timedelta:
        over = failures - self.free
        if over <= 0:
            return _NO_TIME
        return min(self.first * (1 << min(over - 1, 32)), self.longest)


class Turnstile:
    """Counts a try before it is made, so that many at once are not one. It counts in the state: all
    servers together."""

    def __init__(self, people: People, clock: Clock) -> None:
        self._people = people
        self._clock = clock

    async def enter(self, key: str, patience: Patience) -> None:
        """Counts one try.

        Raises:
            TooManyError: the pause is not over. The try was not counted.
        """
        for _ in range(_TRIES):
            was, now = await self._people.strikes(key), self._clock()
            recent = was if was is not None and now - was.at < patience.forget else None
            count = recent.count if recent else 0
            if recent and (wait := recent.at + patience.pause(count) - now) > _NO_TIME:
                raise _too_many(wait)
            if await self._people.replace_strikes(key, was, Strikes(count=count + 1, at=now)):
                return
        raise _too_many(patience.first)

    async def give_back(self, key: str) -> None:
        """Takes back one try, which was none: it succeeded."""
        for _ in range(_TRIES):
            was = await self._people.strikes(key)
            if was is None:
                return
            less = Strikes(count=was.count - 1, at=was.at) if was.count > 1 else None
            if await self._people.replace_strikes(key, was, less):
                return

    async def forgive(self, key: str) -> None:
        """Forgets all failures."""
        for _ in range(_TRIES):
            was = await self._people.strikes(key)
            if was is None or await self._people.replace_strikes(key, was, None):
                return


def address_key(address: str) -> str:
    """Whose tries are counted together: an IPv4 address, or an IPv6 network of one customer."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return f"address {address[:64]}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"address {IPv6Address(int(parsed) >> 64 << 64)}/64"
        parsed = parsed.ipv4_mapped
    return f"address {parsed}"


def name_key(name: str) -> str:
    return f"name {name}"


def _too_many(wait: timedelta) -> TooManyError:
    seconds = max(1, -(-wait // timedelta(seconds=1)))
    return TooManyError(f"Too many sign-ins failed; try again in {seconds} s.", wait=wait)
