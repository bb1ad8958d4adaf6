"""`LocalLauncher`: carries runs in processes of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from transferhub.control.keeper import Leave, Rates, Share
from transferhub.launchers.pipes import receive
from transferhub.model.run import Run

Assignment = TypeVar("Assignment")

_JOIN_SECONDS = 10.0


class LocalLauncher(Generic[Assignment]):
    """A process for each run, forked from a server process without threads, which has everything
    imported: one starts in some milliseconds, and shares memory with the others."""

    def __init__(
        self,
        main: Callable[[Connection], None],
        assign: Callable[[Run, Share, bool], Assignment],
    ) -> None:
        """Args:
        main: what each process does; the first thing that it receives is its assignment.
        assign: the assignment to carry a run, or to join it.
        """
        self._main = main
        self._assign = assign
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([main.__module__])

    async def prepare(self) -> None:
        """Starts the server process, which takes some tenths of a second."""
        await asyncio.to_thread(forkserver.ensure_running)

    def start(self, run: Run, share: Share, *, joins: bool) -> LocalCarriage:
        ours, theirs = self._context.Pipe()
        # Not a daemon: it has worker processes of its own. It ends when its pipe does.
        process = self._context.Process(target=self._main, args=(theirs,), daemon=False)
        process.start()
        theirs.close()
        carriage = LocalCarriage(process, ours)
        carriage.send(self._assign(run, share, joins))
        return carriage


class LocalCarriage:
    """A process that carries a run."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.rates = Rates()
        self._process = process
        self._pipe = pipe

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def described(self) -> str:
        return f"process {self.pid}, exit {self._process.exitcode}"

    def tell(self, message: Share | Leave) -> None:
        self.send(message)

    def send(self, message: object) -> None:
        with suppress(OSError):  # whoever waits for its end hears that it is gone
            self._pipe.send(message)

    async def ended(self) -> bool:
        with suppress(EOFError):
            while True:
                message = await receive(self._pipe)
                if isinstance(message, Rates):
                    self.rates = message
        self._pipe.close()
        await asyncio.to_thread(self._process.join, _JOIN_SECONDS)
        return self._process.exitcode == 0

    def kill(self) -> None:
        self._process.kill()
