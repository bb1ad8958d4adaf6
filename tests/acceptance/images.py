"""Two registries, and `dth images` from one to the other."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.command import Dth, Ended
from tests.servers.docker_registry import DockerRegistry
from tests.servers.oci_images import Manifest
from tests.servers.pusher import Pusher

PLAIN = ("--source-plain-http", "--destination-plain-http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A folder of a registry that no other test uses."""

    registry: DockerRegistry
    pusher: Pusher
    folder: str

    def __str__(self) -> str:
        """As `dth images` takes it."""
        return f"{self.registry.host}/{self.folder}"

    def push(self, manifest: Manifest, repository: str, *tags: str) -> None:
        self.pusher.push(manifest, f"{self.folder}/{repository}", *tags)

    def digest(self, repository: str, reference: str) -> str | None:
        return self.pusher.digest(f"{self.folder}/{repository}", reference)

    def tags(self, repository: str) -> list[str]:
        return self.pusher.tags(f"{self.folder}/{repository}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """`dth images` from `source` to `destination`."""

    dth: Dth
    source: Side
    destination: Side
    options: Sequence[str] = field(default=PLAIN)

    def run(self, *words: object, code: int = 0) -> Any:
        """The JSON document of a run that must end with this exit code."""
        return self.told(*words, "--json", code=code).json

    def told(self, *words: object, code: int = 0, given: str = "") -> Ended:
        """What a person reads of one."""
        places = (self.source, self.destination, *self.options)
        return self.dth.well("images", *places, *words, code=code, given=given)


def new_folder() -> str:
    return f"t{secrets.token_hex(6)}"
