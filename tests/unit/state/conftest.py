from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.state.plans import Plans
from transferhub.state.sql import database as sql_database
from transferhub.state.sql.database import Database


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Of all that is executed from now on."""
    plans = Plans()
    monkeypatch.setattr(sql_database, "Session", plans.session)
    return plans


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.sqlite3")
    yield database
    await database.aclose()
