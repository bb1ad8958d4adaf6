"""What `dth doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from transferhub import __version__
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, RunError, TransferHubError
from transferhub.hosts.database import disk_use
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.registries import describe_login, open_side
from transferhub.hosts.settings import Setting, Settings
from transferhub.hosts.state import StatePlace, adapters_of
from transferhub.hosts.stores import READ_TIMEOUT, describe_credentials, open_store
from transferhub.model.clock import utc_now
from transferhub.model.faults import flatten
from transferhub.model.units import format_bytes
from transferhub.model.usage import DiskUse
from transferhub.plugins.images.registry_location import PUBLIC, RegistryLocation
from transferhub.plugins.objects.location import Location
from transferhub.registries.skopeo import find_skopeo
from transferhub.stores.base import ObjectStore

Level = Literal["ok", "warning", "error"]

_LIBRARIES = ("pyreqwest", "httpcore", "botocore", "sqlalchemy", "alembic", "pydantic", "click")
_LITTLE_SPACE = 1 << 30
_SKEW_WARNING = timedelta(seconds=60)
_SKEW_ERROR = timedelta(minutes=15)
"""Amazon S3 refuses requests whose time is off by more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at, its value and origin, and what to do where it is not ok."""

    name: str
    value: str
    origin: str = ""
    level: Level = "ok"
    advice: str = ""


async def examine(
    settings: Settings, locations: Sequence[Location | RegistryLocation]
) -> list[Finding]:
    """Settings, versions, the state, and each location's credentials, reach and, of object stores,
    clock."""
    found = [*_settings(settings), *_versions(), await _skopeo()]
    found += await _state(settings)
    for location in locations:
        if isinstance(location, RegistryLocation):
            found += await _registry(location)
        else:
            found += await _location(location)
    return found


def _settings(settings: Settings) -> Iterator[Finding]:
    of_hub, faults = _of_hub(settings)
    for setting in [*settings.described(), *of_hub]:
        yield Finding(name=setting.name, value=setting.value, origin=setting.origin)
    for fault in faults:
        yield Finding(name=fault.field, value="", level="error", advice=fault.message)
    for warning in settings.warnings:
        yield Finding(name="settings", value="", level="warning", advice=warning)


def _of_hub(settings: Settings) -> tuple[Sequence[Setting], Sequence[InputError]]:
    """Those of `dth up`, and what is wrong with them."""
    try:
        return HubSettings.of(settings).described(), ()
    except InputError as error:
        return (), flatten([error])


def _versions() -> Iterator[Finding]:
    yield Finding(name="dth", value=__version__)
    yield Finding(name="python", value=platform.python_version())
    for library in _LIBRARIES:
        try:
            yield Finding(name=library, value=version(library))
        except PackageNotFoundError:
            yield Finding(name=library, value="missing", level="error", advice="install dth again")


async def _skopeo() -> Finding:
    try:
        program = await find_skopeo(os.environ)
    except RunError as error:
        advice = f"{error.message} Only tasks of images need it, for those that are large."
        return Finding(name="skopeo", value="cannot be used", level="warning", advice=advice)
    return Finding(name="skopeo", value=f"{program.version}, {program.path}")


async def _state(settings: Settings) -> list[Finding]:
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(settings.state).free
    except OSError as error:
        advice = f"{error.strerror}: choose a folder that you may write, with --state"
        return [Finding(name="state", value=str(settings.state), level="error", advice=advice)]
    found = [
        Finding(
            name="free space",
            value=f"{format_bytes(free)} in {settings.state}",
            level="ok" if free > _LITTLE_SPACE else "warning",
            advice="" if free > _LITTLE_SPACE else "free some, or choose --state elsewhere",
        )
    ]
    place = StatePlace.of(settings)
    return found + await (_ledger(place) if place.ledger else _database(settings, place))


async def _database(settings: Settings, place: StatePlace) -> list[Finding]:
    try:
        async with AsyncExitStack() as stack:
            await adapters_of(place, stack).ledger()
        return [
            Finding(name="database", value="can be used"),
            Finding(name="disk use", value=_told_use(disk_use(settings))),
        ]
    except TransferHubError as error:
        return [
            Finding(name="database", value="cannot be used", level="error", advice=error.message)
        ]


async def _ledger(place: StatePlace) -> list[Finding]:
    from transferhub.hosts.aws_state import reach  # noqa: PLC0415 - a client of AWS, where wanted

    try:
        reached = await reach(place.ledger, place.patience)
    except TransferHubError as error:
        return [
            Finding(
                name="state on AWS", value="cannot be used", level="error", advice=error.message
            )
        ]
    facts = reached.facts
    found = [
        Finding(
            name="state on AWS",
            value=f"{facts.name} in {facts.region}, answers in {reached.seconds * 1000:.0f} ms",
        )
    ]
    found += [
        Finding(
            name=f"table {table.name}",
            value=f"{table.status.lower()}, {table.items} items, {format_bytes(table.size)}",
            level="ok" if table.status == "ACTIVE" else "warning",
            advice="" if table.status == "ACTIVE" else "wait until it is active",
        )
        for table in facts.tables
    ]
    found += [
        Finding(
            name=f"queue {queue.name}",
            value=f"{queue.waiting} messages wait, {queue.in_flight} are worked on,"
            f" {queue.delayed} are due later",
        )
        for queue in facts.queues
    ]
    found += [
        Finding(name="state on AWS", value="does not fit", level="error", advice=difference)
        for difference in reached.differences
    ]
    if facts.dead:
        found.append(
            Finding(
                name="dead-letter queue",
                value=f"{facts.dead} messages",
                level="warning",
                advice=_DEAD_ADVICE,
            )
        )
    return found


_DEAD_ADVICE = (
    "they were received five times without an end: `dth redrive RUN` takes along those of a run;"
    " look at the others in SQS, which are no work and no events of a task"
)


def _told_use(use: DiskUse) -> str:
    sizes = {"database": use.database, "reports": use.reports, "other files": use.other}
    return ", ".join(f"{name} {format_bytes(size)}" for name, size in sizes.items())


async def _location(location: Location) -> list[Finding]:
    name = location.url
    try:
        chosen = describe_credentials(location, os.environ)
        store = open_store(location, env=os.environ, looking=True)
    except InputError as error:
        return [Finding(name=name, value="not usable", level="error", advice=error.message)]
    found = [*_credentials(name, chosen.described, chosen.warnings)]
    try:
        await store.check()
        found.append(Finding(name=f"{name} reached", value=_reached(store, location)))
    except TransferHubError as error:
        found.append(_unreached(name, error))
    found += _clock(name, store)
    await store.aclose()
    return found


def _credentials(name: str, described: str, warnings: Sequence[str]) -> Iterator[Finding]:
    yield Finding(name=f"{name} credentials", value=described)
    for warning in warnings:
        yield Finding(name=f"{name} credentials", value="", level="warning", advice=warning)


def _unreached(name: str, error: TransferHubError) -> Finding:
    return Finding(name=f"{name} reached", value="no", level="error", advice=error.message)


async def _registry(location: RegistryLocation) -> list[Finding]:
    name = location.url
    tuning = Tuning(patience=timedelta(0), timeout=READ_TIMEOUT)
    try:
        chosen = describe_login(location, os.environ)
        side = open_side(location, env=os.environ, tuning=tuning)
    except InputError as error:
        return [Finding(name=name, value="not usable", level="error", advice=error.message)]
    found = [*_credentials(name, chosen.described, chosen.warnings)]
    if location.scheme == PUBLIC:
        return found
    try:
        opened = await side("")
        try:
            await opened.registry.check()
        finally:
            await opened.aclose()
        found.append(Finding(name=f"{name} reached", value=opened.registry.location))
    except TransferHubError as error:
        found.append(_unreached(name, error))
    return found


def _reached(store: ObjectStore, location: Location) -> str:
    if location.scheme == "file" and not Path(location.path).is_dir():
        return "not there yet; a transfer makes it"
    return store.location


def _clock(name: str, store: ObjectStore) -> Iterator[Finding]:
    theirs = getattr(store, "server_time", None)
    if theirs is None:
        return
    skew = utc_now() - theirs
    level: Level = "ok"
    if abs(skew) > _SKEW_WARNING:
        level = "error" if abs(skew) > _SKEW_ERROR else "warning"
    yield Finding(
        name=f"{name} clock",
        value=f"ours is {skew.total_seconds():+.0f} s off",
        level=level,
        advice="" if level == "ok" else "set this machine's clock, for example with NTP",
    )
