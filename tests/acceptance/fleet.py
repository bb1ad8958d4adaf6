"""The processes of a hub, and what they are given to do."""

import os
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.acceptance.command import Dth, Running
from tests.acceptance.places import Place, content_of
from tests.acceptance.processes import wait_until

SLOW = "300kB/s"
"""What an object store of some hundred kilobytes takes some seconds with."""


def up(dth: Dth, scope: ExitStack, *words: object) -> Running:
    """A hub that is ready."""
    running = scope.enter_context(dth.start("up", "--port", 0, *words))
    wait_until(
        lambda: "sign in once" in running.out or running.process.poll() is not None, "the hub"
    )
    assert running.process.poll() is None, running.err
    return running


def on_machine(dth: Dth, name: str, url: str = "") -> Dth:
    """The same command with a folder of its own.

    Args:
        url: of a database that it shares; "" where it shares another state.
    """
    folder = dth.folder / name
    folder.mkdir()
    return Dth(
        folder=folder,
        endpoints=dth.endpoints,
        variables={**dth.variables, **({"DTH_DATABASE": url} if url else {})},
        secrets=dth.secrets,
    )


def kill_carriages(hub: Running) -> None:
    """All processes of the hub but its server, as a machine without memory would."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = entry.read_text().rpartition(")")[2].split()
            pid, session = int(entry.parent.name), int(fields[3])
            if session == hub.process.pid and pid != session and is_carriage(pid):
                os.kill(pid, signal.SIGKILL)


def is_carriage(pid: int) -> bool:
    """Its parent is the server process that it was forked from, not the hub."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes()
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return b"forkserver" in words and b"forkserver" in Path(f"/proc/{parent}/cmdline").read_bytes()


def fill(place: Place, count: int = 300, size: int = 4_000) -> None:
    place.fill({f"{n % 7}/{n:04d}": content_of(str(n), size) for n in range(count)})
