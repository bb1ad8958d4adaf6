"""How long each list of a full hub takes, over HTTP and GraphQL."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg

from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from tests.servers.hub import HubClient, HubServer
from tests.servers.postgres import PostgresServer
from transferhub.hosts.hub_state import HubState
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.history import LogLevel, LogLine, Sample
from transferhub.model.people import AuditEntry, How
from transferhub.model.run import Run, RunState, Task, TaskId, Trigger
from transferhub.model.transfer import (
    Difference,
    Failure,
    Outcome,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
)

_TASKS = 1_000
_RUNS_OF_EACH = 100
_FAILURES = 100_000
_ENTRIES = 20_000
_SAMPLES = 8_000  # of a run of a week
_LINES = 10_000
_BATCH = 1_000
_ASKED = 60
_PAGE = 50
_LIMIT_MS = 100.0
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_FAILED = RunId("run-of-failures")
_FAILING = TaskId("task-0000")
_CODES = ("denied", "corrupt", "unreachable", "bad_key", "gave_up")
_LEVELS = (*(LogLevel.INFO,) * 8, LogLevel.WARNING, LogLevel.ERROR)
_STATES = (RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES, RunState.FAILED)
_TRIGGERS = (Trigger.PERSON, Trigger.SCHEDULE, Trigger.EVENT)
_HEAD = ["list", "SQLite: median ms", "95 % within", "PostgreSQL: median ms", "95 % within"]

_TASK = "id name state source destination tags owner nextRunAt updatedAt"
_PROGRESS = "listing done failed waiting bytes copyBytes same new changed"
_RUN = f"id task state trigger createdAt startedAt endedAt progress {{ {_PROGRESS} }}"
_TRANSFER = "key state size code message attempts endedAt history { at code message }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much a hub holds."""

    tasks: int
    runs_of_each: int
    failures: int
    entries: int
    samples: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list as somebody asks for it.

    Attributes:
        deep: the pages before the one that is measured.
    """

    title: str
    field: str
    items: str
    variables: Mapping[str, Any]
    deep: int = 0


def listings() -> Sequence[Listing]:
    run = {"run": _FAILED}
    tasks = f"{_TASK} latestRun {{ {_RUN} }}"
    found: list[tuple[str, str, str, Mapping[str, Any], int]] = [
        ("tasks with their newest runs", "tasks", tasks, {}, 0),
        ("tasks, the tenth page by name", "tasks", tasks, {"sort": "NAME"}, 9),
        ("tasks of a tag", "tasks", _TASK, {"filter": {"tag": "tag-7"}}, 0),
        ("tasks that two words are in", "tasks", _TASK, {"search": "bucket-7 nightly"}, 0),
        ("tasks that no word is in", "tasks", _TASK, {"search": "nowhere"}, 0),
        ("runs of all tasks", "runs", _RUN, {}, 0),
        ("runs of all tasks, the hundredth page", "runs", _RUN, {}, 99),
        ("runs of a task", "runs", _RUN, {"filter": {"task": "task-0500"}}, 0),
        ("runs that failed", "runs", _RUN, {"filter": {"states": ["FAILED"]}}, 0),
        ("runs of a day", "runs", _RUN, {"filter": _day(50)}, 0),
        ("transfers of a run", "transfers", _TRANSFER, run, 0),
        ("transfers, the hundredth page", "transfers", _TRANSFER, run, 99),
        ("transfers of a prefix", "transfers", _TRANSFER, {**run, "prefix": "data/00077/"}, 0),
        ("transfers that are done", "transfers", _TRANSFER, {**run, "states": ["DONE"]}, 0),
        ("transfers that were skipped", "transfers", _TRANSFER, {**run, "states": ["SKIPPED"]}, 0),
        ("transfers of a rare code", "transfers", _TRANSFER, {**run, "code": "rare"}, 0),
        ("failures of a run", "failures", _TRANSFER, run, 0),
        ("failures of a rare code", "failures", _TRANSFER, {**run, "code": "rare"}, 0),
        ("failures, a glob", "failures", _TRANSFER, {**run, "key": "data/00077/*5"}, 0),
        ("audit log", "audit", _ENTRY, {}, 0),
        ("audit log of a task", "audit", _ENTRY, {"subject": "task-0500"}, 0),
    ]
    return [
        Listing(title=title, field=field, items=items, variables=variables, deep=deep)
        for title, field, items, variables, deep in found
    ]


_ENTRY = "number at who how action subject before after"
_UNTIL = _BEGAN + timedelta(days=8)
_WEEK = f'since: "{_BEGAN:%Y-%m-%d}T00:00:00Z", until: "{_UNTIL:%Y-%m-%d}T00:00:00Z"'
_POINT = "{ at bytes objects failures workers bytesPerSecond peakBytesPerSecond }"
_LINE = "{ before after more items { number at level action message worker } }"
_PLAIN = {
    "series of a run, a week": f'series(run: "{_FAILED}", {_WEEK}) {_POINT}',
    "series of a task, a week": f'series(task: "task-0000", {_WEEK}) {_POINT}',
    "log of a run": f'logs(run: "{_FAILED}") {_LINE}',
    "log of a run, errors": f'logs(run: "{_FAILED}", level: ERROR) {_LINE}',
    "log of a run, words": f'logs(run: "{_FAILED}", search: "0001234 again") {_LINE}',
    "failures by cause": f'failureGroups(run: "{_FAILED}")'
    " { code count size exampleKey exampleMessage }",
    "workers": "workers { id host kind seenAt runs objectsPerSecond }",
}


def _day(number: int) -> Mapping[str, str]:
    since = _BEGAN + timedelta(days=number)
    return {"since": since.isoformat(), "until": (since + timedelta(days=1)).isoformat()}


def measure(setting: Setting) -> Result:
    sizes = Sizes(
        tasks=setting.scaled(_TASKS),
        runs_of_each=_RUNS_OF_EACH,
        failures=setting.scaled(_FAILURES),
        entries=setting.scaled(_ENTRIES),
        samples=setting.scaled(_SAMPLES),
        lines=setting.scaled(_LINES),
    )
    sqlite = setting.folder / "state" / "dth.sqlite3"
    columns = {"SQLite": _measure_hub(setting, f"sqlite:///{sqlite}", sizes)}
    with PostgresServer() as server:
        columns["PostgreSQL"] = _measure_hub(setting, server.create_database(), sizes)
    return Result(
        name="lists",
        title="The lists of a full hub",
        note=f"{sizes.tasks:,} tasks with {sizes.runs_of_each} runs each, a run with"
        f" {sizes.failures:,} failures, {sizes.samples:,} samples and {sizes.lines:,} lines of"
        f" its log, {sizes.entries:,} entries of the audit log. Each list is"
        f" asked for {_ASKED} times, {_PAGE} of a page, over HTTP and GraphQL from `dth up`.",
        rows=[],
        figures=[
            Figure(
                title=f"{name}: the slowest list, 95 % within",
                value=max(within for _, within in column.values()),
                unit="ms",
                limit=_LIMIT_MS,
            )
            for name, column in columns.items()
        ],
        cells=[_HEAD, *_cells(*columns.values())],
    )


def _cells(*columns: Mapping[str, tuple[float, float]]) -> Iterator[list[str]]:
    for title in columns[0]:
        times = (time for column in columns for time in column[title])
        yield [title, *(f"{time:.1f}" for time in times)]


def _measure_hub(setting: Setting, url: str, sizes: Sizes) -> Mapping[str, tuple[float, float]]:
    """Milliseconds of each list: the median, and what 95 of 100 answers take at most."""
    setting.say(f"filling {url.partition(':')[0]}")
    asyncio.run(_fill(setting.folder / "state", url, sizes))
    shared = not url.startswith("sqlite")
    if shared:
        # What a server does by itself; this one was told not to.
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    environment = {"DTH_DATABASE": url} if shared else {}
    with HubServer(setting.folder, environment=environment) as hub:
        client = hub.client()
        found = {title: _times(ask) for title, ask in _asked(client)}
        client.close()
    for title, (half, within) in found.items():
        setting.say(f"  {title}: {half:.1f} ms, 95 % within {within:.1f} ms")
    return found


def _times(ask: Callable[[], object]) -> tuple[float, float]:
    times = []
    for _ in range(_ASKED):
        begun = time.perf_counter()
        ask()
        times.append(1_000 * (time.perf_counter() - begun))
    return median(times), quantiles(times, n=20)[-1]


def _asked(client: HubClient) -> Iterator[tuple[str, Callable[[], object]]]:
    for listing in listings():
        after = ""
        for _ in range(listing.deep):
            after = _page(client, listing, after)["cursor"] or after
        yield listing.title, partial(_page, client, listing, after)
    for title, query in _PLAIN.items():
        yield title, partial(client.graph, f"{{ {query} }}")


_TYPES = {
    "run": "ID!",
    "sort": "TaskSort",
    "search": "String",
    "prefix": "String",
    "code": "String",
    "key": "String",
    "subject": "String",
    "states": "[TransferState!]",
    "first": "Int",
    "after": "String",
}
_FILTERS = {"tasks": "TaskFilterInput", "runs": "RunFilterInput"}


def _page(client: HubClient, listing: Listing, after: str) -> Any:
    types = {**_TYPES, "filter": _FILTERS.get(listing.field, "")}
    given = {**listing.variables, "first": _PAGE, "after": after}
    declared = ", ".join(f"${name}: {types[name]}" for name in given)
    passed = ", ".join(f"{name}: ${name}" for name in given)
    asked = f"{listing.field}({passed}) {{ cursor items {{ {listing.items} }} }}"
    return client.graph(f"query List({declared}) {{ {asked} }}", **given)[listing.field]


# Filling


async def _fill(folder: Path, url: str, sizes: Sizes) -> None:
    async with AsyncExitStack() as stack:
        state = await open_hub_state(StatePlace(folder=folder, database=url), stack)
        for number in range(sizes.tasks):
            await state.tasks.create_task(_task(number))
        for number in range(sizes.tasks * sizes.runs_of_each):
            await state.tasks.create_run(_run(number, sizes))
        for number in range(sizes.entries):
            await state.audit.append(_entry(number, sizes))
        await state.tasks.create_run(_run_of_failures())
        await _fill_failures(state, sizes.failures)
        for number in range(sizes.samples):
            await state.samples.add(_FAILED, _FAILING, _sample(number, sizes))
        for start in range(0, sizes.lines, _BATCH):
            numbers = range(start, min(start + _BATCH, sizes.lines))
            await state.logs.append([_line(number) for number in numbers])


def _task(number: int) -> Task:
    at = _BEGAN + timedelta(minutes=number)
    return Task(
        ident=TaskId(f"task-{number:04}"),
        name=f"{('Nightly', 'Hourly', 'Live')[number % 3]} copy {number * 7_919 % 1_000}",
        kind="objects",
        spec={
            "source": {"scheme": "s3", "bucket": f"bucket-{number}", "prefix": "data/"},
            "destination": {"scheme": "s3", "bucket": "archive", "prefix": f"{number}/"},
        },
        fingerprint=f"f{number}",
        created_at=at,
        updated_at=at,
        description="Copies what the department wrote during the day.",
        owner=f"owner-{number % 20}",
        tags=(f"tag-{number % 50}", "all"),
    )


def _run(number: int, sizes: Sizes) -> Run:
    at = _BEGAN + number * timedelta(days=100) / (sizes.tasks * sizes.runs_of_each)
    summary = {"done": 12_345, "copied": 12_345, "failed": number % 3, "bytes": 1 << 40, "same": 9}
    return Run(
        ident=RunId(f"run-{number:06}"),
        task=TaskId(f"task-{number % sizes.tasks:04}"),
        task_version=1,
        state=_STATES[number % 3],
        created_at=at,
        started_at=at,
        ended_at=at + timedelta(minutes=10),
        summary=summary,
        trigger=_TRIGGERS[number % 3],
        keeper="host-1",
    )


def _run_of_failures() -> Run:
    return Run(
        ident=_FAILED,
        task=_FAILING,
        task_version=1,
        state=RunState.COMPLETED_WITH_FAILURES,
        created_at=_BEGAN,
        started_at=_BEGAN,
        ended_at=_BEGAN + timedelta(hours=1),
    )


def _entry(number: int, sizes: Sizes) -> AuditEntry:
    return AuditEntry(
        at=_BEGAN + timedelta(seconds=number),
        who=f"owner-{number % 20}",
        how=How.SESSION,
        action="task.update",
        subject=f"task-{number % sizes.tasks:04}",
        before={"name": "Old"},
        after={"name": "New"},
    )


def _sample(number: int, sizes: Sizes) -> Sample:
    return Sample(
        at=_BEGAN + number * timedelta(days=7) / sizes.samples,
        phase="copying",
        listing=False,
        bytes=number << 20,
        objects=number * 100,
        failures=number,
        deleted=0,
        open=sizes.samples - number,
        workers=2,
        bytes_per_second=1e6 + number,
        objects_per_second=100.0,
    )


def _line(number: int) -> LogLine:
    return LogLine(
        at=_BEGAN + timedelta(seconds=number),
        level=_LEVELS[number % len(_LEVELS)],
        action="transfer_failed",
        message=f"The object data/{number:07} could not be copied; it is tried again.",
        task=_FAILING,
        run=_FAILED,
        worker="host-1",
    )


async def _fill_failures(state: HubState, count: int) -> None:
    """Among them a few that are done or were skipped, and a few of a rare code."""
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        keys = [f"data/{number // _BATCH:05}/{number:08}" for number in numbers]
        await state.ledger.record(
            _FAILED, [Transfer(key, Difference.NEW, 10_240, "0" * 32, _BEGAN) for key in keys]
        )
        leases = await state.ledger.lease(
            _FAILED,
            WorkerId("worker"),
            limit=_BATCH,
            max_bytes=1 << 60,
            duration=timedelta(hours=1),
        )
        done, passed, *rest = leases
        await state.ledger.complete(
            [
                Outcome(done, TransferState.DONE, 10_240, "0" * 32),
                Outcome(passed, TransferState.SKIPPED, code="archived"),
            ]
        )
        await state.ledger.fail(
            [
                Failure(lease, _code(number, start), "It was refused: ask whoever may.", None)
                for number, lease in enumerate(rest)
            ]
        )


def _code(number: int, start: int) -> str:
    return "rare" if number == 0 and start % (10 * _BATCH) == 0 else _CODES[number % len(_CODES)]
