"""A state on AWS: reached, created, described and deleted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlencode

from transferhub.errors import InputError
from transferhub.hosts.hub_state import HubState, SharedState
from transferhub.hosts.sql_state import SqlAdapters
from transferhub.state.aws.connection import (
    SCHEME,
    AwsPlace,
    Connection,
    Endpoints,
    parse_place,
)
from transferhub.state.aws.creating import (
    Resource,
    StateFacts,
    create_state,
    delete_state,
    describe_state,
)
from transferhub.state.base import Ledger, TaskStore
from transferhub.stores.s3.credentials import CredentialSource

T = TypeVar("T")

_PATIENCE = timedelta(seconds=30)


def open_connection(
    url: str | AwsPlace,
    env: Mapping[str, str],
    *,
    field: str,
    patience: timedelta = _PATIENCE,
) -> Connection:
    """The connection of a place, which asks nobody yet.

    Args:
        url: aws://NAME.
        field: names the place where its region or profile is at fault.

    Raises:
        InputError: no region is known, or there is no such profile.
    """
    place = parse_place(url, field=field) if isinstance(url, str) else url
    region = _region(place, env)
    if not region:
        raise InputError(
            field,
            f"names no region for {place.name}, and neither AWS_REGION nor the AWS configuration"
            f" does; write aws://{place.name}?region=eu-west-1",
        )
    return Connection(
        place.name,
        region=region,
        endpoints=Endpoints.of(region, env),
        credentials=_credentials(place, region, field),
        patience=patience,
    )


def _region(place: AwsPlace, env: Mapping[str, str]) -> str:
    """As AWS's own tools take it: a profile that was named wins over the variables."""
    named = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or ""
    if place.region or (named and not place.profile):
        return place.region or named
    from transferhub.stores.s3.chain import (  # noqa: PLC0415 - it loads botocore, see there
        configured_region,
    )

    return configured_region(place.profile) or named


def _credentials(place: AwsPlace, region: str, field: str) -> CredentialSource:
    from transferhub.stores.s3.chain import ResolvedCredentials  # noqa: PLC0415 - as above

    try:
        return ResolvedCredentials(profile=place.profile, region=region)
    except InputError as error:
        raise InputError(field, error.message.removeprefix(f"{error.field}: ")) from None


class AwsAdapters:
    """The `Adapters` of a state on AWS. People, channels and messages, which have no adapter there,
    are in a database of the servers."""

    def __init__(
        self, connection: Connection, in_database: SqlAdapters, stack: AsyncExitStack
    ) -> None:
        self._connection = connection
        self._in_database = in_database
        self._stack = stack
        self._ledger: Ledger | None = None
        stack.push_async_callback(connection.aclose)

    async def ledger(self) -> Ledger:
        return await self._in_database.ledger()

    async def tasks(self) -> TaskStore:
        return await self._in_database.tasks()

    async def shared(self) -> SharedState:
        return await self._in_database.shared()

    async def whole(self) -> HubState:
        return await self._in_database.whole()


# The verbs of `dth aws`. Each blocks to its end.


def place_of(name: str, *, region: str = "", profile: str = "") -> AwsPlace:
    """Raises InputError of the field "name" or "region"."""
    parse_place(f"aws://{name}", field="name")
    if region:
        parse_place(f"aws://{name}?region={region}", field="region")
    return AwsPlace(name=name, region=region, profile=profile)


def url_of(place: AwsPlace) -> str:
    """What the setting `ledger` takes."""
    options = {"region": place.region, "profile": place.profile}
    query = urlencode({name: value for name, value in options.items() if value})
    return f"{SCHEME}{place.name}{'?' * bool(query)}{query}"


def create(place: AwsPlace, *, backups: bool, protected: bool) -> Sequence[Resource]:
    """What was missing, and is there now.

    Raises:
        InputError: no region is known, or there is no such profile.
        StateError: AWS refuses.
    """
    return _with(place, lambda at: create_state(at, backups=backups, protected=protected))


def delete(place: AwsPlace) -> Sequence[Resource]:
    """What was there. Raises as `create`."""
    return _with(place, delete_state)


def describe(place: AwsPlace) -> StateFacts:
    """Raises as `create`."""
    return _with(place, describe_state)


def _with(place: AwsPlace, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def framed() -> T:
        connection = open_connection(place, os.environ, field="region")
        try:
            return await work(connection)
        finally:
            await connection.aclose()

    return asyncio.run(framed())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Attributes:
    seconds: that the first answer took, and all of them together.
    """

    facts: StateFacts
    seconds: float


async def reach(url: str, patience: timedelta) -> Reached:
    """Looks at the state of a setting.

    Raises:
        InputError: no region is known, or there is no such profile.
        StateError: AWS refuses, or a table or queue is missing.
    """
    connection = open_connection(url, os.environ, field="ledger", patience=patience)
    try:
        begun = time.monotonic()
        facts = await describe_state(connection)
        return Reached(facts=facts, seconds=time.monotonic() - begun)
    finally:
        await connection.aclose()
