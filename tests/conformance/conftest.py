"""Databases for suites that run on the state in memory and in both databases."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from transferhub.state.sql.database import Database

INSTANCES = 4
"""Of each port, over one database: as many processes of a hub have."""


@pytest.fixture(params=["memory", "sqlite", pytest.param("pg", marks=pytest.mark.postgresql)])
async def databases(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Sequence[Database]]:
    """None for the state in memory."""
    if request.param == "memory":
        yield ()
        return
    on_disk = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/state" if on_disk else request.getfixturevalue("postgres_url")
    async with AsyncExitStack() as stack:
        opened = [await Database.open(url) for _ in range(INSTANCES)]
        for database in opened:
            stack.push_async_callback(database.aclose)
        yield opened
