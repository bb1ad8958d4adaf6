"""`Accounts`: the verbs on users, sign-in links and API tokens."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.passwords import Passwords, check_password
from transferhub.control.secrets import NewSecret, digest_of
from transferhub.control.signin import SignIn
from transferhub.errors import AccessError, InputError
from transferhub.model.clock import Clock
from transferhub.model.people import (
    HIDDEN,
    ApiToken,
    Caller,
    How,
    Link,
    Role,
    Scope,
    User,
)
from transferhub.state.people import People

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")
TOKEN_PREFIX = "dth_"  # noqa: S105 - no secret
"""Scanners for leaked secrets find a token by it."""
_TASKS_ALONE = frozenset({Scope.TASKS})
_LONGEST_LABEL = 200
_LONGEST_LINK = timedelta(days=7)
_LONGEST_TOKEN = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """An API token, this once with its secret."""

    secret: str = field(repr=False)
    token: ApiToken


class Accounts:
    """Every verb checks the caller's role first and is noted in the audit log."""

    def __init__(
        self,
        people: People,
        passwords: Passwords,
        sign_in: SignIn,
        journal: Journal,
        *,
        clock: Clock,
        new_secret: NewSecret,
    ) -> None:
        self._people = people
        self._passwords = passwords
        self._sign_in = sign_in
        self._journal = journal
        self._clock = clock
        self._new_secret = new_secret

    async def users(self, caller: Caller, *, after: str = "", limit: int = 100) -> Sequence[User]:
        """By name, from after the name `after`."""
        authorise(caller, Role.ADMIN, Scope.PEOPLE)
        return await self._people.users(after=after, limit=limit)

    async def create_user(self, caller: Caller, name: str, password: str, role: Role) -> User:
        authorise(caller, Role.ADMIN, Scope.PEOPLE)
        name = _checked_name(name)
        check_password(password, name=name)
        if await self._people.get_user(name) is not None:
            raise InputError("name", f"There is a user {name} already.")
        hashed = await self._passwords.hash(password)
        user = User(name=name, role=role, created_at=self._clock(), password=hashed)
        await self._people.create_user(user)
        await self._journal.note(caller, "user.create", name, after=_told(user))
        return user

    async def set_role(self, caller: Caller, name: str, role: Role) -> User:
        user = await self._other(caller, name)
        updated = await self._people.update_user(replace(user, role=role))
        await self._note(caller, "user.role", user, updated)
        return updated

    async def disable_user(self, caller: Caller, name: str) -> User:
        """The user's sessions and tokens stop working at once."""
        user = await self._other(caller, name)
        updated = await self._people.update_user(replace(user, disabled=True))
        await self._people.end_sessions(user.name)
        await self._note(caller, "user.disable", user, updated)
        return updated

    async def enable_user(self, caller: Caller, name: str) -> User:
        user = await self._other(caller, name)
        updated = await self._people.update_user(replace(user, disabled=False))
        await self._note(caller, "user.enable", user, updated)
        return updated

    async def set_password(self, caller: Caller, name: str, password: str) -> None:
        """Another one's, who forgot it; ends all their sessions, and a lock of the name."""
        user = await self._other(caller, name)
        await self._change_password(caller, user, password, field="password")
        await self._sign_in.unlock(user.name)

    async def change_password(
        self, caller: Caller, old: str, new: str, *, session: str = ""
    ) -> None:
        """The caller's own; ends all their sessions but the one of the secret `session`.

        Raises:
            SignInError: `old` is not the password. It counts as a failed sign-in.
            TooManyError
        """
        if caller.how is not How.SESSION:
            raise AccessError("Only a user who signed in with a password can change it.")
        user = await self._sign_in.check(caller.name, old)
        await self._change_password(
            caller, user, new, field="new", but=digest_of(session) if session else ""
        )

    async def create_link(
        self,
        caller: Caller,
        name: str,
        role: Role,
        *,
        duration: timedelta = timedelta(minutes=15),
    ) -> str:
        """The secret of a sign-in link that works once; it is kept nowhere."""
        authorise(caller, Role.ADMIN, Scope.PEOPLE)
        name = _checked_name(name)
        _check_duration(duration, _LONGEST_LINK)
        secret, ends_at = self._new_secret(), self._clock() + duration
        link = Link(digest=digest_of(secret), name=name, role=role, ends_at=ends_at)
        await self._people.create_link(link)
        after = {"role": role.value, "ends_at": ends_at.isoformat()}
        await self._journal.note(caller, "link.create", name, after=after)
        return secret

    async def create_token(
        self,
        caller: Caller,
        label: str,
        *,
        role: Role,
        duration: timedelta,
        scopes: Collection[Scope] = _TASKS_ALONE,
    ) -> NewToken:
        """A token of the caller, which may do no more than the caller."""
        authorise(caller, role, Scope.PEOPLE)
        if caller.how is How.TOKEN:
            raise AccessError("An API token cannot make another one, or it would never expire.")
        _check_label(label)
        _check_duration(duration, _LONGEST_TOKEN)
        if not scopes or not caller.scopes.issuperset(scopes):
            raise InputError("scopes", "Name at least one, and none that you have not yourself.")
        secret, now = f"{TOKEN_PREFIX}{self._new_secret()}", self._clock()
        digest = digest_of(secret)
        token = ApiToken(
            ident=digest[:16],
            digest=digest,
            label=label,
            owner=caller.name,
            of_user=await self._is_user(caller),
            role=role,
            scopes=frozenset(scopes),
            created_at=now,
            ends_at=now + duration,
        )
        await self._people.create_token(token)
        await self._journal.note(caller, "token.create", token.ident, after=_told_token(token))
        return NewToken(secret=secret, token=token)

    async def tokens(self, caller: Caller) -> Sequence[ApiToken]:
        """The caller's own; all of them for an administrator."""
        authorise(caller, Role.VIEWER, Scope.PEOPLE)
        everyones = caller.role.covers(Role.ADMIN)
        return await self._people.tokens(owner="" if everyones else caller.name)

    async def revoke_token(self, caller: Caller, ident: str) -> None:
        """Stops the token at once; does nothing where it is revoked already."""
        mine = {token.ident: token for token in await self.tokens(caller)}
        if ident not in mine:
            raise InputError("token", f"There is no token {ident[:64]} of yours.", code="no_token")
        if mine[ident].revoked_at is None:
            await self._people.revoke_token(ident, self._clock())
            before = _told_token(mine[ident])
            await self._journal.note(caller, "token.revoke", ident, before=before)

    async def _other(self, caller: Caller, name: str) -> User:
        """A user to be changed by an administrator; nobody locks themselves out."""
        authorise(caller, Role.ADMIN, Scope.PEOPLE)
        user = await self._people.get_user(name.lower())
        if user is None:
            raise InputError("name", f"There is no user {name[:128]}.", code="no_user")
        if user.name == caller.name and await self._is_user(caller):
            raise InputError("name", "Ask another administrator to change this of yourself.")
        return user

    async def _is_user(self, caller: Caller) -> bool:
        """Whether the caller is a local user, and not only of the same name."""
        if caller.how is How.SESSION:
            return True
        return caller.how is How.TOKEN and await self._people.get_user(caller.name) is not None

    async def _change_password(
        self, caller: Caller, user: User, password: str, *, field: str, but: str = ""
    ) -> None:
        check_password(password, name=user.name, field=field)
        hashed = await self._passwords.hash(password)
        await self._people.update_user(replace(user, password=hashed))
        await self._people.end_sessions(user.name, but=but)
        await self._journal.note(caller, "user.password", user.name, after={"password": HIDDEN})

    async def _note(self, caller: Caller, action: str, before: User, after: User) -> None:
        await self._journal.note(
            caller, action, after.name, before=_told(before), after=_told(after)
        )


def _checked_name(name: str) -> str:
    """In small letters, as it is kept."""
    if not _NAME.fullmatch(name.lower()):
        raise InputError("name", "Take up to 128 letters, digits, and . _ @ + - between them.")
    return name.lower()


def _check_label(label: str) -> None:
    if not 0 < len(label) <= _LONGEST_LABEL or not label.isprintable():
        raise InputError("label", f"Say in 1 to {_LONGEST_LABEL} characters what it is for.")


def _check_duration(duration: timedelta, longest: timedelta) -> None:
    if not timedelta() < duration <= longest:
        raise InputError("duration", f"Take more than nothing, and at most {longest.days} days.")


def _told(user: User) -> Mapping[str, Any]:
    return {"role": user.role.value, "disabled": user.disabled}


def _told_token(token: ApiToken) -> Mapping[str, Any]:
    return {
        "label": token.label,
        "owner": token.owner,
        "role": token.role.value,
        "scopes": sorted(token.scopes),
        "ends_at": token.ends_at.isoformat(),
    }
