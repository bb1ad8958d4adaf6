"""`AwsPeople`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT, Put, When
from transferhub.model.people import ApiToken, How, Link, Role, Scope, Session, Strikes, User
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import EXPIRES, HUB
from transferhub.state.aws.shelf import Shelf, changes, equal
from transferhub.state.aws.together import together
from transferhub.state.refusals import user_changed, user_exists
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, whole_text

_AFTERWARDS = timedelta(days=1)
"""How long DynamoDB keeps sessions and links that ended and were not purged."""


class AwsPeople:
    """A People in DynamoDB: an item for each user, session, link, token and name with strikes.

    What has an end is deleted by DynamoDB too, a day after it. A token is found through an item of
    its digest, which is written with it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._users = Shelf(connection, "user")
        self._sessions = Shelf(connection, "session")
        self._links = Shelf(connection, "link")
        self._tokens = Shelf(connection, "token")
        self._digests = Shelf(connection, "token-digest")
        self._strikes = Shelf(connection, "strikes")

    async def create_user(self, user: User) -> None:
        if not await self._users.put(user.name, _user_to_item(user), ABSENT):
            raise user_exists(user.name)

    async def get_user(self, name: str) -> User | None:
        item = await self._users.get(name)
        return _item_to_user(item) if item else None

    async def update_user(self, user: User) -> User:
        updated = replace(user, version=user.version + 1)
        as_read = equal({"version": user.version})
        if not await self._users.put(user.name, _user_to_item(updated), as_read):
            raise user_changed(user.name)
        return updated

    async def users(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        return [_item_to_user(item) for item in await self._users.items(after=after, limit=limit)]

    async def create_session(self, session: Session) -> None:
        await self._sessions.put(session.digest, _session_to_item(session))

    async def get_session(self, digest: str) -> Session | None:
        item = await self._sessions.get(digest)
        return _item_to_session(item) if item else None

    async def touch_session(self, digest: str, used_at: datetime) -> None:
        change = changes({"used_at": to_micros(used_at)})
        await self._sessions.update(digest, change, When("#used_at < :to_used_at"))

    async def end_session(self, digest: str) -> None:
        await self._sessions.delete(digest)

    async def end_sessions(self, name: str, *, but: str = "") -> int:
        found = await self._sessions.items(keep=equal({"name": name}))
        others = [item["digest"] for item in found if item["digest"] != but]
        return sum(await together(lambda at: self._sessions.delete(at, PRESENT), others))

    async def create_link(self, link: Link) -> None:
        ends_at = to_micros(link.ends_at)
        values = {"name": link.name, "role": link.role.value, "ends_at": ends_at}
        await self._links.put(link.digest, {**values, **_expires(link.ends_at), **_digest(link)})

    async def take_link(self, digest: str, now: datetime) -> Link | None:
        # Marked before it is deleted: also where an answer was lost, who has marked it has it.
        taken = changes({"taker": secrets.token_hex()})
        free = When("attribute_exists(pk) AND (attribute_not_exists(#taker) OR #taker = :to_taker)")
        item = await self._links.update(digest, taken, free)
        if item is None:
            return None
        await self._links.delete(digest)
        ends_at = from_micros(item["ends_at"])
        link = Link(digest=digest, name=item["name"], role=Role(item["role"]), ends_at=ends_at)
        return link if ends_at > now else None

    async def create_token(self, token: ApiToken) -> None:
        pointer = {**self._digests.key(token.digest), "ident": token.ident}
        item = {**self._tokens.key(token.ident), **_token_to_item(token)}
        with self._connection.failures():
            await self._connection.table(HUB).transact([Put(item, ABSENT), Put(pointer, ABSENT)])

    async def get_token(self, digest: str) -> ApiToken | None:
        pointer = await self._digests.get(digest)
        item = await self._tokens.get(pointer["ident"]) if pointer else None
        return _item_to_token(item) if item else None

    async def tokens(self, *, owner: str = "") -> Sequence[ApiToken]:
        chosen = equal({"owner": owner}) if owner else None
        return [_item_to_token(item) for item in await self._tokens.items(keep=chosen)]

    async def revoke_token(self, ident: str, at: datetime) -> ApiToken | None:
        change = changes({"revoked_at": to_micros(at)})
        open_ = When("attribute_exists(pk) AND attribute_not_exists(#revoked_at)")
        item = await self._tokens.update(ident, change, open_) or await self._tokens.get(ident)
        return _item_to_token(item) if item else None

    async def strikes(self, key: str) -> Strikes | None:
        item = await self._strikes.get(key)
        return Strikes(count=item["count"], at=from_micros(item["at"])) if item else None

    async def replace_strikes(self, key: str, was: Strikes | None, now: Strikes | None) -> bool:
        if now is None and was is None:
            return await self.strikes(key) is None
        as_was = ABSENT if was is None else equal(_strikes_to_item(was))
        if now is None:
            return await self._strikes.delete(key, as_was)
        values = {"key": whole_text(key), **_strikes_to_item(now)}
        return await self._strikes.put(key, values, as_was)

    async def purge(self, now: datetime, strikes_before: datetime) -> int:
        ended = When("#ends <= :now", {":now": to_micros(now)}, {"#ends": "ends_at"})
        old = When("#at < :before", {":before": to_micros(strikes_before)}, {"#at": "at"})
        return (
            await _purge(self._sessions, "digest", ended)
            + await _purge(self._links, "digest", ended)
            + await _purge(self._strikes, "key", old)
        )

    async def aclose(self) -> None:
        await self._connection.aclose()


async def _purge(shelf: Shelf, name: str, old: When) -> int:
    items = await shelf.items(keep=old)
    return sum(await together(lambda item: shelf.delete(item[name], old), items))


def _digest(of: Session | Link) -> Item:
    return {"digest": of.digest}


def _expires(ends_at: datetime) -> Item:
    return {EXPIRES: int((ends_at + _AFTERWARDS).timestamp())}


def _user_to_item(user: User) -> Item:
    return {
        "name": user.name,
        "role": user.role.value,
        "created_at": to_micros(user.created_at),
        "password": user.password,
        "disabled": user.disabled,
        "version": user.version,
    }


def _item_to_user(item: Item) -> User:
    return User(
        name=item["name"],
        role=Role(item["role"]),
        created_at=from_micros(item["created_at"]),
        password=item["password"],
        disabled=item["disabled"],
        version=item["version"],
    )


def _session_to_item(session: Session) -> Item:
    return {
        **_digest(session),
        "name": session.name,
        "role": session.role.value,
        "how": session.how.value,
        "created_at": to_micros(session.created_at),
        "used_at": to_micros(session.used_at),
        "ends_at": to_micros(session.ends_at),
        **_expires(session.ends_at),
    }


def _item_to_session(item: Item) -> Session:
    return Session(
        digest=item["digest"],
        name=item["name"],
        role=Role(item["role"]),
        how=How(item["how"]),
        created_at=from_micros(item["created_at"]),
        used_at=from_micros(item["used_at"]),
        ends_at=from_micros(item["ends_at"]),
    )


def _token_to_item(token: ApiToken) -> Item:
    revoked = {"revoked_at": to_micros(token.revoked_at)} if token.revoked_at else {}
    return {
        "ident": token.ident,
        "digest": token.digest,
        "label": whole_text(token.label),
        "owner": token.owner,
        "of_user": token.of_user,
        "role": token.role.value,
        "scopes": sorted(token.scopes),
        "created_at": to_micros(token.created_at),
        "ends_at": to_micros(token.ends_at),
        **revoked,
    }


def _item_to_token(item: Item) -> ApiToken:
    return ApiToken(
        ident=item["ident"],
        digest=item["digest"],
        label=item["label"],
        owner=item["owner"],
        of_user=item["of_user"],
        role=Role(item["role"]),
        scopes=frozenset(map(Scope, item["scopes"])),
        created_at=from_micros(item["created_at"]),
        ends_at=from_micros(item["ends_at"]),
        revoked_at=from_micros_or_none(item.get("revoked_at")),
    )


def _strikes_to_item(strikes: Strikes) -> Item:
    return {"count": strikes.count, "at": to_micros(strikes.at)}
