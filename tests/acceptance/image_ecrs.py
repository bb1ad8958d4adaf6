"""Two small Amazon ECRs of different accounts, and `dth images` from one to the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.command import Dth, Ended
from tests.acceptance.image_sets import Held
from tests.acceptance.images import PLAIN, new_folder
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ecr_stand_in import EcrStandIn
from tests.servers.oci_images import Manifest
from tests.servers.pusher import Pusher

OTHER_ACCOUNT = "444455556666"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A folder of one account's ECR, which may ask for its login anew."""

    ecr: EcrStandIn
    pusher: Pusher
    folder: str = field(default_factory=new_folder)

    def __str__(self) -> str:
        """As `dth images` takes it."""
        return f"ecr://{self.ecr.region}/{self.folder}"

    @property
    def tags(self) -> dict[str, str]:
        """Digest of every repository and tag of the folder."""
        return {
            f"{name.removeprefix(self.folder + '/')}:{tag}": digest
            for name, repository in self.ecr.repositories.items()
            for tag, digest in repository.tags.items()
        }

    def create(self, name: str, *rule: str) -> None:
        self.ecr.create(f"{self.folder}/{name}", *rule)

    def push(self, manifest: Manifest, name: str, *tags: str) -> None:
        self.create(name)
        self.pusher.push(manifest, f"{self.folder}/{name}", *tags)

    def push_all(self, held: Sequence[Held]) -> None:
        for one in held:
            self.push(one.manifest, one.repository, *one.tags)

    def held(self, name: str) -> set[str]:
        """Digests of all manifests of a repository."""
        return {*self.ecr.repositories[f"{self.folder}/{name}"].images}

    def calls(self, action: str) -> int:
        return len(self.ecr.calls(action))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecrs:
    """`dth images` from one account to another."""

    dth: Dth
    source: Account
    destination: Account

    def told(self, *words: object, code: int = 0) -> Ended:
        return self.dth.well("images", *self.words(*words), code=code)

    def words(self, *words: object) -> tuple[object, ...]:
        return (self.source, self.destination, *PLAIN, "--all", *words)

    def run(self, *words: object, code: int = 0) -> Any:
        """The JSON document of a run that must end with this exit code."""
        return self.told(*words, "--json", code=code).json


@contextmanager
def two_accounts(dth: Dth, behind: DockerRegistry, behind_b: DockerRegistry) -> Iterator[Ecrs]:
    with EcrStandIn(behind) as source, EcrStandIn(behind_b) as destination:
        destination.account = OTHER_ACCOUNT
        with source.pusher() as pusher, destination.pusher() as pusher_b:
            yield Ecrs(
                dth=dth.between(source.endpoint, destination.endpoint),
                source=Account(ecr=source, pusher=pusher),
                destination=Account(ecr=destination, pusher=pusher_b),
            )
