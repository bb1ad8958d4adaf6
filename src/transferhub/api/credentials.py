"""Answers about stored credentials, never with a secret."""

from __future__ import annotations

from pydantic.alias_generators import to_snake

from transferhub.api.reading import Arguments, Json, given, member_of, moment, page_size, told
from transferhub.api.reading import page as told_page
from transferhub.control.hub import Hub
from transferhub.model.people import Caller, Credential, CredentialKind


async def page(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    after, limit = given(arguments, "after", ""), page_size(arguments)
    found = await hub.credentials.names(caller, after=after, limit=limit + 1)
    return told_page(found, limit, _told, "name")


async def put(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    given_fields = dict(arguments["input"])
    name, kind = given_fields.pop("name"), member_of(CredentialKind, given_fields.pop("kind"))
    fields = {to_snake(at): value for at, value in given_fields.items() if value is not None}
    return _told(await hub.credentials.put(caller, name, kind, fields))


async def delete(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.credentials.delete(caller, arguments["name"])
    return True


async def rotate(hub: Hub, _: Arguments, caller: Caller) -> int:
    return await hub.credentials.rotate(caller)


def _told(credential: Credential) -> Json:
    return {
        "name": credential.name,
        "kind": told(credential.kind),
        "described": credential.described,
        "createdAt": moment(credential.created_at),
        "updatedAt": moment(credential.updated_at),
        "version": credential.version,
    }
