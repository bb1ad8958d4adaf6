"""Signals that end a hub's process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


def leave_on_signals(talk: Callable[[str], None]) -> asyncio.Event:
    """Set by the first SIGTERM or Ctrl-C. A second one ends the process at once: whatever it
    carries goes on elsewhere or at the next start."""
    leave = asyncio.Event()

    def on_signal() -> None:
        if leave.is_set():
            os._exit(1)
        talk("stopping: what is under way ends or is given back; once more stops at once")
        leave.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return leave
