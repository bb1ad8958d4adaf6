"""The verbs on samples and logs."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.histories import RUN, START, TASK, line, sample
from transferhub.control.history import History
from transferhub.errors import AccessError, InputError
from transferhub.model.faults import InputErrors
from transferhub.model.history import LogLevel, OfRun, OfTask
from transferhub.model.people import Caller, How, Role, Scope
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import RunId
from transferhub.state.memory import MemoryLogs, MemorySamples, MemoryTaskStore

VIEWER = Caller(name="ann", role=Role.VIEWER, how=How.SESSION)
NOBODY = Caller(name="bot", role=Role.ADMIN, how=How.TOKEN, scopes=frozenset({Scope.PEOPLE}))
NOW = datetime(2026, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)

Ask = Callable[[History, Caller], Awaitable[Any]]
ASKED: list[Ask] = [
    lambda history, caller: history.series(caller, OfRun(RUN), START, START + HOUR),
    lambda history, caller: history.latest(caller, [RUN]),
    lambda history, caller: history.logs(caller, OfTask(TASK)),
]


@pytest.fixture
async def history() -> History:
    tasks, samples, logs = MemoryTaskStore(), MemorySamples(), MemoryLogs()
    task = Task(
        ident=TASK,
        name="t",
        kind="objects",
        spec={},
        fingerprint="f",
        created_at=NOW,
        updated_at=NOW,
    )
    await tasks.create_task(task)
    run = Run(ident=RUN, task=TASK, task_version=1, state=RunState.RUNNING, created_at=NOW)
    await tasks.create_run(run)
    await samples.add(RUN, TASK, sample(1, done=7))
    await logs.append([line("a"), line("b", level=LogLevel.ERROR)])
    return History(tasks, samples, logs)


@pytest.mark.parametrize("ask", ASKED)
async def test_a_viewer_may_look(history: History, ask: Ask) -> None:
    assert await ask(history, VIEWER)


@pytest.mark.parametrize("ask", ASKED)
async def test_a_token_for_something_else_may_not(history: History, ask: Ask) -> None:
    with pytest.raises(AccessError):
        await ask(history, NOBODY)


async def test_what_is_found_is_what_was_written(history: History) -> None:
    [point] = await history.series(VIEWER, OfTask(TASK), START, START + HOUR, points=1)
    assert point.last == sample(1, done=7)
    page = await history.logs(VIEWER, OfRun(RUN), level=LogLevel.ERROR)
    assert [at.message for at in page.lines] == ["b"]
    assert await history.latest(VIEWER, [RUN]) == {RUN: sample(1, done=7)}


@pytest.mark.parametrize(
    ("ask", "fields"),
    [
        (lambda h: h.series(VIEWER, OfRun(RUN), START, START), ["until"]),
        (lambda h: h.series(VIEWER, OfRun(RUN), START, START, points=0), ["points", "until"]),
        (lambda h: h.series(VIEWER, OfRun(RUN), START, START + HOUR, points=2_001), ["points"]),
        (lambda h: h.series(VIEWER, OfRun(RunId("x")), START, START + HOUR), ["run"]),
        (lambda h: h.series(VIEWER, OfTask(TaskId("x")), START, START + HOUR), ["task"]),
        (lambda h: h.logs(VIEWER, OfRun(RunId("x"))), ["run"]),
        (lambda h: h.logs(VIEWER, OfTask(TaskId("x"))), ["task"]),
        (lambda h: h.logs(VIEWER, OfRun(RUN), limit=0), ["limit"]),
        (lambda h: h.logs(VIEWER, OfRun(RUN), limit=1_001), ["limit"]),
        (lambda h: h.logs(VIEWER, OfRun(RUN), after=1, before=2), ["before"]),
        (lambda h: h.logs(VIEWER, OfRun(RUN), words="x" * 201), ["words"]),
    ],
)
async def test_bad_input_is_refused_by_its_field(
    history: History, ask: Callable[[History], Awaitable[Any]], fields: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        await ask(history)
    faults = caught.value.faults if isinstance(caught.value, InputErrors) else [caught.value]
    assert [fault.field for fault in faults] == fields
