"""Messages between a process and those that it has started."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection


async def receive(pipe: Connection) -> object:
    """The next message; EOFError where the other end is gone."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pipe.fileno(), ready.set)
    try:
        while not pipe.poll():
            ready.clear()
            await ready.wait()
        return pipe.recv()
    except OSError:
        raise EOFError from None
    finally:
        loop.remove_reader(pipe.fileno())
