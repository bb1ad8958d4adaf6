"""States on a stand-in for AWS, for benchmarks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from tests.conformance.aws_states import connection_to
from tests.servers.endpoint import Endpoint
from transferhub.state.aws.creating import create_state
from transferhub.state.aws.ledger import AwsLedger

_PATIENCE = timedelta(minutes=2)


def new_state(endpoint: Endpoint) -> str:
    """The name of a state that was created just now."""
    return asyncio.run(_create(endpoint))


async def _create(endpoint: Endpoint) -> str:
    name = f"b{uuid4().hex[:12]}"
    connection = connection_to(endpoint, name)
    try:
        await create_state(connection)
    finally:
        await connection.aclose()
    return name


@asynccontextmanager
async def ledger_in(endpoint: Endpoint, name: str) -> AsyncIterator[AwsLedger]:
    connection = connection_to(endpoint, name, patience=_PATIENCE)
    try:
        ledger = await AwsLedger.open(connection)
        yield ledger
        await ledger.aclose()
    finally:
        await connection.aclose()
