"""A real server as a child process: started, waited for, and stopped by its own pid."""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 4096
# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes a port
# between the moment it was found free and the moment the server binds it.
_PORTS = range(20_000, 32_000)


class ServerError(Exception):
    """The server did not start; the message carries the end of its log."""


class MissingProgramError(ServerError):
    """The server's program is not installed; the message says how to install it."""


_claims = ExitStack()
atexit.register(_claims.close)


def _claim(port: int) -> bool:
    """Keeps a port for this process until it ends, though its server may bind it seconds later.

    False where another process that starts servers has it. A name in Linux's abstract namespace
    is claimed by one process at a time, and goes with it.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0transferhub-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.enter_context(claim)
    return True


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that are free on 127.0.0.1 and claimed by no other process of ours."""
    ports: list[int] = []
    with ExitStack() as probes:
        for port in random.SystemRandom().sample(_PORTS, 50 + 4 * count):
            probe = probes.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if not _claim(port):
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise ServerError(f"found only {len(ports)} of {count} free ports")


def find_program(name: str, *, install: str) -> Path:
    """Looks beside the running interpreter first, then on PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(f"{name} is not installed: {install}")
    return Path(found)


def _die_with_parent() -> None:
    # Otherwise a test run that is killed leaves its servers behind.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Scoped(ABC):
    """A server that is started and stopped as a scope; one that fails to start is stopped too."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class ServerProcess:
    """One child process in its own process group; usable as a context manager.

    It dies with the thread that started it: start servers from the main thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        ready: Callable[[], bool],
        name: str,
        environment: Mapping[str, str] | None = None,
        ready_within_s: float = 60.0,
        stop_within_s: float = 5.0,
        user: int | None = None,
        group: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self.started_in_s = 0.0
        self._command = [str(part) for part in command]
        self._folder = folder
        self._ready = ready
        self._environment = {**os.environ, **(environment or {})}
        self._ready_within_s = ready_within_s
        self._stop_within_s = stop_within_s
        self._user = user
        self._group = group
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns once the server is ready.

        Raises:
            ServerError: it ended, or was not ready in time; it is stopped then.
        """
        begun = time.monotonic()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                user=self._user,
                group=self._group,
                extra_groups=None if self._user is None else [],
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only calls prctl
            )
        try:
            self._wait_until_ready(begun + self._ready_within_s)
        except BaseException:
            self.kill()
            raise
        self.started_in_s = time.monotonic() - begun

    def _wait_until_ready(self, deadline: float) -> None:
        while not self._ready():
            if not self.running:
                raise ServerError(f"{self.name} ended before it was ready:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} was not ready in {self._ready_within_s:g} s:\n{self.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Asks the server to end, kills it if it does not; does nothing when it has ended."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(self._stop_within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process.wait()

    def kill(self) -> None:
        """Ends the server and its own children without a chance to tidy up."""
        if self._process is None:
            return
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Freezes the server: it accepts connections and answers nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def log_tail(self) -> str:
        return self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
