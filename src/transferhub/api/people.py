"""Answers about who may do what, and who did."""

from __future__ import annotations

from typing import Any

from transferhub.api.reading import (
    Arguments,
    Json,
    given,
    member_of,
    members_of,
    moment,
    number_cursor,
    page_size,
    told,
)
from transferhub.api.reading import page as told_page
from transferhub.control.hub import Hub
from transferhub.model.people import ApiToken, AuditEntry, Caller, Role, Scope, User
from transferhub.model.units import parse_duration

_LINK = "15m"


async def me(_: Hub, __: Arguments, caller: Caller) -> Json:
    return {
        "name": caller.name,
        "role": told(caller.role),
        "how": told(caller.how),
        "scopes": [told(scope) for scope in sorted(caller.scopes)],
    }


# Users


async def users(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    after, limit = given(arguments, "after", ""), page_size(arguments)
    found = await hub.accounts.users(caller, after=after, limit=limit + 1)
    return told_page(found, limit, _told_user, "name")


async def create_user(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    role = member_of(Role, arguments["role"])
    name, password = arguments["name"], arguments["password"]
    return _told_user(await hub.accounts.create_user(caller, name, password, role))


async def set_role(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    role = member_of(Role, arguments["role"])
    return _told_user(await hub.accounts.set_role(caller, arguments["name"], role))


async def disable_user(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return _told_user(await hub.accounts.disable_user(caller, arguments["name"]))


async def enable_user(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return _told_user(await hub.accounts.enable_user(caller, arguments["name"]))


async def set_password(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.accounts.set_password(caller, arguments["name"], arguments["password"])
    return True


async def change_password(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.accounts.change_password(caller, arguments["old"], arguments["new"])
    return True


def _told_user(user: User) -> Json:
    return {
        "name": user.name,
        "role": told(user.role),
        "createdAt": moment(user.created_at),
        "disabled": user.disabled,
    }


# Links and tokens


async def create_link(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    duration = parse_duration(given(arguments, "duration", _LINK), field="duration")
    role = member_of(Role, arguments["role"])
    return {
        "secret": await hub.accounts.create_link(caller, arguments["name"], role, duration=duration)
    }


async def tokens(hub: Hub, _: Arguments, caller: Caller) -> list[Json]:
    return [_told_token(token) for token in await hub.accounts.tokens(caller)]


async def create_token(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    scopes = arguments.get("scopes")
    chosen: dict[str, Any] = {} if scopes is None else {"scopes": members_of(Scope, scopes)}
    made = await hub.accounts.create_token(
        caller,
        arguments["label"],
        role=member_of(Role, arguments["role"]),
        duration=parse_duration(arguments["duration"], field="duration"),
        **chosen,
    )
    return {"secret": made.secret, "token": _told_token(made.token)}


async def revoke_token(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.accounts.revoke_token(caller, arguments["id"])
    return True


def _told_token(token: ApiToken) -> Json:
    return {
        "id": token.ident,
        "label": token.label,
        "owner": token.owner,
        "role": told(token.role),
        "scopes": [told(scope) for scope in sorted(token.scopes)],
        "createdAt": moment(token.created_at),
        "endsAt": moment(token.ends_at),
        "revokedAt": moment(token.revoked_at),
    }


# What they did


async def audit(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    limit = page_size(arguments)
    found = await hub.journal.entries(
        caller,
        before=number_cursor(arguments),
        who=given(arguments, "who", ""),
        action=given(arguments, "action", ""),
        subject=given(arguments, "subject", ""),
        limit=limit + 1,
    )
    return told_page(found, limit, _told_entry, "number")


def _told_entry(entry: AuditEntry) -> Json:
    return {
        "number": entry.number,
        "at": moment(entry.at),
        "who": entry.who,
        "how": told(entry.how),
        "action": entry.action,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
    }
