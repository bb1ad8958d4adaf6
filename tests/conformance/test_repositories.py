"""Repositories on docker-registry, on ministack's ECR, and on our own small ECR."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import ClassVar

import pytest

from tests.conformance.repositories import Place, RepositoriesSuite
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ecr_stand_in import EcrStandIn
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import ACCOUNT, MinistackServer
from tests.servers.pusher import Pusher
from transferhub.aws.client import ECR, AwsClient
from transferhub.registries import EcrRepositories, OciRepositories, RegistryClient, RegistryConfig
from transferhub.stores.s3.credentials import Credentials, StaticCredentials


def api_of(endpoint: Endpoint) -> AwsClient:
    keys = Credentials(access_key=endpoint.access_key_id, secret_key=endpoint.secret_access_key)
    return AwsClient(
        ECR, endpoint=endpoint.url, region=endpoint.region, credentials=StaticCredentials(keys)
    )


@pytest.mark.registries
class TestOnDockerRegistry(RepositoriesSuite):
    @pytest.fixture
    async def place(self, registry: DockerRegistry, pusher: Pusher) -> AsyncIterator[Place]:
        client = RegistryClient(RegistryConfig(host=registry.host, plain_http=True))
        yield Place(
            repositories=OciRepositories(client),
            pusher=pusher,
            creates=True,
            tells_untagged=False,
            deletes_tags=False,
            tells_times=False,
        )
        await client.aclose()


class TestOnMinistack(RepositoriesSuite):
    peer_faults: ClassVar[Mapping[str, str]] = {
        "test_the_last_tag_takes_its_image_along": "ministack gives it by its digest all the same",
        "test_a_tag_goes_alone_where_others_stay": (
            "ministack deletes the image with all of its tags"
        ),
    }

    @pytest.fixture
    async def place(self, ministack: MinistackServer) -> AsyncIterator[Place]:
        repositories = EcrRepositories(api_of(ministack.endpoint), account=ACCOUNT)
        with Pusher(ministack.endpoint.url) as pusher:
            yield Place(repositories=repositories, pusher=pusher)
        await repositories.aclose()


@pytest.mark.registries
class TestOnOurEcr(RepositoriesSuite):
    @pytest.fixture
    def ecr(self, registry_b: DockerRegistry) -> Iterator[EcrStandIn]:
        with EcrStandIn(registry_b) as server:
            yield server

    @pytest.fixture
    async def place(self, ecr: EcrStandIn) -> AsyncIterator[Place]:
        repositories = EcrRepositories(api_of(ecr.endpoint), account=ecr.account)
        with ecr.pusher() as pusher:
            yield Place(repositories=repositories, pusher=pusher)
        await repositories.aclose()
