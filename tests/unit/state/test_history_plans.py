"""What a verb on samples and logs costs does not grow with the tables."""

from datetime import timedelta

from tests.conformance.histories import (
    DAY,
    FIRST,
    HOUR,
    RUN,
    START,
    TASK,
    line,
    sample,
)
from tests.unit.state.plans import Plans
from transferhub.model.history import OfRun, OfTask
from transferhub.state.sql.database import Database
from transferhub.state.sql.logs import SqlLogs
from transferhub.state.sql.samples import SqlSamples


async def test_samples_are_found_by_their_indexes(database: Database, plans: Plans) -> None:
    samples = SqlSamples(database)
    for at in (0, 2):
        await samples.add(RUN, TASK, sample(at))
    await samples.latest([RUN])
    for of in (OfRun(RUN), OfTask(TASK)):
        await samples.series(of, START, START + HOUR, points=10)
    assert await samples.thin(FIRST, START + DAY)
    assert await samples.purge(START + timedelta(days=9))
    await samples.forget(RUN)
    found = {line for line in plans.lines if "samples" in line or line.split()[1] == "s"}
    assert found
    assert not {line for line in found if not line.startswith("SEARCH")}


async def test_logs_are_found_by_their_indexes(database: Database, plans: Plans) -> None:
    logs = SqlLogs(database)
    await logs.append([line("a")])
    for of in (OfRun(RUN), OfTask(TASK)):
        await logs.page(of, words="a")
        await logs.page(of, after=0)
    assert await logs.purge(START + HOUR) == 1
    found = {line for line in plans.lines if "log" in line}
    assert found
    assert not {line for line in found if not line.startswith("SEARCH")}
    assert not {line for line in plans.lines if "TEMP B-TREE" in line}
