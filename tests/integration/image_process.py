"""One run of images in a process of its own, for tests that kill it.

    python -m tests.integration.image_process DATABASE FOLDER SOURCE DESTINATION

Writes how the run ended.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from tests.integration.image_bench import Crew, no_skopeo, opener
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.images.replication import ImageReplication
from transferhub.plugins.images.spec import parse_spec
from transferhub.state.sql import SqlLedger

RUN, WORKER = RunId("run"), WorkerId("worker")


async def main(database: str, folder: str, source: str, destination: str) -> None:
    spec = parse_spec({"source": source, "destination": destination, "all": True})
    ledger = await SqlLedger.open(database)
    replication = ImageReplication(
        spec,
        source=opener(spec.source.host),
        destination=opener(spec.destination.host),
        skopeo=no_skopeo,
        time_limit=timedelta(minutes=1),
    )
    worker = Worker(
        ident=WORKER,
        run=RUN,
        ledger=ledger,
        replication=replication,
        tuning=Tuning(concurrency=10, attempts=3),
    )
    job = Job(
        run=RUN,
        ledger=ledger,
        replication=replication,
        crew=Crew(worker),
        guard=DeleteGuard(),
        destination=destination,
        folder=Path(folder),
        former_workers=[WORKER],
    )
    summary = await Execution(job, talk=lambda _: None).run(asyncio.Event())
    await replication.aclose()
    await ledger.aclose()
    sys.stdout.write(f"{summary.status} {summary.done} {summary.failed} {summary.faults}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
