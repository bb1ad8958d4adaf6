"""A state on AWS: reached, created, described and deleted."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from transferhub.errors import InputError, StateError
from transferhub.hosts.hub_state import HubState, SharedState
from transferhub.hosts.s3 import proxy_of
from transferhub.state.aws.access import Role, policy
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
    differences_of,
)
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.schema import WORK
from transferhub.state.aws.tasks import AwsTaskStore
from transferhub.state.base import TaskStore
from transferhub.stores.s3.credentials import CredentialSource
from transferhub.stores.s3.transport import TransportConfig

log = logging.getLogger(__name__)

T = TypeVar("T")

_ACCOUNT_DIGITS = 12
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
        field: names the place where its region or profile is at fault; "" for these fields.

    Raises:
        InputError: no region is known, or there is no such profile.
    """
    place = parse_place(url, field=field) if isinstance(url, str) else url
    region = _region(place, env, field)
    endpoints = Endpoints.of(region, env)
    return Connection(
        place.name,
        region=region,
        endpoints=endpoints,
        credentials=_credentials(place, region, field),
        transport=_transport(endpoints, env),
        patience=patience,
    )


def _region(place: AwsPlace, env: Mapping[str, str], field: str) -> str:
    """Raises InputError: nothing names one."""
    region = _named_region(place, env)
    if not region:
        if not field:
            sentence = "is needed: neither AWS_REGION nor the AWS configuration names one"
            raise InputError("region", sentence)
        raise InputError(
            field,
            f"names no region for {place.name}, and neither AWS_REGION nor the AWS configuration"
            f" does; write aws://{place.name}?region=eu-west-1",
        )
    return region


def _named_region(place: AwsPlace, env: Mapping[str, str]) -> str:
    """As AWS's own tools take it: a profile that was named wins over the variables."""
    named = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or ""
    if place.region or (named and not place.profile):
        return place.region or named
    from transferhub.stores.s3.chain import (  # noqa: PLC0415 - it loads botocore, see there
        configured_region,
    )

    return configured_region(place.profile) or named


def _transport(endpoints: Endpoints, env: Mapping[str, str]) -> TransportConfig:
    """With the proxy and the CA bundle that AWS's own tools would take."""
    bundle = env.get("AWS_CA_BUNDLE", "")
    return TransportConfig(
        ca_bundle=Path(bundle) if bundle else None, proxy=proxy_of(endpoints.dynamodb, env)
    )


def _credentials(place: AwsPlace, region: str, field: str) -> CredentialSource:
    from transferhub.stores.s3.chain import ResolvedCredentials  # noqa: PLC0415 - as above

    try:
        return ResolvedCredentials(profile=place.profile, region=region)
    except InputError as error:
        sentence = error.message.removeprefix(f"{error.field}: ")
        raise InputError(field or "profile", sentence) from None


class AwsAdapters:
    """The `Adapters` of a state on AWS."""

    def __init__(self, connection: Connection, stack: AsyncExitStack) -> None:
        self._connection = connection
        self._stack = stack
        self._ledger: AwsLedger | None = None
        stack.push_async_callback(connection.aclose)

    async def ledger(self) -> AwsLedger:
        if self._ledger is None:
            self._ledger = await AwsLedger.open(self._connection, hear=self._hear)
            self._stack.push_async_callback(self._ledger.aclose)
        return self._ledger

    async def tasks(self) -> TaskStore:
        return AwsTaskStore(self._connection)

    async def _hear(self, body: str) -> bool:
        from transferhub.control.listener import Listener  # noqa: PLC0415 - a transfer needs none
        from transferhub.state.aws.inbox import AwsInbox  # noqa: PLC0415 - the same

        queue = self._connection.resource(WORK.name)
        listener = Listener(await self.tasks(), AwsInbox(self._connection), queue)
        try:
            return await listener.hear(body)
        except StateError as error:  # it comes again, and work goes on
            log.warning("%s", error.message, extra={"action": "pump_failed"})
            return False

    async def shared(self) -> SharedState:
        from transferhub.hosts import aws_hub  # noqa: PLC0415 - a transfer needs none of it

        return aws_hub.shared_state(await self.ledger(), self._connection)

    async def whole(self) -> HubState:
        from transferhub.hosts import aws_hub  # noqa: PLC0415 - as above

        return HubState.of(await self.shared(), aws_hub.people_state(self._connection))


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


def policy_of(place: AwsPlace, role: str, account: str) -> dict[str, Any]:
    """An IAM policy, for JSON.

    Args:
        role: the value of a `Role`.
        account: "" for whichever it is given in.

    Raises:
        InputError: no region is known, or that is no account.
    """
    if account and not (account.isdecimal() and len(account) == _ACCOUNT_DIGITS):
        raise InputError("account", f"{account!r} is none; an account is twelve digits")
    region = _region(place, os.environ, field="")
    return policy(Role(role), place.name, region=region, account=account or "*")


def _with(place: AwsPlace, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def framed() -> T:
        connection = open_connection(place, os.environ, field="")
        try:
            return await work(connection)
        finally:
            await connection.aclose()

    return asyncio.run(framed())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Attributes:
    seconds: that one question took.
    differences: of its tables and queues from what this version needs, a sentence each.
    """

    facts: StateFacts
    seconds: float
    differences: Sequence[str]


async def reach(url: str, patience: timedelta) -> Reached:
    """Looks at the state of a setting.

    Raises:
        InputError: no region is known, or there is no such profile.
        StateError: AWS refuses, or a table or queue is missing.
    """
    connection = open_connection(url, os.environ, field="ledger", patience=patience)
    try:
        facts = await describe_state(connection)
        begun = time.monotonic()
        with connection.failures():
            await connection.queue(WORK)
        seconds = time.monotonic() - begun
        return Reached(facts=facts, seconds=seconds, differences=await differences_of(connection))
    finally:
        await connection.aclose()
