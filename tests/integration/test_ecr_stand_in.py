"""Our own small ECR is one to AWS's client, to skopeo and to our registry client."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.integration.skopeo_ends import LIMIT, end_of, open_skopeo
from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ecr_stand_in import ACCOUNT, EcrStandIn
from tests.servers.pusher import Pusher, RegistryAnswerError
from transferhub.errors import DeniedError, StoreError
from transferhub.registries import Digest, GivenLogin, Login, RegistryClient, RegistryConfig
from transferhub.registries.skopeo import Carriage, End

pytestmark = pytest.mark.registries


@pytest.fixture
def ecr(registry_b: DockerRegistry) -> Iterator[EcrStandIn]:
    with EcrStandIn(registry_b) as server:
        yield server


@pytest.fixture
def name(ecr: EcrStandIn) -> str:
    return ecr.create(f"test/{uuid.uuid4().hex[:12]}").name


@pytest.fixture
def aws(ecr: EcrStandIn) -> Any:
    """AWS's own client."""
    return aws_of(ecr, ecr.endpoint.access_key_id)


@pytest.fixture
def ecr_pusher(ecr: EcrStandIn) -> Iterator[Pusher]:
    with ecr.pusher() as client:
        yield client


@pytest.fixture
async def client(ecr: EcrStandIn) -> AsyncIterator[RegistryClient]:
    client = RegistryClient(config_of(ecr), GivenLogin(login_of(ecr)))
    yield client
    await client.aclose()


