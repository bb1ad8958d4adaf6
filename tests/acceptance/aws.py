"""A state on AWS, for commands and for the test's own process."""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Self

import pytest

from tests.acceptance.command import Dth
from tests.servers.endpoint import Endpoint
from transferhub.hosts import aws_state
from transferhub.state.aws.connection import AwsPlace, Connection

IN_EACH_STATE = pytest.mark.parametrize("dth", ["sqlite", "aws"], indirect=True)
"""Has a test run with each kind of state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """A state, where it is, and who may use it."""

    name: str
    endpoint: Endpoint

    @classmethod
    @contextmanager
    def created(cls, endpoint: Endpoint, setenv: Callable[[str, str], None]) -> Iterator[Self]:
        """It is deleted at the end."""
        aws = cls(name=f"t{uuid.uuid4().hex[:12]}", endpoint=endpoint)
        for name, value in aws.variables.items():
            setenv(name, value)
        aws_state.create(aws.place, backups=False, protected=False)
        yield aws
        aws_state.delete(aws.place)

    @property
    def place(self) -> AwsPlace:
        return AwsPlace(name=self.name, region=self.endpoint.region)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = aws_state.open_connection(self.place, os.environ, field="")
        try:
            yield connection
        finally:
            await connection.aclose()

    @property
    def url(self) -> str:
        return aws_state.url_of(self.place)

    @property
    def variables(self) -> dict[str, str]:
        """AWS's own ones."""
        return {
            "AWS_ACCESS_KEY_ID": self.endpoint.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
            "AWS_ENDPOINT_URL": self.endpoint.url,
        }

    def used_by(self, dth: Dth) -> Dth:
        """The command with its state here."""
        return dth.having(self.endpoint.secret_access_key, **self.variables, DTH_LEDGER=self.url)

    def through(self, endpoint: Endpoint) -> Self:
        """The same one, reached through another address."""
        return replace(self, endpoint=endpoint)
