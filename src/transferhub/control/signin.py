"""`SignIn`: turns passwords, links, sessions and tokens into callers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from transferhub.control.journal import Journal
from transferhub.control.passwords import Passwords
from transferhub.control.secrets import NewSecret, digest_of
from transferhub.control.turnstile import Patience, Turnstile, address_key, name_key
from transferhub.errors import ConflictError, SignInError
from transferhub.model.clock import Clock
from transferhub.model.people import ApiToken, Caller, How, Role, Session, User
from transferhub.state.people import People

_STALE = timedelta(minutes=1)
"""A session's use is written no more often than this."""
_BY_NAME = Patience(free=5)
_BY_ADDRESS = Patience(free=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRules:
    """How long sessions last, and how failures are answered.

    Attributes:
        idle: a session ends so long after its last use,
        longest: and so long after sign-in in any case.
    """

    idle: timedelta = timedelta(hours=12)
    longest: timedelta = timedelta(days=7)
    by_name: Patience = _BY_NAME
    by_address: Patience = _BY_ADDRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session.

    Attributes:
        secret: for the cookie; it is kept nowhere.
    """

    secret: str = field(repr=False)
    caller: Caller
    ends_at: datetime


class SignIn:
    """Every way in. Failures all read the same, whatever was wrong."""

    def __init__(
        self,
        people: People,
        passwords: Passwords,
        journal: Journal,
        *,
        clock: Clock,
        new_secret: NewSecret,
        rules: SignInRules,
    ) -> None:
        self._people = people
        self._passwords = passwords
        self._journal = journal
        self._clock = clock
        self._new_secret = new_secret
        self._rules = rules
        self._turnstile = Turnstile(people, clock)

    async def with_password(self, name: str, password: str, *, address: str) -> SignedIn:
        """A new session of a local user.

        Raises:
            SignInError, TooManyError
        """
        name = name.lower()
        by_address = address_key(address)
        await self._turnstile.enter(by_address, self._rules.by_address)
        user = await self.check(name, password)
        await self._turnstile.give_back(by_address)
        signed_in = await self._start(Caller(name=user.name, role=user.role, how=How.SESSION))
        if await self._people.get_user(name) != user:
            # A password that is changed ends the sessions that there are; this one came after.
            await self.sign_out(signed_in.secret)
            raise SignInError("The user was changed just now; sign in again.")
        return signed_in

    async def check(self, name: str, password: str) -> User:
        """The user, where this is the password. Failures count against the name.

        Raises:
            SignInError, TooManyError
        """
        by_name = name_key(name[:128])
        await self._turnstile.enter(by_name, self._rules.by_name)
        user = await self._people.get_user(name)
        fits = await self._passwords.verify(password[:2_048], user.password if user else "")
        if user is None or not fits or user.disabled:
            raise SignInError("Name and password do not fit, or the user is disabled.")
        await self._turnstile.forgive(by_name)
        return await self._refreshed(user, password)

    async def with_link(self, secret: str, *, address: str) -> SignedIn:
        """A new session from a one-time link.

        Raises:
            SignInError, TooManyError
        """
        by_address = address_key(address)
        await self._turnstile.enter(by_address, self._rules.by_address)
        link = await self._people.take_link(digest_of(secret), self._clock())
        if link is None:
            raise SignInError("This sign-in link was used already, or has expired.")
        await self._turnstile.give_back(by_address)
        return await self._start(Caller(name=link.name, role=link.role, how=How.LINK))

    async def with_session(self, secret: str) -> Caller:
        """Whose session it is, with the role that they have now.

        Raises:
            SignInError
        """
        digest, now = digest_of(secret), self._clock()
        session = await self._people.get_session(digest)
        if session is None or now >= session.ends_at or now >= session.used_at + self._rules.idle:
            raise SignInError("This session has ended; sign in again.")
        role = session.role
        if session.how is How.SESSION:
            role = await self._role_of(session.name)
        if now - session.used_at >= _STALE:
            await self._people.touch_session(digest, now)
        return Caller(name=session.name, role=role, how=session.how)

    async def with_token(self, secret: str) -> Caller:
        """Whose API token it is; its role is at most the owner's.

        Raises:
            SignInError
        """
        token = await self._people.get_token(digest_of(secret))
        if token is None or token.revoked_at is not None or self._clock() >= token.ends_at:
            raise SignInError("This API token is unknown, revoked or expired.")
        role = await self._role_of_token(token)
        return Caller(name=token.owner, role=role, how=How.TOKEN, scopes=token.scopes)

    async def unlock(self, name: str) -> None:
        """Forgets the failures of a name."""
        await self._turnstile.forgive(name_key(name))

    async def sign_out(self, secret: str) -> None:
        await self._people.end_session(digest_of(secret))

    async def purge(self) -> int:
        """Forgets what has ended; returns how much."""
        now = self._clock()
        kept = max(self._rules.by_name.forget, self._rules.by_address.forget)
        return await self._people.purge(now, now - kept)

    async def _start(self, caller: Caller) -> SignedIn:
        secret, now = self._new_secret(), self._clock()
        session = Session(
            digest=digest_of(secret),
            name=caller.name,
            role=caller.role,
            how=caller.how,
            created_at=now,
            used_at=now,
            ends_at=now + self._rules.longest,
        )
        await self._people.create_session(session)
        await self._journal.note(caller, "session.start", caller.name)
        return SignedIn(secret=secret, caller=caller, ends_at=session.ends_at)

    async def _refreshed(self, user: User, password: str) -> User:
        """Hashes the password anew where the work factor has changed."""
        if not self._passwords.is_stale(user.password):
            return user
        hashed = await self._passwords.hash(password)
        try:
            return await self._people.update_user(replace(user, password=hashed))
        except ConflictError:
            return user  # changed meanwhile; the next sign-in tries again

    async def _role_of(self, name: str) -> Role:
        user = await self._people.get_user(name)
        if user is None or user.disabled:
            raise SignInError("This user is disabled.")
        return user.role

    async def _role_of_token(self, token: ApiToken) -> Role:
        if not token.of_user:
            return token.role
        return token.role.within(await self._role_of(token.owner))
