"""`Credentials`: sealed with AES-256-GCM; people see names, the engine opens them."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.key_ring import Key, KeyRing
from transferhub.errors import ConflictError, InputError, VaultError
from transferhub.model.clock import Clock
from transferhub.model.faults import raise_faults
from transferhub.model.people import Caller, Credential, CredentialKind, Role, Scope, Sealed
from transferhub.state.people import Vault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NONCE_BYTES = 12
_LONGEST = 16_384
_PAGE = 100
_SHOWN_SECRETLY = 16
"""Of an access key that is no longer, only two characters are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The fields of a kind of credential; `told` is the one that people may see of it."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    told: str = ""


SHAPES: Mapping[CredentialKind, Shape] = {
    CredentialKind.KEYS: Shape(
        needed=("access_key_id", "secret_access_key"),
        optional=("session_token", "role_arn", "external_id"),
        told="access_key_id",
    ),
    CredentialKind.LOGIN: Shape(needed=("user", "password"), told="user"),
    CredentialKind.TOKEN: Shape(needed=("token",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A credential with its secret, for whoever reaches a store with it."""

    credential: Credential
    fields: Mapping[str, str] = field(repr=False)


class SealedPlace(Protocol):
    """Where sealed things are kept, by name."""

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        """By name, from after the name `after`."""

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        """Raises ConflictError where it is no longer `was` (by version and key) that is stored."""


class Credentials:
    """Write-only for people: no verb that takes a caller gives a secret back."""

    def __init__(
        self,
        vault: Vault,
        ring: KeyRing,
        journal: Journal,
        clock: Clock,
        *,
        others: Sequence[SealedPlace] = (),
    ) -> None:
        """Args:
        others: places beside the vault whose things are under the same keys.
        """
        self._vault = vault
        self._places = (vault, *others)
        self._ring = ring
        self._journal = journal
        self._clock = clock

    async def names(
        self, caller: Caller, *, after: str = "", limit: int = 100
    ) -> Sequence[Credential]:
        """By name, from after the name `after`."""
        authorise(caller, Role.VIEWER, Scope.CREDENTIALS)
        return [at.credential for at in await self._vault.all(after=after, limit=limit)]

    async def put(
        self, caller: Caller, name: str, kind: CredentialKind, fields: Mapping[str, str]
    ) -> Credential:
        """Creates the credential, or replaces the one of this name.

        Raises:
            InputError: one for each field that is wrong; none quotes a value.
            VaultError
        """
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        _check(name, kind, fields)
        was, now = await self._vault.get(name), self._clock()
        known = Credential(
            name=name,
            kind=kind,
            described=_described(kind, fields),
            created_at=was.credential.created_at if was else now,
            updated_at=now,
            version=was.credential.version + 1 if was else 1,
        )
        sealed = seal(known, fields, await present_key(self._ring, self._places))
        if was is None:
            await self._vault.create(sealed)
        else:
            await self._vault.replace(sealed, was)
        await self._journal.note(
            caller,
            "credential.replace" if was else "credential.create",
            name,
            before=_told(was.credential) if was else None,
            after=_told(known),
        )
        return known

    async def delete(self, caller: Caller, name: str) -> None:
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        was = await self._vault.get(name)
        if was is None or not await self._vault.delete(name):
            raise _no_credential("name", name)
        before = _told(was.credential)
        await self._journal.note(caller, "credential.delete", name, before=before)

    async def open(self, name: str) -> Opened:
        """For the engine, never for an answer to a caller.

        Raises:
            InputError: there is none of this name.
            VaultError: it cannot be opened.
        """
        sealed = await self._vault.get(name)
        if sealed is None:
            raise _no_credential("credential", name)
        return Opened(credential=sealed.credential, fields=unseal(sealed, self._ring.keys()))

    async def rotate(self, caller: Caller) -> int:
        """Makes a new key and seals everything with it; returns how many credentials were.

        Where it is interrupted, everything can still be opened, and `reseal` or another rotation
        ends it. A key that seals nothing any more leaves the ring at the next
        rotation.
        """
        authorise(caller, Role.ADMIN, Scope.CREDENTIALS)
        if not self._ring.keys():
            return 0
        self._ring.add()
        count = await self.reseal()
        key_ids = {sealed.key_id async for _, sealed in self._all()}
        self._ring.keep(key_ids)
        after = {"key_id": self._ring.keys()[0].ident, "credentials": count}
        await self._journal.note(caller, "credential.rotate", "*", after=after)
        return count

    async def reseal(self) -> int:
        """Seals with the present key what is under an older one; returns how many were."""
        count = 0
        while True:
            keys = self._ring.keys()
            present = {key.ident for key in keys[:1]}
            stale = [at async for at in self._all() if keys and at[1].key_id not in present]
            if not stale:
                return count
            for place, sealed in stale:
                count += await self._reseal(place, sealed, keys)

    async def _reseal(self, place: SealedPlace, sealed: Sealed, keys: Sequence[Key]) -> bool:
        again = seal(sealed.credential, unseal(sealed, keys), keys[0])
        try:
            await place.replace(again, sealed)
        except ConflictError:
            return False  # replaced or deleted meanwhile; the next round sees what is there
        return True

    async def _all(self) -> AsyncIterator[tuple[SealedPlace, Sealed]]:
        for place in self._places:
            after = ""
            while page := await place.all(after=after, limit=_PAGE):
                for sealed in page:
                    yield place, sealed
                after = page[-1].credential.name


async def present_key(ring: KeyRing, places: Sequence[SealedPlace]) -> Key:
    """The key to seal with; made where nothing was ever sealed in any of the places.

    Raises:
        VaultError: it is missing.
    """
    keys = ring.keys()
    if not keys:
        for place in places:
            if await place.all(limit=1):
                raise VaultError("The key of the stored credentials is missing: put it back.")
        ring.make()
        keys = ring.keys()
    return keys[0]


def seal(credential: Credential, fields: Mapping[str, str], key: Key) -> Sealed:
    """Bound to the credential's name, kind and version: no box can stand in another's place."""
    nonce = os.urandom(_NONCE_BYTES)
    box = AESGCM(key.secret).encrypt(nonce, json.dumps(dict(fields)).encode(), _bound(credential))
    return Sealed(credential=credential, key_id=key.ident, box=b64encode(nonce + box).decode())


def unseal(sealed: Sealed, keys: Sequence[Key]) -> Mapping[str, str]:
    """Raises VaultError where its key is missing, or it is not as it was sealed."""
    name = sealed.credential.name
    key = next((key for key in keys if key.ident == sealed.key_id), None)
    if key is None:
        raise VaultError(
            f"The key {sealed.key_id} of the credential {name} is missing: put it back, or enter "
            "the credential anew."
        )
    try:
        box = b64decode(sealed.box, validate=True)
        nonce, text = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
        plain = AESGCM(key.secret).decrypt(nonce, text, _bound(sealed.credential))
    except (InvalidTag, ValueError):
        raise VaultError(f"The credential {name} was damaged: enter it anew.") from None
    fields: Mapping[str, str] = json.loads(plain)
    return fields


def _no_credential(field: str, name: str) -> InputError:
    return InputError(field, f"There is no credential {name[:128]}.", code="no_credential")


def _bound(credential: Credential) -> bytes:
    return json.dumps([credential.name, credential.kind, credential.version]).encode()


def _check(name: str, kind: CredentialKind, fields: Mapping[str, str]) -> None:
    shape = SHAPES[kind]
    wrong = [] if _NAME.fullmatch(name) else ["name"]
    missing = [at for at in shape.needed if not fields.get(at)]
    unknown = sorted(fields.keys() - {*shape.needed, *shape.optional})
    long = [at for at in fields if len(fields[at]) > _LONGEST]
    raise_faults(
        InputError(at[:64], sentence)
        for names, sentence in (
            (wrong, "Take up to 128 letters, digits, and . _ - between them."),
            (missing, "It is missing."),
            (unknown, f"A credential of kind {kind} has no such field."),
            (long, f"It is longer than {_LONGEST:,} characters."),
        )
        for at in names
    )


def _described(kind: CredentialKind, fields: Mapping[str, str]) -> str:
    told = fields.get(SHAPES[kind].told, "")
    if kind is not CredentialKind.KEYS:
        return told
    shown = 4 if len(told) >= _SHOWN_SECRETLY else 1
    return f"{told[:shown]}…{told[-shown:]}"


def _told(credential: Credential) -> Mapping[str, Any]:
    return {
        "kind": credential.kind.value,
        "described": credential.described,
        "version": credential.version,
    }
