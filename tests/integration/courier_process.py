"""A server's courier in a process of its own, for a test that kills it.

python -m tests.integration.courier_process DATABASE_URL KEY_FILE
"""

import asyncio
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from transferhub.control.channels import OpenChannels
from transferhub.control.courier import Courier
from transferhub.control.key_ring import KeyFile
from transferhub.control.letters import Desk
from transferhub.hosts.senders.all import open_senders
from transferhub.model.clock import Clock, utc_now
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.outbox import SqlOutbox


async def open_courier(
    url: str, keys: Path, stack: AsyncExitStack, clock: Clock = utc_now
) -> Courier:
    database = await Database.open(url)
    stack.push_async_callback(database.aclose)
    return Courier(
        SqlOutbox(database, clock),
        OpenChannels(SqlChannels(database, clock), KeyFile(keys)),
        open_senders(stack),
        Desk("https://hub.test", clock=clock, new_ident=lambda: "test"),
        clock=clock,
        chance=random.random,
    )


async def work(url: str, keys: Path) -> None:
    async with AsyncExitStack() as stack:
        await (await open_courier(url, keys, stack)).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2])))
