"""The programs that are measured, each as a person would call it for the whole job."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Protocol

from benchmarks.clients import DTH
from benchmarks.images.stock import Stock
from benchmarks.usage import Command, CommandError, Usage, run
from tests.servers.process import find_program

AT_ONCE = 10
"""Images under way at once, for us as we are by default and for the loop."""

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that `stock` names goes from one registry to the other."""

    source: str
    destination: str
    stock: Stock
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """`again`: copies that failed and were started again."""

    usage: Usage
    again: int = 0


class Copier(Protocol):
    """Makes the destination hold all that the source holds."""

    @property
    def name(self) -> str: ...

    def copy(self, job: Job) -> Ran:
        """Raises CommandError."""

    def forget(self) -> None:
        """Removes all that it remembers: the next copy is a first one."""


class Dth:
    """This project, as it is by default."""

    name = DTH

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "dth"
        self.forget()

    def copy(self, job: Job) -> Ran:
        command = Command(
            arguments=[
                find_program("dth", install="scripts/setup bench"),
                "images",
                job.source,
                job.destination,
                "--all",
                "--source-plain-http",
                "--destination-plain-http",
                f"--state={self._folder / 'state'}",
                "--quiet",
                "--json",
            ]
        )
        return Ran(usage=run(command, folder=self._folder, timeout_s=job.timeout_s))

    def forget(self) -> None:
        _renew(self._folder)


class _Skopeo:
    """Without the machine's own settings, policy, and cache of blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / self.name.replace(" ", "-")
        self.forget()

    name: str

    def forget(self) -> None:
        _renew(self._folder)

    def _command(self, *arguments: str) -> Command:
        folder = str(self._folder)
        return Command(
            arguments=[
                find_program("skopeo", install="apt-get install skopeo"),
                "--insecure-policy",
                *arguments,
            ],
            environment={
                "HOME": folder,
                "XDG_RUNTIME_DIR": folder,
                # Where its cache is below this only for those who are not root.
                "XDG_DATA_HOME": folder,
                "_CONTAINERS_ROOTLESS_UID": "1",
                "CONTAINERS_REGISTRIES_CONF": "/dev/null",
            },
        )


class SkopeoSync(_Skopeo):
    """`skopeo sync` of all repositories in one call, one image after the other."""

    name = "skopeo sync"

    def copy(self, job: Job) -> Ran:
        described = self._folder / "sync.yaml"
        lines = [f'"{job.source}":', "  tls-verify: false", "  images:"]
        described.write_text(
            "\n".join([*lines, *(f"    {repository}: []" for repository in job.stock), ""])
        )
        # It takes the last part of each repository's name alone along.
        (below,) = {repository.rpartition("/")[0] for repository in job.stock}
        command = self._command(
            "sync",
            "--all",
            "--src=yaml",
            "--dest=docker",
            "--dest-tls-verify=false",
            str(described),
            f"{job.destination}/{below}",
        )
        return Ran(usage=run(command, folder=self._folder, timeout_s=job.timeout_s))


class SkopeoLoop(_Skopeo):
    """`skopeo copy`, once for each tag, ten at once; what fails is started again."""

    name = "skopeo copy loop"

    def copy(self, job: Job) -> Ran:
        commands = [
            self._command(
                "copy",
                "--all",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                f"docker://{job.source}/{repository}:{tag}",
                f"docker://{job.destination}/{repository}:{tag}",
            )
            for repository, tags in job.stock.items()
            for tag in tags
        ]
        return run_all(commands, self._folder, job.timeout_s)


def run_all(commands: Sequence[Command], folder: Path, timeout_s: float) -> Ran:
    """Runs all commands, some at once; their processor time is summed up."""
    slots: SimpleQueue[Path] = SimpleQueue()
    for number in range(AT_ONCE):
        slot = folder / str(number)
        slot.mkdir(exist_ok=True)
        slots.put(slot)

    def one(command: Command) -> Ran:
        slot = slots.get()
        try:
            return _tried(command, slot, timeout_s)
        finally:
            slots.put(slot)

    begun = perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ran = [*pool.map(one, commands)]
    return Ran(
        usage=Usage(
            wall_s=perf_counter() - begun,
            cpu_s=sum(single.usage.cpu_s for single in ran),
        ),
        again=sum(single.again for single in ran),
    )


def _tried(command: Command, folder: Path, timeout_s: float) -> Ran:
    for again in range(_TRIES - 1):
        try:
            return Ran(usage=run(command, folder=folder, timeout_s=timeout_s), again=again)
        except CommandError:
            continue
    return Ran(usage=run(command, folder=folder, timeout_s=timeout_s), again=_TRIES - 1)


def _renew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
