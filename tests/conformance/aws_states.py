"""States on a stand-in for AWS, for suites and tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from tests.servers.endpoint import Endpoint
from transferhub.state.aws.connection import Connection, Endpoints
from transferhub.state.aws.creating import create_state, delete_state
from transferhub.stores.s3.credentials import Credentials, StaticCredentials
from transferhub.stores.s3.transport import TransportConfig


def connection_to(
    endpoint: Endpoint, name: str, *, patience: timedelta = timedelta(seconds=10)
) -> Connection:
    """Close it."""
    return Connection(
        name,
        region=endpoint.region,
        endpoints=Endpoints(dynamodb=endpoint.url, sqs=endpoint.url),
        credentials=StaticCredentials(
            Credentials(access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key)
        ),
        transport=TransportConfig(ca_bundle=endpoint.ca_bundle),
        patience=patience,
    )


@asynccontextmanager
async def aws_state(
    endpoint: Endpoint, *, patience: timedelta = timedelta(seconds=10)
) -> AsyncIterator[Connection]:
    """A new state that nobody else uses; it is deleted at the end."""
    connection = connection_to(endpoint, f"t{uuid4().hex[:12]}", patience=patience)
    try:
        await create_state(connection)
        try:
            yield connection
        finally:
            await delete_state(connection)
    finally:
        await connection.aclose()
