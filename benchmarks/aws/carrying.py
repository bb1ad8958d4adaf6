"""One run on AWS, as the engine carries it, and what its state costs."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.aws.bill import UnpricedError
from benchmarks.aws.crew import Post, ProcessCrew
from benchmarks.aws.meter import Metered, Reading
from benchmarks.aws.objects import Paced
from benchmarks.aws.sizes import Wire
from benchmarks.aws.state import ledger_in, new_state
from tests.conformance.aws_states import connection_to
from tests.servers.endpoint import Endpoint
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Action, RunId, TransferState

_RUN = RunId("run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a run is carried.

    Attributes:
        entries: what the finder finds.
        per_second: objects or parts of each worker.
        seconds: after which workers are stopped; None: they carry everything.
    """

    entries: Sequence[ObjectEntry]
    workers: int
    per_second: float
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Attributes:
    found: objects that were recorded.
    done: objects that were carried.
    recording, carrying: what each of the two cost.
    lookup: what it cost to find the status of one key.
    """

    found: int
    done: int
    recording: Reading
    carrying: Reading
    lookup: Reading


def carry(plan: Plan, server: Endpoint, meter: Metered, folder: Path) -> Carried:
    """A run on a state of its own; what the bill knows of its table is held against the table.

    Raises:
        UnpricedError: the bill is none.
    """
    state = new_state(meter.endpoint)
    folder.mkdir()
    start = meter.read()
    asyncio.run(_record(plan, meter, state, folder))
    recorded = meter.read()
    done = asyncio.run(_carry(plan, meter, state, folder))
    carried = meter.read()
    asyncio.run(_look_up(plan, meter, state))
    looked_up = meter.read()
    _compare(server, meter, f"{state}-ledger")
    return Carried(
        found=len(plan.entries),
        done=done,
        recording=recorded.since(start),
        carrying=carried.since(recorded),
        lookup=looked_up.since(carried),
    )


async def _record(plan: Plan, meter: Metered, state: str, folder: Path) -> None:
    replication = Paced(per_second=plan.per_second, entries=plan.entries)
    async with ledger_in(meter.endpoint, state) as ledger:
        await replication.find(_RUN, ledger, folder / "spool", print)


async def _carry(plan: Plan, meter: Metered, state: str, folder: Path) -> int:
    posts = [
        Post(
            endpoint=meter.endpoint,
            state=state,
            run=_RUN,
            number=number,
            per_second=plan.per_second,
        )
        for number in range(plan.workers)
    ]
    async with ledger_in(meter.endpoint, state) as ledger:
        job = Job(
            run=_RUN,
            ledger=ledger,
            replication=Paced(per_second=plan.per_second),
            crew=ProcessCrew(posts),
            guard=DeleteGuard(),
            destination="nowhere",
            folder=folder / "run",
            scan=False,
        )
        stop = asyncio.Event()
        execution = Execution(job, talk=lambda _: None, observer=lambda _: None)
        if plan.seconds is not None:
            asyncio.get_running_loop().call_later(plan.seconds, stop.set)
        summary = await execution.run(stop)
        if summary.faults or (plan.seconds is None and summary.done != len(plan.entries)):
            raise RuntimeError(f"the run did not carry everything: {summary}")
        totals = await ledger.totals(_RUN)
        return totals.tally(Action.COPY, TransferState.DONE).count


async def _look_up(plan: Plan, meter: Metered, state: str) -> None:
    key = plan.entries[len(plan.entries) // 2].key
    async with ledger_in(meter.endpoint, state) as ledger:
        if key not in await ledger.known(_RUN, [key]):
            raise RuntimeError(f"the ledger does not know {key}")


def _compare(server: Endpoint, meter: Metered, table: str) -> None:
    """What the server holds is what the bill thinks that it holds."""
    if _in_order(asyncio.run(_scan(server, table))) != _in_order(meter.items(table)):
        raise UnpricedError(f"the bill lost track of the table {table}")


def _in_order(items: Sequence[Wire]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


async def _scan(server: Endpoint, table: str) -> list[Wire]:
    found: list[Wire] = []
    asked: dict[str, Any] = {"TableName": table}
    connection = connection_to(server, "all")
    try:
        while True:
            page = await connection.dynamodb.ask("Scan", asked)
            found += page["Items"]
            if not page.get("LastEvaluatedKey"):
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    finally:
        await connection.aclose()
