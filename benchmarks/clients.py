"""The programs that are measured, each with the fastest sensible settings for the job at hand."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.usage import Command
from tests.servers.endpoint import Endpoint
from tests.servers.process import find_program

AT_ONCE = 64
"""Objects or parts under way at once, the same for every client."""

DTH = "dth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where objects are: those of a bucket that start with `prefix`, which ends with a slash."""

    endpoint: Endpoint
    bucket: str
    prefix: str


class Client(Protocol):
    """Makes the destination hold all that the source holds, and copies nothing that is there."""

    @property
    def name(self) -> str: ...

    def sync(self, source: Place, destination: Place) -> Command:
        """The command, once; a client that keeps a state goes on with it at the next."""

    def forget(self) -> None:
        """Removes that state: the next command is a first one."""


class Dth:
    """This project, as it is by default."""

    name = DTH

    def __init__(self, folder: Path) -> None:
        self._state = folder / "dth-state"

    def sync(self, source: Place, destination: Place) -> Command:
        return Command(
            arguments=[
                find_program("dth", install="scripts/setup bench"),
                "transfer",
                f"s3://{source.bucket}/{source.prefix}",
                f"s3://{destination.bucket}/{destination.prefix}",
                f"--concurrency={AT_ONCE}",
                f"--state={self._state}",
                "--quiet",
                "--json",
            ],
            environment={
                **source.endpoint.environment("source"),
                **destination.endpoint.environment("destination"),
            },
        )

    def forget(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)


class Rclone:
    """rclone sync. Without these flags it asks HEAD for each object, before and after its copy;
    with them it compares by size, and copies with one GET and one PUT.
    """

    name = "rclone"

    def __init__(self, folder: Path, *flags: str) -> None:
        self._config = folder / "rclone.conf"
        self._flags = flags

    def sync(self, source: Place, destination: Place) -> Command:
        return Command(
            arguments=[
                find_program("rclone", install="scripts/setup bench"),
                "sync",
                f"source:{source.bucket}/{source.prefix}",
                f"destination:{destination.bucket}/{destination.prefix}",
                f"--transfers={AT_ONCE}",
                f"--checkers={AT_ONCE}",
                "--size-only",
                "--use-server-modtime",
                "--fast-list",
                "--s3-no-head",
                "--s3-no-check-bucket",
                *self._flags,
            ],
            environment={
                # The person's own remotes are none of its business.
                "RCLONE_CONFIG": str(self._config),
                **_remote("source", source.endpoint),
                **_remote("destination", destination.endpoint),
            },
        )

    def forget(self) -> None:
        """It keeps none."""


def _remote(name: str, endpoint: Endpoint) -> dict[str, str]:
    options = {
        "TYPE": "s3",
        "PROVIDER": "SeaweedFS",
        "ENDPOINT": endpoint.url,
        "REGION": endpoint.region,
        "ACCESS_KEY_ID": endpoint.access_key_id,
        "SECRET_ACCESS_KEY": endpoint.secret_access_key,
    }
    return {f"RCLONE_CONFIG_{name.upper()}_{option}": value for option, value in options.items()}


class JuiceFS:
    """juicefs sync, which compares by size when not told otherwise."""

    name = "JuiceFS"

    def __init__(self, folder: Path) -> None:
        self._home = folder / "juicefs-home"

    def sync(self, source: Place, destination: Place) -> Command:
        return Command(
            arguments=[
                find_program("juicefs", install="scripts/setup bench"),
                "sync",
                _url(source),
                _url(destination),
                f"--threads={AT_ONCE}",
                "--metrics=127.0.0.1:0",
            ],
            # It writes a log there.
            environment={"HOME": str(self._home)},
        )

    def forget(self) -> None:
        """It keeps none."""


def _url(place: Place) -> str:
    # It takes credentials from nowhere else; these open nothing but a server of this benchmark.
    user = f"{place.endpoint.access_key_id}:{place.endpoint.secret_access_key}"
    address = place.endpoint.url.removeprefix("http://")
    return f"minio://{user}@{address}/{place.bucket}/{place.prefix}"


def all_clients(folder: Path) -> list[Client]:
    return [Dth(folder), Rclone(folder), JuiceFS(folder)]
