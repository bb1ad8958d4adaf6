"""What a hub lends: stored credentials, opened for those who reach the places of its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from transferhub.control.key_ring import GivenKeys, KeyFile, KeyRing
from transferhub.control.reach import Reach, ReachRules
from transferhub.control.specs import Location, Spec
from transferhub.control.vault import unseal
from transferhub.hosts.credentials import Lent
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.reaching import reach_rules
from transferhub.state.people import Vault

Pinned = TypeVar("Pinned", bound=Spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a process of a hub may use of its machine, and the keys of the stored credentials. It
    goes through pipes only.

    Attributes:
        vault_key: keys in place of the file; "" for none.
    """

    key_file: Path
    rules: ReachRules
    vault_key: str = field(default="", repr=False)

    @property
    def ring(self) -> KeyRing:
        """Raises VaultError where `vault_key` holds no keys."""
        return GivenKeys(self.vault_key) if self.vault_key else KeyFile(self.key_file)


def grant_of(settings: HubSettings) -> Grant:
    return Grant(
        key_file=settings.key_file, vault_key=settings.vault_key, rules=reach_rules(settings)
    )


class Lender:
    """Opens stored credentials."""

    def __init__(self, vault: Vault, ring: KeyRing, *, guarded: bool) -> None:
        """Args:
        guarded: link-local addresses and metadata services are not connected to.
        """
        self._vault = vault
        self._ring = ring
        self._guarded = guarded

    async def lend(self, locations: Iterable[Location]) -> Lent:
        """The credentials that the locations name, as they are now; a name that there is not is
        left out.

        Raises:
            VaultError: one cannot be opened.
        """
        opened: dict[str, Mapping[str, str]] = {}
        for name in {at.credential for at in locations} - {""}:
            sealed = await self._vault.get(name)
            if sealed is not None:
                opened[name] = unseal(sealed, self._ring.keys())
        return Lent(credentials=opened, guarded=self._guarded)


async def lent_for_run(spec: Pinned, grant: Grant, vault: Vault) -> tuple[Pinned, Lent]:
    """What a run that starts now reaches its places with, and its spec with the addresses of
    proxies in place of their names.

    Raises:
        InputError: this machine does not let it reach one of them.
        StateError: the state cannot be used.
        VaultError: a credential cannot be opened.
    """
    spec = await Reach(grant.rules).pinned(spec)
    guarded = not grant.rules.metadata
    locations = spec.reaches.values()
    if not any(at.credential for at in locations):
        return spec, Lent(guarded=guarded)
    return spec, await Lender(vault, grant.ring, guarded=guarded).lend(locations)
