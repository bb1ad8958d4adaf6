"""`Reach`: what tasks of a hub may reach from the machines that carry them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
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
from transferhub.control.runs import TaskSpec
from transferhub.errors import InputError
from transferhub.model.faults import flatten, raise_faults
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec


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

    async def admit(self, spec: TaskSpec) -> None:
        """`check_spec` of whatever plugin's."""
        assert isinstance(spec, ObjectsSpec)
        await self.check_spec(spec)

    async def check_spec(self, spec: ObjectsSpec) -> None:
        """Raises InputError, naming each field; of the code `not_allowed` or `blocked_address`."""
        faults = [*self._list_faults(spec)]
        for location, field in _locations(spec):
            faults += await self._faults(location, field)
        raise_faults(faults)

    async def pinned(self, spec: ObjectsSpec) -> ObjectsSpec:
        """Checks the spec, and puts an address that was checked in the place of each http proxy's
        name, which nobody asks for again then.

        Raises:
            InputError: as `check_spec`.
        """
        await self.check_spec(spec)
        update = {
            field: await self._with_address(location, field) for location, field in _locations(spec)
        }
        return spec.model_copy(update=update)

    async def pinned_location(self, location: Location) -> Location:
        """The same of one location."""
        raise_faults(await self._faults(location, location.environment))
        return await self._with_address(location, location.environment)

    async def _with_address(self, location: Location, field: str) -> Location:
        proxy = location.proxy
        if self._rules.metadata or not proxy.startswith("http://"):
            return location
        host = host_of(proxy)
        found = [] if address_of(host) else await self._resolve(host)
        if not found:
            return location  # it is an address; or whoever connects tells that it has none
        if any(is_refused(address) for address in found):
            raise blocked(host, f"{field}_proxy")
        address = next((one for one in found if ":" not in one), found[0])
        return location.model_copy(update={"proxy": _at(address, urlsplit(proxy).port)})

    async def _faults(self, location: Location, field: str) -> list[InputError]:
        faults = [*self._local_faults(location, field)]
        if not self._rules.metadata:
            for name in ("endpoint", "proxy"):
                faults += await self._endpoint_faults(getattr(location, name), f"{field}_{name}")
        return faults

    async def _endpoint_faults(self, url: str, field: str) -> list[InputError]:
        try:
            if url:
                await check_endpoint(url, self._resolve, field=field)
        except InputError as error:
            return flatten([error])
        return []

    def _local_faults(self, location: Location, field: str) -> Iterator[InputError]:
        if location.scheme == "file":
            yield from self._path_faults(location.path, field)
            return
        for name in ("credentials_file", "ca_bundle"):
            yield from self._path_faults(getattr(location, name), f"{field}_{name}")
        if self._rules.everything or self._rules.environment:
            return
        if location.profile:
            yield _refused(f"{field}_profile", "profiles of the hub's machine", "environment")
        elif not (location.credential or location.anonymous or location.credentials_file):
            yield _refused(
                f"{field}_credential",
                "the credentials of the hub's own machine",
                "environment",
                "name a stored credential, or take anonymous access",
            )

    def _list_faults(self, spec: ObjectsSpec) -> Iterator[InputError]:
        for name in ("prefix_list", "manifest"):
            yield from self._path_faults(getattr(spec, name), name)

    def _path_faults(self, path: str, field: str) -> Iterator[InputError]:
        if not path or self._rules.everything:
            return
        # pathlib's own `resolve` fails where links lead round in a circle.
        real = Path(realpath(path))
        folders = [realpath(folder) for folder in self._rules.folders]
        if not any(real.is_relative_to(folder) for folder in folders):
            yield _refused(field, "this file or folder of the hub's machine", "its folder")


def _at(address: str, port: int | None) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}" if port else f"http://{host}"


def _locations(spec: ObjectsSpec) -> Iterator[tuple[Location, str]]:
    yield spec.source, "source"
    yield spec.destination, "destination"
    if spec.inventory is not None:
        yield spec.inventory, "inventory"


def _refused(field: str, what: str, listed: str, instead: str = "") -> InputError:
    advice = f"{instead}; or an" if instead else "an"
    return InputError(
        field,
        f"tasks of this hub may not use {what}: {advice} administrator lists {listed} in"
        " allow_local",
        code="not_allowed",
    )
