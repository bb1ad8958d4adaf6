"""What the tests of `Skopeo` share: the program, two registries, and a proxy before each."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from tests.servers.docker_registry import DockerRegistry
from tests.servers.faults import FaultProxy
from tests.servers.oci_images import Manifest
from transferhub.registries import Digest, Login, RegistryConfig
from transferhub.registries.skopeo import Carriage, Carried, End, Skopeo, find_skopeo
from transferhub.stores.s3.transport import TransportConfig

LIMIT = timedelta(seconds=60)


def end_of(registry: DockerRegistry, repository: str, login: Login | None = None) -> End:
    return End(
        registry=RegistryConfig(
            host=registry.host,
            plain_http=registry.certificates is None,
            transport=TransportConfig(ca_bundle=registry.ca),
        ),
        repository=repository,
        login=login,
    )


def through(end: End, proxy: FaultProxy) -> End:
    return replace(end, registry=replace(end.registry, host=proxy.url.removeprefix("http://")))


async def open_skopeo(folder: Path) -> Skopeo:
    return Skopeo(
        await find_skopeo(os.environ),
        folder=folder / "private",
        cache=folder / "cache",
        environment=os.environ,
    )


@dataclass(kw_only=True)
class Lane:
    """Copies from a new repository of `registry` to a new one of `registry_b`, each behind a proxy.

    Attributes:
        private: where skopeo's private files are while it runs.
    """

    skopeo: Skopeo
    source: End
    destination: End
    source_proxy: FaultProxy
    destination_proxy: FaultProxy
    private: Path
    limit: timedelta = LIMIT
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    async def copy(self, made: Manifest, reference: str = "v1") -> Carried:
        return await self.skopeo.copy(self.carriage(made, reference), time_limit=self.limit)

    def carriage(self, made: Manifest, reference: str = "v1") -> Carriage:
        return Carriage(
            source=self.source,
            digest=Digest(made.digest),
            destination=self.destination,
            reference=reference,
        )

    def sent(self, method: str, part: str = "") -> list[str]:
        """What the destination was asked, oldest first."""
        return [
            seen.target.decode()
            for seen in self.destination_proxy.seen
            if seen.method == method and part in seen.target.decode()
        ]


@contextmanager
def lane_between(
    skopeo: Skopeo, source: DockerRegistry, destination: DockerRegistry, private: Path
) -> Iterator[Lane]:
    name = f"t/{uuid.uuid4().hex[:12]}"
    with FaultProxy(source.url) as before, FaultProxy(destination.url) as after:
        yield Lane(
            skopeo=skopeo,
            source=through(end_of(source, name), before),
            destination=through(end_of(destination, f"{name}/copy"), after),
            source_proxy=before,
            destination_proxy=after,
            private=private,
            name=name,
        )


def running(word: str) -> list[int]:
    """Processes with the word in their command, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def wait_until_gone(word: str, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while running(word):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{running(word)} still run")
        time.sleep(0.02)
