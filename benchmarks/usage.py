"""What a command takes: time, processor time and memory, of the process and all its descendants."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLE_SECONDS = 0.05
_TAIL_BYTES = 2_000


class CommandError(Exception):
    """A client failed, so that its figures mean nothing; the message ends with what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`environment` is added to this process's own."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Attributes:
    cpu_s: user and system time of the process and of all descendants that it waited for.
    peak_bytes: most proportional set size of the whole process tree at one time, which counts a
        page that processes share once; 0 where it was not watched.
    peak_resident_bytes: the same of the resident set sizes, which counts it in each of them.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int = 0
    peak_resident_bytes: int = 0


def run(command: Command, *, folder: Path, timeout_s: float, watch_memory: bool = False) -> Usage:
    """Runs the command to its end. Its output is `output` in `folder`, its errors `errors`.

    Raises:
        CommandError: it did not exit with 0 in time.
    """
    output, errors = folder / "output", folder / "errors"
    begun = time.perf_counter()
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [str(argument) for argument in command.arguments],
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            process_group=0,
        )
    watch = _MemoryWatch(process.pid)
    killer = threading.Timer(timeout_s, os.killpg, (process.pid, signal.SIGKILL))
    killer.start()
    try:
        if watch_memory:
            watch.start()
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        killer.cancel()
        watch.stop()
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (output.read_bytes() + errors.read_bytes())[-_TAIL_BYTES:].decode(errors="replace")
        name = Path(command.arguments[0]).name
        raise CommandError(f"{name} ended with {process.returncode} after {wall:.1f} s:\n{said}")
    return Usage(
        wall_s=wall,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_bytes=watch.peak,
        peak_resident_bytes=watch.peak_resident,
    )


class _MemoryWatch:
    """Looks at a process tree many times a second, from a thread of its own."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self.peak_resident = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            sizes = [_memory(pid) for pid in _tree(self._pid)]
            self.peak = max(self.peak, sum(size["Pss"] for size in sizes))
            self.peak_resident = max(self.peak_resident, sum(size["Rss"] for size in sizes))


def _tree(pid: int) -> Iterator[int]:
    """The process and its descendants; those that end meanwhile may be missing."""
    yield pid
    try:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _tree(int(child))
    except OSError:
        return


def _memory(pid: int) -> dict[str, int]:
    """Pss and Rss in bytes; 0 for a process that has ended."""
    found = {"Pss": 0, "Rss": 0}
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0]) * 1024
    return found
