"""The command on real servers."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.command import Dth
from tests.acceptance.hub import Desk
from tests.acceptance.images import Images, Side, new_folder
from tests.acceptance.places import Place
from tests.conftest import BucketFactory
from tests.servers.boto import Boto
from tests.servers.docker_registry import DockerRegistry
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import MinistackServer
from tests.servers.moto import MotoServer
from tests.servers.pusher import Pusher
from tests.servers.rclone import RcloneS3
from tests.servers.seaweedfs import SeaweedFS

PlaceFactory = Callable[[Endpoint], Place]


@pytest.fixture
def dth(request: pytest.FixtureRequest, tmp_path: Path) -> Dth:
    """`dth` that has run nothing yet, and whose sides have no credentials. Its state is a SQLite
    file, or on AWS where a test is IN_EACH_STATE."""
    folder = tmp_path / "dth"
    folder.mkdir()
    dth = Dth(folder=folder)
    if getattr(request, "param", "") != "aws":
        return dth
    aws: Aws = request.getfixturevalue("aws")
    return aws.used_by(dth)


@pytest.fixture
def make_place(
    make_bucket: BucketFactory, boto: Callable[[Endpoint], Boto]
) -> Iterator[PlaceFactory]:
    """Makes an empty bucket on any server, for this test alone."""
    places: list[Place] = []

    def make(endpoint: Endpoint) -> Place:
        place = Place(endpoint=endpoint, bucket=make_bucket(endpoint), boto=boto(endpoint))
        places.append(place)
        return place

    yield make
    for place in places:
        place.delete_unprintable()


@pytest.fixture
def source(seaweedfs: SeaweedFS, make_place: PlaceFactory) -> Place:
    """A bucket on `seaweedfs`."""
    return make_place(seaweedfs.admin)


@pytest.fixture
def destination(seaweedfs_b: SeaweedFS, make_place: PlaceFactory) -> Place:
    """A bucket on `seaweedfs_b`, another endpoint."""
    return make_place(seaweedfs_b.admin)


@pytest.fixture
def pair(dth: Dth, source: Place, destination: Place) -> Dth:
    """`dth` from `source` to `destination`."""
    return dth.between(source.endpoint, destination.endpoint)


@pytest.fixture
def moto_source(moto_s3: MotoServer, make_place: PlaceFactory) -> Place:
    """A bucket that keeps every key, storage classes, tags and encryption."""
    return make_place(moto_s3.endpoint)


@pytest.fixture
def moto_destination(moto_s3: MotoServer, make_place: PlaceFactory) -> Place:
    """Another bucket of the same server."""
    return make_place(moto_s3.endpoint)


@pytest.fixture
def moto_pair(dth: Dth, moto_source: Place, moto_destination: Place) -> Dth:
    """`dth` from `moto_source` to `moto_destination`."""
    return dth.between(moto_source.endpoint, moto_destination.endpoint)


@pytest.fixture
def rclone_destination(rclone_s3: RcloneS3, make_place: PlaceFactory) -> Place:
    """A bucket on `rclone serve s3`, which keeps less than others."""
    return make_place(rclone_s3.endpoint)


@pytest.fixture
def aws(ministack: MinistackServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """A state on AWS for this test alone, which the test's own process reaches, too."""
    with Aws.created(ministack.endpoint, monkeypatch.setenv) as aws:
        yield aws


@pytest.fixture
def aws_pair(pair: Dth, aws: Aws) -> Dth:
    """`pair` with its state there."""
    return aws.used_by(pair)


@pytest.fixture
async def desk(pair: Dth) -> AsyncIterator[Desk]:
    """Over the state of `pair`, in SQLite."""
    async with AsyncExitStack() as stack:
        yield await Desk.open(pair.state, f"sqlite:///{pair.state}/dth.sqlite3", stack)


@pytest.fixture
async def shared_desk(postgres_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Over a database of PostgreSQL."""
    async with AsyncExitStack() as stack:
        yield await Desk.open(tmp_path / "desk", postgres_url, stack)


@pytest.fixture
def images(
    dth: Dth,
    registry: DockerRegistry,
    registry_b: DockerRegistry,
    pusher: Pusher,
    pusher_b: Pusher,
) -> Images:
    """`dth images` from a folder of `registry` to one of `registry_b`, both empty."""
    folder = new_folder()
    return Images(
        dth=dth,
        source=Side(registry=registry, pusher=pusher, folder=folder),
        destination=Side(registry=registry_b, pusher=pusher_b, folder=folder),
    )
