"""Log lines, for `--debug` and the setting `log`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from transferhub.cli.lines import Quiet
from transferhub.cli.streams import Stream
from transferhub.hosts.masking import masked

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@contextmanager
def log_shown(level: str, display: Quiet, err: Stream) -> Iterator[None]:
    """Shows the package's log lines from `level` on, without secrets.

    Other packages are shown from warnings on only: they log headers, which hold credentials.
    """
    handler = _Handler(display, err)
    handler.setFormatter(logging.Formatter(_FORMAT))
    ours, everyone = logging.getLogger("transferhub"), logging.getLogger()
    former = ours.level
    ours.setLevel(level.upper())
    everyone.addHandler(handler)
    try:
        yield
    finally:
        everyone.removeHandler(handler)
        ours.setLevel(former)


class _Handler(logging.Handler):
    """Writes above a live display; straight to stderr from forked processes, which have none."""

    def __init__(self, display: Quiet, err: Stream) -> None:
        super().__init__()
        self._display = display
        self._err = err
        self._owner = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        line = masked(self.format(record))
        if os.getpid() == self._owner and self._display.talks:
            self._display.talk(line)
        else:
            self._err.line(line)
