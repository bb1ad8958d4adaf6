"""EcrRepositories on our own small ECR: pages, throttling, logins, tags that stay."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.ecr_stand_in import ACCOUNT, EcrStandIn
from tests.servers.pusher import Pusher
from transferhub.aws.client import ECR, AwsClient
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries import (
    Digest,
    EcrLogin,
    EcrRepositories,
    RegistryClient,
    RegistryConfig,
    RepositoryOptions,
    TagRule,
    manifest_of,
    open_ecr,
)
from transferhub.stores.s3.credentials import Credentials, StaticCredentials

pytestmark = pytest.mark.registries


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def ecr(registry_b: DockerRegistry) -> Iterator[EcrStandIn]:
    with EcrStandIn(registry_b) as server:
        yield server


def api_of(ecr: EcrStandIn, *, key: str = "", patience: timedelta = timedelta(0)) -> AwsClient:
    keys = Credentials(
        access_key=key or ecr.endpoint.access_key_id, secret_key=ecr.endpoint.secret_access_key
    )
    return AwsClient(
        ECR,
        endpoint=ecr.url,
        region=ecr.region,
        credentials=StaticCredentials(keys),
        patience=patience,
    )


@asynccontextmanager
async def opened(
    ecr: EcrStandIn,
    options: RepositoryOptions | None = None,
    *,
    account: str = ACCOUNT,
    patience: timedelta = timedelta(0),
) -> AsyncIterator[EcrRepositories]:
    client = api_of(ecr, patience=patience)
    repositories = EcrRepositories(client, account=account, options=options)
    yield repositories
    await repositories.aclose()


@asynccontextmanager
async def opened_registry(ecr: EcrStandIn, clock: Clock) -> AsyncIterator[RegistryClient]:
    api = api_of(ecr)
    config = RegistryConfig(host="", plain_http=True, patience=timedelta(seconds=5))
    registry = await open_ecr(EcrLogin(api, account=ACCOUNT, clock=clock), config)
    yield registry
    await registry.aclose()
    await api.aclose()


@pytest.fixture
async def repositories(ecr: EcrStandIn) -> AsyncIterator[EcrRepositories]:
    async with opened(ecr) as found:
        yield found


@pytest.fixture
def ecr_pusher(ecr: EcrStandIn) -> Iterator[Pusher]:
    with ecr.pusher() as client:
        yield client


def everything(_tag: str) -> bool:
    return True


async def test_thousands_of_images_are_listed_a_thousand_at_a_time(
    ecr: EcrStandIn, repositories: EcrRepositories
) -> None:
    digests = ecr.fill("app/web", 2300)
    found = [image async for image in repositories.images("app/web", wanted=everything)]
    assert [image.digest for image in found] == digests
    assert [image.tags for image in found] == [(str(n),) for n in range(2300)]
    asked = ecr.calls("DescribeImages")
    assert [one["maxResults"] for one in asked] == [1000] * 3
    assert ["nextToken" in one for one in asked] == [False, True, True]
    assert {one["registryId"] for one in asked} == {ACCOUNT}


async def test_a_listing_is_told_page_by_page(
    ecr: EcrStandIn, repositories: EcrRepositories
) -> None:
    ecr.fill("app/web", 2300)
    listing = repositories.images("app/web", wanted=everything)
    assert (await anext(listing)).tags == ("0",)
    assert len(ecr.calls("DescribeImages")) == 1


async def test_more_than_a_thousand_repositories_are_named(
    ecr: EcrStandIn, repositories: EcrRepositories
) -> None:
    names = [f"team-{n % 7}/app-{n}" for n in range(1200)]
    for name in names:
        ecr.create(name)
    assert [name async for name in repositories.names()] == names
    assert len(ecr.calls("DescribeRepositories")) == 2


async def test_an_image_is_listed_with_all_that_ecr_says(
    ecr: EcrStandIn, repositories: EcrRepositories, ecr_pusher: Pusher
) -> None:
    begun = datetime.now(UTC)
    name = "details/web"
    await repositories.create(name)
    image = oci.image("details")
    ecr_pusher.push(image, name, "1", "2", "no")
    (found,) = [one async for one in repositories.images(name, wanted=str.isdecimal)]
    assert found.digest == image.digest
    assert found.tags == ("1", "2")
    assert found.media_type == oci.OCI_MANIFEST
    assert found.size == sum(len(blob.content) for blob in image.blobs)
    assert found.pushed_at is not None
    assert timedelta(0) <= found.pushed_at - begun < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("mutability", "excluded", "rule"),
    [
        ("MUTABLE", (), TagRule()),
        ("IMMUTABLE", (), TagRule(immutable=True)),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ("latest", "dev-*"),
            TagRule(immutable=True, exceptions=("latest", "dev-*")),
        ),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), TagRule(exceptions=("v*",))),
    ],
)
async def test_the_rule_is_that_of_the_repository(
    ecr: EcrStandIn,
    repositories: EcrRepositories,
    mutability: str,
    excluded: tuple[str, ...],
    rule: TagRule,
) -> None:
    ecr.create("app/web", mutability, *excluded)
    assert await repositories.rule("app/web") == rule


@pytest.mark.parametrize(
    ("mutability", "excluded", "moves"),
    [
        ("MUTABLE", (), {"v1", "latest", "dev-1"}),
        ("IMMUTABLE", (), set()),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest", "dev-*"), {"latest", "dev-1"}),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), {"latest", "dev-1"}),
    ],
)
async def test_the_registry_moves_the_tags_that_the_rule_lets(
    ecr: EcrStandIn,
    repositories: EcrRepositories,
    ecr_pusher: Pusher,
    mutability: str,
    excluded: tuple[str, ...],
    moves: set[str],
) -> None:
    name = f"rules/{mutability.lower()}"
    ecr.create(name, mutability, *excluded)
    tags = ("v1", "latest", "dev-1")
    ecr_pusher.push(oci.image("old"), name, *tags)
    ecr_pusher.push(oci.image("new"), name)
    rule = await repositories.rule(name)
    assert rule is not None
    assert {tag for tag in tags if not rule.is_immutable(tag)} == moves
    new = manifest_of(oci.image("new").content)
    async with opened_registry(ecr, Clock()) as registry:
        for tag in tags:
            if tag in moves:
                await registry.put_manifest(name, tag, new)
                assert (await registry.head(name, tag)).digest == new.digest
                continue
            with pytest.raises(DeniedError) as caught:
                await registry.put_manifest(name, tag, new)
            assert caught.value.code == "immutable_tag"
            assert (await registry.head(name, tag)).digest == oci.image("old").digest


async def test_defaults_are_left_to_ecr(ecr: EcrStandIn, repositories: EcrRepositories) -> None:
    await repositories.create("app/web")
    assert ecr.calls("CreateRepository") == [
        {"registryId": ACCOUNT, "repositoryName": "app/web"},
    ]


async def test_repositories_are_created_as_asked(ecr: EcrStandIn) -> None:
    options = RepositoryOptions(
        tag_mutability="immutable", scan_on_push=True, encryption="KMS_DSSE", kms_key="alias/images"
    )
    async with opened(ecr, options, account="") as repositories:
        await repositories.create("app/web")
        await repositories.create("app/web")
        assert await repositories.rule("app/web") == TagRule(immutable=True)
    asked = {
        "repositoryName": "app/web",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS_DSSE", "kmsKey": "alias/images"},
    }
    assert ecr.calls("CreateRepository") == [asked, asked]


async def test_the_key_of_aws_is_used_where_none_is_named(ecr: EcrStandIn) -> None:
    async with opened(ecr, RepositoryOptions(encryption="KMS")) as repositories:
        await repositories.create("app/web")
    (asked,) = ecr.calls("CreateRepository")
    assert asked["encryptionConfiguration"] == {"encryptionType": "KMS"}


@pytest.mark.parametrize("name", ["a", "App/web", "app//web", "app/web_", "x" * 257])
async def test_a_name_that_ecr_refuses_is_told(repositories: EcrRepositories, name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        await repositories.create(name)
    assert caught.value.code == "bad_reference"
    assert name in caught.value.message


async def test_a_full_account_is_told(ecr: EcrStandIn, repositories: EcrRepositories) -> None:
    ecr.most_repositories = 1
    await repositories.create("app/web")
    with pytest.raises(DeniedError) as caught:
        await repositories.create("app/api")
    assert caught.value.code == "quota"
    assert not caught.value.retryable


async def test_a_push_into_no_repository_is_told(ecr: EcrStandIn) -> None:
    async with opened_registry(ecr, Clock()) as registry:
        with pytest.raises(NotFoundError) as caught:
            await registry.put_blob("nobody/made-it", b"content")
        assert caught.value.code == "no_repository"


@pytest.mark.parametrize("action", ["DescribeImages", "DescribeRepositories", "CreateRepository"])
async def test_what_was_throttled_is_asked_again(ecr: EcrStandIn, action: str) -> None:
    async with opened(ecr, patience=timedelta(seconds=10)) as repositories:
        ecr.fill("app/web", 3)
        ecr.throttle(action, 2)
        await repositories.create("app/api")
        assert len([one async for one in repositories.images("app/web", wanted=everything)]) == 3
        assert [one async for one in repositories.names()] == ["app/web", "app/api"]
    assert len(ecr.calls(action)) == 3


async def test_throttling_without_an_end_is_told(
    ecr: EcrStandIn, repositories: EcrRepositories
) -> None:
    ecr.throttle("DescribeImages", 100)
    with pytest.raises(ThrottledError) as caught:
        await anext(repositories.images("app/web", wanted=everything))
    assert "Rate exceeded" in caught.value.message


async def test_a_registry_that_throttles_is_asked_again(
    ecr: EcrStandIn, ecr_pusher: Pusher
) -> None:
    ecr.create("slow/web")
    ecr_pusher.push(oci.image("a"), "slow/web", "1")
    async with opened_registry(ecr, Clock()) as registry:
        ecr.throttle("/manifests/", 2)
        assert (await registry.head("slow/web", "1")).digest == oci.image("a").digest


async def test_an_expired_login_is_renewed(ecr: EcrStandIn) -> None:
    ecr.create("long/web")
    clock = Clock()
    async with opened_registry(ecr, clock) as registry:
        await registry.put_blob("long/web", b"one")
        ecr.expire()
        clock.now += timedelta(hours=1)
        await registry.put_blob("long/web", b"two")
        ecr.expire()
        clock.now += timedelta(hours=1)
        with pytest.raises(NotFoundError):
            await registry.head("long/web", "1")
    assert len(ecr.calls("GetAuthorizationToken")) == 3


async def test_a_login_is_asked_for_the_account(ecr: EcrStandIn) -> None:
    async with opened_registry(ecr, Clock()) as registry:
        await registry.check()
        assert registry.host == ecr.host
    assert ecr.calls("GetAuthorizationToken") == [{"registryIds": [ACCOUNT]}]


async def test_an_unknown_key_is_told(ecr: EcrStandIn) -> None:
    repositories = EcrRepositories(api_of(ecr, key="AKIDOFNOBODY"))
    with pytest.raises(DeniedError) as caught:
        await repositories.rule("app/web")
    assert caught.value.code == "bad_credentials"
    await repositories.aclose()


async def test_a_registry_of_another_account_is_told(ecr: EcrStandIn) -> None:
    async with opened(ecr, account="999988887777") as repositories:
        with pytest.raises(DeniedError) as caught:
            await repositories.create("app/web")
    assert caught.value.code == "denied"
    assert "ecr:CreateRepository" in caught.value.message


async def test_a_part_of_another_image_stays(
    repositories: EcrRepositories, ecr_pusher: Pusher
) -> None:
    many = oci.multi_platform("parts")
    await repositories.create("parts/web")
    ecr_pusher.push(many, "parts/web", "all")
    child = many.children[0]
    ecr_pusher.tag(child, "parts/web", "amd64")
    with pytest.raises(UnsupportedError) as caught:
        await repositories.delete("parts/web", "amd64", Digest(child.digest), shared=False)
    assert caught.value.vendor_code == "ImageReferencedByManifestList"
    assert "parts/web:amd64" in caught.value.message
    assert ecr_pusher.digest("parts/web", "amd64") == child.digest


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("ServerException", 500, TransientError, "transient"),
        ("TooManyRequestsException", 429, ThrottledError, "throttled"),
        ("KmsException", 400, DeniedError, "denied"),
        ("ExpiredTokenException", 400, DeniedError, "expired_credentials"),
        ("TooManyTagsException", 400, UnsupportedError, "unsupported"),
    ],
)
async def test_every_failure_is_told_with_its_repository(
    ecr: EcrStandIn,
    repositories: EcrRepositories,
    name: str,
    status: int,
    kind: type[StoreError],
    code: str,
) -> None:
    ecr.refuse("CreateRepository", name, "Its words.", status=status)
    with pytest.raises(kind) as caught:
        await repositories.create("app/web")
    assert caught.value.code == code
    assert caught.value.message.startswith("CreateRepository of Amazon ECR for app/web failed (")
    assert "Its words" in caught.value.message
    assert ecr.endpoint.secret_access_key not in caught.value.message


async def test_a_full_account_is_not_asked_again(ecr: EcrStandIn) -> None:
    ecr.most_repositories = 0
    async with opened(ecr, patience=timedelta(seconds=30)) as repositories:
        with pytest.raises(DeniedError) as caught:
            await repositories.create("app/api")
    assert caught.value.code == "quota"
    assert len(ecr.calls("CreateRepository")) == 1
