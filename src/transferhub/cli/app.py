"""The command line at work: where it writes, which host it asks, how a command begins and ends."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import click

from transferhub.cli.documents import cut_off_document, print_json, summary_document
from transferhub.cli.exits import ExitCode, exit_of_status
from transferhub.cli.faults import shown
from transferhub.cli.host import Host, OpenHost
from transferhub.cli.job import Params, read_all, read_hub_settings, read_settings
from transferhub.cli.lines import Lines, Quiet
from transferhub.cli.log import log_shown
from transferhub.cli.streams import Stream
from transferhub.cli.summary import summary_lines
from transferhub.cli.text import noun_of
from transferhub.engine.progress import Summary
from transferhub.errors import TransferHubError
from transferhub.hosts.masking import masked
from transferhub.model.run import RunState
from transferhub.model.transfer import FailureGroup, RunId

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.hosts.hub_settings import HubSettings
    from transferhub.hosts.settings import Settings


_COLLECT_EVERY = 10_000
"""Objects more than before, after which the youngest are looked through."""


@dataclass(slots=True)
class App:
    """What click hands to every command.

    Attributes:
        command: the one that runs, once its options are read.
    """

    open_host: OpenHost
    out: Stream
    err: Stream
    command: click.Command | None = None
    debug: bool = False

    def begin(self, command: click.Command, params: Params) -> None:
        self.command = command
        self.debug = bool(params.get("debug"))

    @contextmanager
    def session(self, params: Params, settings: Settings | None = None) -> Iterator[Session]:
        """A host with a display, which is taken off the screen at the end.

        Args:
            settings: None reads them.
        """
        settings = settings or read_all(lambda faults: read_settings(params, faults))
        display = self._display(quiet=bool(params.get("quiet")))
        level = "debug" if self.debug else settings.log.value
        try:
            with log_shown(level, display, self.err):
                host = self.open_host(
                    settings,
                    talk=lambda sentence: display.talk(shown(sentence)),
                    observer=display.observe,
                )
                yield Session(app=self, host=host, display=display, json=bool(params.get("json")))
        finally:
            display.close()

    @contextmanager
    def process(self, params: Params) -> Iterator[tuple[HubSettings, Callable[[str], None]]]:
        """The settings of a process that runs until it is stopped, and what tells of it."""
        from transferhub.hosts.logs import LogRules, Mask, logs_written
        from transferhub.hosts.settings import LogLevel

        settings = read_all(lambda faults: read_hub_settings(params, faults))
        level = "debug" if self.debug else settings.base.log.value
        rules = LogRules(format=settings.log_format, level=level)
        settings = replace(settings, base=replace(settings.base, log=LogLevel(level)))
        with logs_written(rules, self.err.line, Mask()):
            for warning in settings.base.warnings:
                self.err.line(f"dth: {shown(warning)}")
            yield settings, lambda sentence: self.out.line(f"dth: {shown(sentence)}")

    def _display(self, *, quiet: bool) -> Quiet:
        if quiet:
            return Quiet()
        able = self.err.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        if able and not self.debug:  # log lines would tear a live display
            from transferhub.cli.live import Live

            return Live(self.err)
        return Lines(self.err)


@cache
def _spare_collector() -> None:
    """Modules stay for good, and pages of a listing make no cycles: looking through them again and
    again takes a quarter of the time of a compare."""
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    app: App
    host: Host
    display: Quiet
    json: bool

    def speak_of(self, noun: str) -> None:
        """What the run moves, in whatever is told of it from now on."""
        self.display.noun = noun

    def speak_of_run(self, run: RunId) -> None:
        """The same, of a run that there is."""
        _, task, _ = self.host.show(run)
        self.speak_of(noun_of(task.kind))

    def carry(self, work: Callable[[], Summary]) -> ExitCode:
        """Does the work of a run and tells how it ended."""
        _spare_collector()
        with self.failing():
            summary = work()
        return self.end(summary)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Tells of a run that something else than its own end ended; that goes on its way."""
        try:
            yield
        except KeyboardInterrupt:
            self._cut_off(RunState.CANCELLED, None)
            raise
        except TransferHubError as error:
            self._cut_off(RunState.FAILED, (error.code, masked(error.message)))
            raise
        except Exception as error:
            self._cut_off(RunState.FAILED, ("internal", masked(str(error))))
            raise

    def _cut_off(self, status: RunState, error: tuple[str, str] | None) -> None:
        self.display.close()
        progress = self.display.last
        if progress is None:
            return
        if self.json:
            print_json(cut_off_document(progress, status, error), self.app.out)
        if status is RunState.CANCELLED:
            self.app.err.line(f"dth: {interrupted_sentence(progress.run)}")

    def end(self, summary: Summary, **extra: object) -> ExitCode:
        self.display.close()
        if self.json:
            print_json(summary_document(summary) | extra, self.app.out)
        else:
            groups = self._groups(summary)
            self.app.out.lines(
                [masked(line) for line in summary_lines(summary, groups, self.display.noun)]
            )
        self._tell_error(summary)
        return exit_of_status(summary.status)

    def _groups(self, summary: Summary) -> list[FailureGroup]:
        """The summary must be told even where the ledger cannot be asked any more."""
        if not summary.failed and not summary.delete_failed:
            return []
        try:
            return list(self.host.failure_groups(summary.run))
        except TransferHubError:
            return []

    def _tell_error(self, summary: Summary) -> None:
        if summary.error:
            self.app.err.line(f"dth: {shown(summary.error)}")
        elif summary.status is RunState.CANCELLED and self.json:
            self.app.err.line(f"dth: {interrupted_sentence(summary.run)}")


def interrupted_sentence(run: RunId) -> str:
    return f"Interrupted. Go on with `dth resume {run}`, or with the same command."
