"""Workers of a run in processes of their own, whose only shared things are the state's."""

import asyncio
import multiprocessing as mp
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from benchmarks.aws.objects import Paced
from benchmarks.aws.state import ledger_in
from tests.servers.endpoint import Endpoint
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.model.transfer import RunId, WorkerId

_LOOK_S = 0.1
_END_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a worker has to know. `per_second`: objects or parts."""

    endpoint: Endpoint
    state: str
    run: RunId
    number: int
    per_second: float


class ProcessCrew:
    """A Crew: the engine's own workers, with tuning as it is by default."""

    def __init__(self, posts: Sequence[Post]) -> None:
        self._posts = posts

    @property
    def size(self) -> int:
        return len(self._posts)

    async def work(self, stop: asyncio.Event) -> None:
        context = mp.get_context("spawn")
        ended = context.Event()
        started = [
            context.Process(target=_process, args=(post, ended), daemon=True)
            for post in self._posts
        ]
        for process in started:
            process.start()
        try:
            while not stop.is_set():
                if any(process.exitcode is not None for process in started):
                    raise RuntimeError("a worker of the benchmark ended before the run did")
                await asyncio.sleep(_LOOK_S)
        finally:
            ended.set()
        for process in started:
            await asyncio.to_thread(process.join, _END_S)
            if process.exitcode != 0:
                raise RuntimeError(f"a worker of the benchmark ended with {process.exitcode}")


def _process(post: Post, ended: Event) -> None:
    asyncio.run(_work(post, ended))


async def _work(post: Post, ended: Event) -> None:
    stop = asyncio.Event()
    async with ledger_in(post.endpoint, post.state) as ledger, asyncio.TaskGroup() as group:
        group.create_task(_watch(ended, stop))
        worker = Worker(
            ident=WorkerId(f"worker-{post.number}"),
            run=post.run,
            ledger=ledger,
            replication=Paced(per_second=post.per_second),
            tuning=Tuning(),
        )
        await worker.work(stop)


async def _watch(ended: Event, stop: asyncio.Event) -> None:
    await asyncio.to_thread(ended.wait)
    stop.set()
