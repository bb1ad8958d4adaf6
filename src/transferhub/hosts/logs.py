"""Log lines of the processes of a hub: what they look like, and how those of runs are kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from transferhub.errors import StateError
from transferhub.hosts.hub_settings import LogFormat
from transferhub.hosts.masking import SHORTEST, masked
from transferhub.model.clock import Clock, utc_now
from transferhub.model.history import LogLevel, LogLine
from transferhub.model.people import HIDDEN
from transferhub.model.people import masked as without_logins
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.history import Logs

log = logging.getLogger(__name__)

OUTSIDE = "outside"
"""The action of lines of other packages."""

MISSED = "log_missed"
PACKAGE = "transferhub"
_CONSOLE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_LONGEST_MESSAGE = 4_000
_KEEP_SECONDS = 0.5
_BATCH = 500
_CAPACITY = 5_000

_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "action"}
"""What every record has; the rest was given as `extra`."""


class Mask:
    """Takes out of text what the environment holds of secrets, what it was told to hide, and logins
    and signatures in URLs."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """From now on."""
        if len(secret) >= SHORTEST:
            self._secrets.add(secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return str(without_logins(masked(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRules:
    """How a process of a hub writes its log.

    Attributes:
        level: of the lines that are written and kept, such as "info"; WARNING of other packages.
        worker: the member of the fleet that writes; "" while there is none.
    """

    format: LogFormat = LogFormat.CONSOLE
    level: str = "warning"
    worker: str = ""


@contextmanager
def logs_written(rules: LogRules, write: Callable[[str], None], mask: Mask) -> Iterator[None]:
    """Writes the lines of this process, one call each, without secrets.

    Other packages are heard from warnings on only: they log headers, which hold credentials.
    """
    handler = _Writer(write, mask)
    handler.setFormatter(_formatter(rules, mask))
    handler.setLevel(rules.level.upper())
    ours, everyone = logging.getLogger(PACKAGE), logging.getLogger()
    former = ours.level
    # The logs of runs are kept from INFO on, whatever is written.
    ours.setLevel(min(logging.INFO, handler.level))
    everyone.addHandler(handler)
    try:
        yield
    finally:
        everyone.removeHandler(handler)
        ours.setLevel(former)


class _Writer(logging.Handler):
    def __init__(self, write: Callable[[str], None], mask: Mask) -> None:
        super().__init__()
        self._write = write
        self._mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self._mask(self.format(record)))


def _formatter(rules: LogRules, mask: Mask) -> logging.Formatter:
    if rules.format is LogFormat.JSON:
        return JsonLines(mask, {"worker": rules.worker} if rules.worker else {})
    return logging.Formatter(_CONSOLE)


class JsonLines(logging.Formatter):
    """Each record is one JSON object on one line."""

    def __init__(self, mask: Mask, always: Mapping[str, str]) -> None:
        """Args:
        always: fields of records that do not have them.
        """
        super().__init__()
        self._mask = mask
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": level_of(record).value,
            "action": action_of(record),
            **self._always,
            **_extra(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        # Before they are quoted: a secret with a quotation mark would be another text.
        shown = {
            name: self._mask(value) if isinstance(value, str) else value
            for name, value in told.items()
        }
        return json.dumps(shown, ensure_ascii=False)


def level_of(record: logging.LogRecord) -> LogLevel:
    if record.levelno >= logging.ERROR:
        return LogLevel.ERROR
    if record.levelno >= logging.WARNING:
        return LogLevel.WARNING
    return LogLevel.INFO if record.levelno >= logging.INFO else LogLevel.DEBUG


def action_of(record: logging.LogRecord) -> str:
    return str(getattr(record, "action", OUTSIDE))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _USUAL and isinstance(value, str | int | float)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A line whose task is still to be found."""

    at: datetime
    level: LogLevel
    action: str
    message: str
    run: RunId
    worker: str


class LogBook(logging.Handler):
    """Keeps what is logged about runs: records with a `run`, or all of a process that has one run.

    To log never waits: lines go into a queue, and where that is full they are counted and told of.
    """

    def __init__(
        self,
        mask: Mask,
        task_of: Callable[[RunId], Awaitable[TaskId | None]],
        *,
        run: RunId | None = None,
        worker: str = "",
        capacity: int = _CAPACITY,
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        task_of: the task of a run; None drops its lines.
        run: of records that name none.
        """
        super().__init__(logging.INFO)
        self._mask = mask
        self._task_of = task_of
        self._run = run
        self._worker = worker
        self._capacity = capacity
        self._clock = clock
        self._heard: deque[_Heard] = deque()
        self._missed: Counter[RunId] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        run = getattr(record, "run", self._run)
        if not run:
            return
        run = RunId(str(run))
        if len(self._heard) >= self._capacity:
            self._missed[run] += 1
        else:
            self._heard.append(self._to_heard(record, run))

    async def keep(
        self, logs: Logs, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Writes what was heard, twice a second until it is cancelled."""
        while True:
            await wait(_KEEP_SECONDS)
            try:
                await self.write(logs)
            except Exception:
                log.exception("lines of runs are lost", extra={"action": "log_failed"})

    async def write(self, logs: Logs) -> None:
        """Writes all that was heard; what cannot be written now stays."""
        self._tell_missed()
        while self._heard:
            batch = [self._heard.popleft() for _ in range(min(_BATCH, len(self._heard)))]
            try:
                await logs.append(await self._lines(batch))
            except StateError:
                self._heard.extendleft(reversed(batch))
                return

    def _to_heard(self, record: logging.LogRecord, run: RunId) -> _Heard:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            message = f"{message}: {type(error).__name__}: {error}"
        return _Heard(
            at=datetime.fromtimestamp(record.created, UTC),
            level=level_of(record),
            action=action_of(record),
            message=self._mask(message)[:_LONGEST_MESSAGE],
            run=run,
            worker=str(getattr(record, "worker", self._worker)),
        )

    def _tell_missed(self) -> None:
        missed, self._missed = self._missed, Counter()
        for run, count in missed.items():
            told = _Heard(
                at=self._clock(),
                level=LogLevel.WARNING,
                action=MISSED,
                message=f"{count} lines came too fast to be kept",
                run=run,
                worker=self._worker,
            )
            self._heard.append(told)

    async def _lines(self, batch: list[_Heard]) -> list[LogLine]:
        tasks = {run: await self._task_of(run) for run in {heard.run for heard in batch}}
        return [_to_line(heard, task) for heard in batch if (task := tasks[heard.run]) is not None]


def _to_line(heard: _Heard, task: TaskId) -> LogLine:
    return LogLine(
        at=heard.at,
        level=heard.level,
        action=heard.action,
        message=heard.message,
        task=task,
        run=heard.run,
        worker=heard.worker,
    )