def aws_of(ecr: EcrStandIn, key: str) -> Any:
    return Session().create_client(
        "ecr",
        region_name=ecr.region,
        endpoint_url=ecr.url,
        aws_access_key_id=key,
        aws_secret_access_key=ecr.endpoint.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def config_of(ecr: EcrStandIn) -> RegistryConfig:
    return RegistryConfig(host=ecr.host, plain_http=True, patience=timedelta(seconds=5))


def login_of(ecr: EcrStandIn) -> Login:
    return Login(user="AWS", password=ecr.give_token())


def carriage(
    registry: DockerRegistry, ecr: EcrStandIn, made: oci.Manifest, source: str, name: str
) -> Carriage:
    return Carriage(
        source=end_of(registry, source),
        digest=Digest(made.digest),
        destination=End(registry=config_of(ecr), repository=name, login=login_of(ecr)),
        reference="v1",
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_aws_own_client_pages_through_it(ecr: EcrStandIn, aws: Any) -> None:
    ecr.fill("many/web", 1234)
    for number in range(1200):
        ecr.create(f"app-{number}")
    images = [
        image
        for page in aws.get_paginator("describe_images").paginate(repositoryName="many/web")
        for image in page["imageDetails"]
    ]
    assert len({image["imageDigest"] for image in images}) == 1234
    assert all(isinstance(image["imagePushedAt"], datetime) for image in images)
    pages = list(aws.get_paginator("describe_repositories").paginate())
    assert [len(page["repositories"]) for page in pages] == [100] * 12 + [1]
    assert len(aws.describe_repositories(maxResults=1000)["repositories"]) == 1000


def test_aws_own_client_creates_describes_and_deletes(
    ecr: EcrStandIn, aws: Any, ecr_pusher: Pusher
) -> None:
    name = f"test/{uuid.uuid4().hex[:12]}"
    made = aws.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")["repository"]
    assert (made["registryId"], made["imageTagMutability"]) == (ACCOUNT, "IMMUTABLE")
    image = oci.image("a")
    ecr_pusher.push(image, name, "1", "2")
    (found,) = aws.describe_images(repositoryName=name)["imageDetails"]
    assert found["imageDigest"] == image.digest
    assert found["imageTags"] == ["1", "2"]
    assert found["imageManifestMediaType"] == oci.OCI_MANIFEST
    assert found["artifactMediaType"] == oci.OCI_CONFIG
    assert datetime.now(UTC) - found["imagePushedAt"] < timedelta(minutes=1)
    for tag in ("1", "2"):
        said = aws.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": tag}])
        assert said["failures"] == []
    assert aws.describe_images(repositoryName=name)["imageDetails"] == []
    said = aws.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1"}])
    assert [one["failureCode"] for one in said["failures"]] == ["ImageNotFound"]


def test_aws_own_client_is_refused_as_by_ecr(ecr: EcrStandIn, aws: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        aws.create_repository(repositoryName=name)
    assert code_of(caught) == "RepositoryAlreadyExistsException"
    with pytest.raises(ClientError) as caught:
        aws.describe_images(repositoryName="no/such")
    assert code_of(caught) == "RepositoryNotFoundException"
    ecr.throttle("DescribeImages")
    with pytest.raises(ClientError) as caught:
        aws.describe_images(repositoryName=name)
    assert code_of(caught) == "ThrottlingException"
    with pytest.raises(ClientError) as caught:
        aws_of(ecr, "AKIDOFNOBODY").describe_repositories()
    assert code_of(caught) == "UnrecognizedClientException"


@pytest.mark.parametrize(
    "made", [oci.multi_platform("many", attested=True), oci.image("one", docker=True)]
)
async def test_skopeo_carries_images_into_it(
    registry: DockerRegistry,
    pusher: Pusher,
    ecr: EcrStandIn,
    ecr_pusher: Pusher,
    name: str,
    tmp_path: Path,
    made: oci.Manifest,
) -> None:
    pusher.push(made, name, "v1")
    skopeo = await open_skopeo(tmp_path)
    await skopeo.copy(carriage(registry, ecr, made, name, name), time_limit=LIMIT)
    assert ecr_pusher.digest(name, "v1") == made.digest
    assert all(ecr_pusher.digest(name, part.digest) == part.digest for part in made.tree)
    assert ecr.repositories[name].tags == {"v1": made.digest}


async def test_skopeo_carries_a_large_layer_into_it(
    registry: DockerRegistry,
    pusher: Pusher,
    ecr: EcrStandIn,
    ecr_pusher: Pusher,
    name: str,
    tmp_path: Path,
) -> None:
    made = oci.image("large", layers=[oci.layer("large", 20 << 20)])
    pusher.push(made, name, "v1")
    skopeo = await open_skopeo(tmp_path)
    await skopeo.copy(carriage(registry, ecr, made, name, name), time_limit=LIMIT)
    assert all(ecr_pusher.has_blob(name, digest) for digest in made.all_blobs)


@pytest.mark.parametrize(
    ("mutability", "created", "code"),
    [("IMMUTABLE", True, "immutable_tag"), ("", False, "no_repository")],
)
async def test_what_it_refuses_to_skopeo_is_told(
    registry: DockerRegistry,
    pusher: Pusher,
    ecr: EcrStandIn,
    ecr_pusher: Pusher,
    tmp_path: Path,
    mutability: str,
    created: bool,
    code: str,
) -> None:
    name, made = f"test/{uuid.uuid4().hex[:12]}", oci.image("a")
    pusher.push(made, name, "v1")
    if created:
        ecr.create(name, mutability)
        ecr_pusher.push(oci.image("b"), name, "v1")
    skopeo = await open_skopeo(tmp_path)
    with pytest.raises(StoreError) as caught:
        await skopeo.copy(carriage(registry, ecr, made, name, name), time_limit=LIMIT)
    assert caught.value.code == code


async def test_blobs_are_mounted_within_it(
    ecr: EcrStandIn, client: RegistryClient, name: str
) -> None:
    other = ecr.create(f"{name}-too").name
    digest = await client.put_blob(name, b"content")
    assert await client.mount(other, digest, source=name)
    assert await client.blob_size(other, digest) == len(b"content")


async def test_it_lists_and_refers_as_registries_do(
    ecr: EcrStandIn, client: RegistryClient, ecr_pusher: Pusher, name: str
) -> None:
    image = oci.image("a")
    sbom = oci.artifact("sbom", image)
    tags = sorted(f"v{number}" for number in range(25))
    ecr_pusher.push(image, name, *tags)
    ecr_pusher.push(sbom, name)
    assert [tag async for tag in client.tags(name)] == tags
    assert name in [one async for one in client.repositories()]
    assert [one.digest for one in await client.referrers(name, Digest(image.digest))] == [
        sbom.digest
    ]


async def test_nobody_without_a_login_is_let_in(ecr: EcrStandIn, name: str) -> None:
    client = RegistryClient(config_of(ecr))
    with pytest.raises(DeniedError) as caught:
        await client.head(name, "v1")
    assert caught.value.code == "no_credentials"
    await client.aclose()


def test_a_login_ends_when_a_test_wants(ecr: EcrStandIn, ecr_pusher: Pusher, name: str) -> None:
    ecr.expire()
    with pytest.raises(RegistryAnswerError, match="authorization token has expired"):
        ecr_pusher.push(oci.image("a"), name, "v1")
