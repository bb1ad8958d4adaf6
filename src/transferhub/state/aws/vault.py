"""`AwsVault`."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT
from transferhub.model.people import Credential, CredentialKind, Sealed
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.shelf import Shelf, equal
from transferhub.state.refusals import credential_changed, credential_exists
from transferhub.state.values import from_micros, to_micros, whole_text


class AwsVault:
    """A Vault in DynamoDB: an item for each credential, sealed as everywhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sealed = Shelf(connection, "vault")

    async def create(self, sealed: Sealed) -> None:
        name = sealed.credential.name
        if not await self._sealed.put(name, _to_item(sealed), ABSENT):
            raise credential_exists(name)

    async def get(self, name: str) -> Sealed | None:
        item = await self._sealed.get(name)
        return _from_item(item) if item else None

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = was.credential.name
        as_was = equal({"version": was.credential.version, "key_id": was.key_id})
        if not await self._sealed.put(name, _to_item(sealed), as_was):
            raise credential_changed(name)

    async def delete(self, name: str) -> bool:
        return await self._sealed.delete(name, PRESENT)

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        return [_from_item(item) for item in await self._sealed.items(after=after, limit=limit)]

    async def aclose(self) -> None:
        await self._connection.aclose()


def _to_item(sealed: Sealed) -> Item:
    known = sealed.credential
    return {
        "name": known.name,
        "kind": known.kind.value,
        "described": whole_text(known.described),
        "created_at": to_micros(known.created_at),
        "updated_at": to_micros(known.updated_at),
        "version": known.version,
        "key_id": sealed.key_id,
        "box": sealed.box,
    }


def _from_item(item: Item) -> Sealed:
    credential = Credential(
        name=item["name"],
        kind=CredentialKind(item["kind"]),
        described=item["described"],
        created_at=from_micros(item["created_at"]),
        updated_at=from_micros(item["updated_at"]),
        version=item["version"],
    )
    return Sealed(credential=credential, key_id=item["key_id"], box=item["box"])
