"""Real servers for the tests: each is started when a test first asks for it.

Under xdist every worker has servers of its own. SeaweedFS, the slowest, takes 3 s; sharing it
through lock files would save that once and make tests meet each other's buckets.
"""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.boto import Boto
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.endpoint import Endpoint
from tests.servers.faults import FaultProxy
from tests.servers.ministack import MinistackServer
from tests.servers.moto import MotoServer
from tests.servers.oidc_provider import OidcProvider
from tests.servers.one_by_one import OneByOne
from tests.servers.postgres import PostgresServer
from tests.servers.process import MissingProgramError
from tests.servers.pusher import Pusher
from tests.servers.rclone import RcloneS3
from tests.servers.seaweedfs import SeaweedFS
from tests.servers.token_registry import TokenRegistry

_IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci",
    derandomize=False,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if _IN_CI else "dev"))


Server = TypeVar("Server", bound=AbstractContextManager[object])


def _entered(scope: ExitStack, make: Callable[[], Server]) -> Server:
    """Starts a server; one that is not installed skips the test, but never in CI."""
    try:
        server = make()
        scope.enter_context(server)
    except MissingProgramError as error:
        if _IN_CI:
            raise
        pytest.skip(str(error))
    return server


@pytest.fixture(scope="session")
def server_scope() -> Iterator[ExitStack]:
    """Ends every server of this session, the last one first."""
    with ExitStack() as scope:
        yield scope


@pytest.fixture(scope="session")
def seaweedfs(server_scope: ExitStack) -> SeaweedFS:
    return _entered(server_scope, SeaweedFS)


@pytest.fixture(scope="session")
def seaweedfs_b(server_scope: ExitStack) -> SeaweedFS:
    """A second server, for what goes from one endpoint to another."""
    return _entered(server_scope, SeaweedFS)


@pytest.fixture(scope="session")
def seaweedfs_https(server_scope: ExitStack) -> SeaweedFS:
    """A third one, with HTTPS under a CA of its own, and open to anonymous readers."""
    return _entered(server_scope, lambda: SeaweedFS(https=True, anonymous=True))


@pytest.fixture(scope="session")
def rclone_s3(server_scope: ExitStack) -> RcloneS3:
    return _entered(server_scope, RcloneS3)


@pytest.fixture(scope="session")
def moto_s3(server_scope: ExitStack) -> MotoServer:
    return _entered(server_scope, MotoServer)


@pytest.fixture(scope="session")
def ministack(server_scope: ExitStack) -> MinistackServer:
    return _entered(server_scope, MinistackServer)


@pytest.fixture(scope="session")
def ministack_guarded(server_scope: ExitStack) -> MinistackServer:
    """With HTTPS, and IAM enforced."""
    return _entered(server_scope, lambda: MinistackServer(guarded=True))


@pytest.fixture(params=["ministack", "moto"])
def aws_server(request: pytest.FixtureRequest) -> Endpoint:
    """Each stand-in for AWS."""
    fixture = "moto_s3" if request.param == "moto" else request.param
    endpoint: Endpoint = request.getfixturevalue(fixture).endpoint
    return endpoint


@pytest.fixture
async def aws_server_for_races(
    request: pytest.FixtureRequest, aws_server: Endpoint
) -> AsyncIterator[Endpoint]:
    """Each stand-in for AWS, so that writers of DynamoDB may race."""
    if request.node.callspec.params["aws_server"] != "moto":
        yield aws_server
        return
    async with OneByOne(aws_server.url) as proxy:
        yield aws_server.at(proxy.url)


@pytest.fixture(scope="session")
def oidc_provider(server_scope: ExitStack) -> OidcProvider:
    return _entered(server_scope, OidcProvider)


@pytest.fixture(scope="session")
def registry(server_scope: ExitStack) -> DockerRegistry:
    """A registry of images, open to everyone; choose new repository names in each test."""
    return _entered(server_scope, DockerRegistry)


@pytest.fixture(scope="session")
def registry_b(server_scope: ExitStack) -> DockerRegistry:
    """A second one, for what goes from one registry to another."""
    return _entered(server_scope, DockerRegistry)


@pytest.fixture(scope="session")
def registry_https(server_scope: ExitStack) -> DockerRegistry:
    """A third one, with HTTPS under a CA of its own, and open to `ACCOUNT` alone."""
    return _entered(server_scope, lambda: DockerRegistry(https=True, account=ACCOUNT))


@pytest.fixture(scope="session")
def registry_of_tokens(server_scope: ExitStack) -> TokenRegistry:
    """One that wants tokens, which `ACCOUNT` alone gets."""
    return _entered(server_scope, lambda: TokenRegistry(ACCOUNT))


@pytest.fixture
def pusher(registry: DockerRegistry) -> Iterator[Pusher]:
    """A client of `registry`."""
    with registry.pusher() as client:
        yield client


@pytest.fixture
def pusher_b(registry_b: DockerRegistry) -> Iterator[Pusher]:
    """A client of `registry_b`."""
    with registry_b.pusher() as client:
        yield client


@pytest.fixture(scope="session")
def postgres(server_scope: ExitStack) -> PostgresServer:
    return _entered(server_scope, PostgresServer)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database for this test alone."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that holds the state."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.sqlite3"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def boto(server_scope: ExitStack) -> Callable[[Endpoint], Boto]:
    """A client for an endpoint; the same one each time, since making one takes 50 ms."""
    made: dict[Endpoint, Boto] = {}

    def client(endpoint: Endpoint) -> Boto:
        if endpoint not in made:
            made[endpoint] = server_scope.enter_context(Boto(endpoint))
        return made[endpoint]

    return client


BucketFactory = Callable[[Endpoint], str]


@pytest.fixture
def make_bucket(boto: Callable[[Endpoint], Boto]) -> Iterator[BucketFactory]:
    """Makes buckets with new names on any server; they are removed after the test."""
    with ExitStack() as buckets:

        def make(endpoint: Endpoint) -> str:
            name = f"test-{uuid.uuid4().hex[:12]}"
            return buckets.enter_context(boto(endpoint).bucket(name))

        yield make


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, make_bucket: BucketFactory) -> str:
    """An empty bucket on `seaweedfs`."""
    return make_bucket(seaweedfs.admin)


@pytest.fixture
def bucket_b(seaweedfs_b: SeaweedFS, make_bucket: BucketFactory) -> str:
    """An empty bucket on `seaweedfs_b`."""
    return make_bucket(seaweedfs_b.admin)


ProxyFactory = Callable[[Endpoint], tuple[FaultProxy, Endpoint]]


@pytest.fixture
def fault_proxy() -> Iterator[ProxyFactory]:
    """Puts a proxy in front of an endpoint; returns it and the endpoint as seen through it."""
    with ExitStack() as proxies:

        def front(endpoint: Endpoint) -> tuple[FaultProxy, Endpoint]:
            proxy = proxies.enter_context(FaultProxy(endpoint.url))
            return proxy, endpoint.at(proxy.url)

        yield front
