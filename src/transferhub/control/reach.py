"""`Reach`: what tasks of a hub may reach from the machines that carry them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from transferhub.control.endpoints import (
    Resolve,
    address_of,
    blocked,
    check_endpoint,
    host_of,
    is_refused,
    resolve_name,
)
from transferhub.control.specs import Location, Spec
from transferhub.errors import InputError
from transferhub.model.faults import flatten, raise_faults

Checked = TypeVar("Checked", bound=Spec)
At = TypeVar("At", bound=Location)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachRules:
    """What of a machine's own powers tasks may use.

    Attributes:
        everything: all of it; the other two say nothing then.
        folders: in which files may be read and written: absolute.
        environment: the machine's own credentials: its variables, its profiles, its role.
        metadata: link-local addresses and metadata services may be reached.
    """

    everything: bool = False
    folders: tuple[Path, ...] = ()
    environment: bool = False
    metadata: bool = False


OWN_MACHINE = ReachRules(everything=True)
"""For a hub that serves the user alone whose machine it is."""


class Reach:
    """Refuses what a task may not reach. A name may resolve to something else later, and links may
    be set: it is asked when a task is written, and again where a run starts."""

    def __init__(self, rules: ReachRules, resolve: Resolve = resolve_name) -> None:
        self._rules = rules
        self._resolve = resolve

    async def check_spec(self, spec: Spec) -> None:
        """Raises InputError, naming each field; of the code `not_allowed` or `blocked_address`."""
        faults = [*self._file_faults(spec.files, "")]
        for field, location in spec.reaches.items():
            faults += await self._faults(location, field)
        raise_faults(faults)

    async def pinned(self, spec: Checked) -> Checked:
        """Checks the spec, and puts an address that was checked in the place of each http proxy's
        name, which nobody asks for again then. Where nobody is named to sign in as, nobody does,
        unless the machine's own credentials may be used.

        Raises:
            InputError: as `check_spec`.
        """
        await self.check_spec(spec)
        update = {
            field: await self._pinned(location, field) for field, location in spec.reaches.items()
        }
        return spec.model_copy(update=update)

    async def pinned_location(self, location: At) -> At:
        """The same of one location."""
        raise_faults(await self._faults(location, location.environment))
        return await self._pinned(location, location.environment)

    async def _pinned(self, location: At, field: str) -> At:
        update = await self._address(location.proxy, field)
        if location.login == "optional" and not (self._lends or _names_somebody(location)):
            update["anonymous"] = True
        return location.model_copy(update=update) if update else location

    @property
    def _lends(self) -> bool:
        """Whether the machine's own credentials may be used."""
        return self._rules.everything or self._rules.environment

    async def _address(self, proxy: str, field: str) -> dict[str, Any]:
        if self._rules.metadata or not proxy.startswith("http://"):
            return {}
        host = host_of(proxy)
        found = [] if address_of(host) else await self._resolve(host)
        if not found:
            return {}  # it is an address; or whoever connects tells that it has none
        if any(is_refused(address) for address in found):
            raise blocked(host, f"{field}_proxy")
        address = next((one for one in found if ":" not in one), found[0])
        return {"proxy": _at(address, urlsplit(proxy).port)}

    async def _faults(self, location: Location, field: str) -> list[InputError]:
        faults = [*self._file_faults(location.files, field)]
        faults += self._login_faults(location, field)
        if not self._rules.metadata:
            for end, url in location.addresses.items():
                faults += await self._endpoint_faults(url, f"{field}{end}")
        return faults

    async def _endpoint_faults(self, url: str, field: str) -> list[InputError]:
        try:
            if url:
                await check_endpoint(url, self._resolve, field=field)
        except InputError as error:
            return flatten([error])
        return []

    def _login_faults(self, location: Location, field: str) -> Iterator[InputError]:
        if self._lends:
            return
        if location.profile:
            yield _refused(f"{field}_profile", "profiles of the hub's machine", "environment")
        elif location.login == "needed" and not _names_somebody(location):
            yield _refused(
                f"{field}_credential",
                "the credentials of the hub's own machine",
                "environment",
                "name a stored credential, or take anonymous access",
            )

    def _file_faults(self, files: Mapping[str, str], field: str) -> Iterator[InputError]:
        """Args:
        files: paths, by the ends of their fields' names.
        """
        for end, path in files.items():
            if path and not self._may_use(path):
                what = "this file or folder of the hub's machine"
                yield _refused(f"{field}{end}", what, "its folder")

    def _may_use(self, path: str) -> bool:
        # pathlib's own `resolve` fails where links lead round in a circle.
        real = Path(realpath(path))
        folders = [realpath(folder) for folder in self._rules.folders]
        return self._rules.everything or any(real.is_relative_to(folder) for folder in folders)


def _at(address: str, port: int | None) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}" if port else f"http://{host}"


def _names_somebody(location: Location) -> bool:
    """Or that nobody signs in."""
    return bool(
        location.credential or location.anonymous or location.credentials_file or location.profile
    )


def _refused(field: str, what: str, listed: str, instead: str = "") -> InputError:
    advice = f"{instead}; or an" if instead else "an"
    return InputError(
        field,
        f"tasks of this hub may not use {what}: {advice} administrator lists {listed} in"
        " allow_local",
        code="not_allowed",
    )
