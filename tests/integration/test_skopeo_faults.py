"""Each fault of a registry or of the network is told as what it is, for one image alone."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.disks import can_mount, small_disk
from tests.integration.skopeo_ends import LIMIT, Lane, end_of, lane_between, open_skopeo, through
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.faults import FaultProxy
from tests.servers.oci_images import image, layer, multi_platform, nested_index
from tests.servers.process import free_ports
from tests.servers.pusher import Pusher
from tests.servers.rules import (
    Action,
    CorruptByte,
    CorruptSentByte,
    DropResponse,
    Reset,
    ResetBody,
    ShortenBody,
    Status,
    TruncateBody,
)
from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.registries import Digest, Login, Platform, RegistryConfig
from transferhub.registries.skopeo import Carriage, Skopeo

pytestmark = pytest.mark.registries

LARGE = layer("large", 400_000)
MADE = image("faulty", layers=[LARGE])
MANY = multi_platform("faulty")
NESTED = nested_index("faulty")

PING, MANIFEST, BLOB, UPLOAD = "^/v2/$", "/manifests/", LARGE.digest, "/blobs/uploads"
IMMUTABLE = (
    "The image tag 'v1' already exists in the 'x' repository and cannot be overwritten because the"
    " repository is immutable."
)
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    at: str
    action: Action
    kind: type[StoreError]
    code: str
    begins: str
    method: str | None = None


def status(number: int, code: str = "UNKNOWN", message: str = "something") -> Status:
    headers = (("Retry-After", "1"),) if number == 429 else ()
    return Status(status=number, code=code, message=message, headers=headers)


SOURCE = {
    "ping 404": Case(
        at=PING, action=status(404), kind=UnsupportedError, code="no_registry", begins="Reaching"
    ),
    "ping 503": Case(
        at=PING, action=status(503), kind=TransientError, code="transient", begins="Reaching"
    ),
    "ping reset": Case(
        at=PING, action=Reset(), kind=TransientError, code="transient", begins="Reaching"
    ),
    "manifest 401": Case(
        at=MANIFEST,
        action=status(401, "UNAUTHORIZED", "authentication required"),
        kind=DeniedError,
        code="denied",
        begins="Reading the manifest",
    ),
    "manifest 403": Case(
        at=MANIFEST,
        action=status(403, "DENIED", "requested access to the resource is denied"),
        kind=DeniedError,
        code="denied",
        begins="Reading the manifest",
    ),
    "manifest expired": Case(
        at=MANIFEST,
        action=status(403, "DENIED", EXPIRED),
        kind=DeniedError,
        code="expired_credentials",
        begins="Reading the manifest",
    ),
    "no repository": Case(
        at=MANIFEST,
        action=status(404, "NAME_UNKNOWN", "repository name not known to registry"),
        kind=NotFoundError,
        code="no_repository",
        begins="Reading the manifest",
    ),
    "manifest 408": Case(
        at=MANIFEST,
        action=status(408, "X", "timeout"),
        kind=TransientError,
        code="transient",
        begins="Reading the manifest",
    ),
    "manifest 500": Case(
        at=MANIFEST,
        action=status(500),
        kind=TransientError,
        code="transient",
        begins="Reading the manifest",
    ),
    "manifest reset": Case(
        at=MANIFEST,
        action=ResetBody(100),
        kind=TransientError,
        code="transient",
        begins="Reading the manifest",
    ),
    "manifest cut": Case(
        at=MANIFEST,
        action=TruncateBody(100),
        kind=TransientError,
        code="transient",
        begins="Reading the manifest",
    ),
    "manifest changed": Case(
        at=MANIFEST,
        action=CorruptByte(150),
        kind=CorruptError,
        code="corrupt",
        begins="Reading the manifest",
    ),
    "blob 403": Case(
        at=BLOB, action=status(403), kind=DeniedError, code="denied", begins="Reading the blob"
    ),
    "blob 404": Case(
        at=BLOB, action=status(404), kind=NotFoundError, code="not_found", begins="Reading the blob"
    ),
    "blob 502": Case(
        at=BLOB,
        action=status(502),
        kind=TransientError,
        code="transient",
        begins="Reading the blob",
    ),
    "blob reset": Case(
        at=BLOB,
        action=ResetBody(200_000),
        kind=TransientError,
        code="transient",
        begins="Reading the blob",
    ),
    "blob cut": Case(
        at=BLOB,
        action=TruncateBody(200_000),
        kind=TransientError,
        code="transient",
        begins="Reading the blob",
    ),
    "blob short": Case(
        at=BLOB,
        action=ShortenBody(7),
        kind=CorruptError,
        code="corrupt",
        begins="Reading the blob",
    ),
    "blob changed": Case(
        at=BLOB,
        action=CorruptByte(200_000),
        kind=CorruptError,
        code="corrupt",
        begins="Reading the blob",
    ),
}
DESTINATION = {
    "ping 500": Case(
        at=PING, action=status(500), kind=TransientError, code="transient", begins="Reaching"
    ),
    "look 500": Case(
        at="/blobs/sha256",
        action=status(500),
        kind=TransientError,
        code="transient",
        begins="Looking for the blob",
    ),
    "start 403": Case(
        at=UPLOAD,
        method="POST",
        action=status(403, "DENIED", "no"),
        kind=DeniedError,
        code="denied",
        begins="Uploading the blob",
    ),
    "start 404": Case(
        at=UPLOAD,
        method="POST",
        action=status(404, "NAME_UNKNOWN", "The repository does not exist in the registry"),
        kind=NotFoundError,
        code="no_repository",
        begins="Uploading the blob",
    ),
    "start quota": Case(
        at=UPLOAD,
        method="POST",
        action=status(403, "DENIED", "the storage quota is exceeded"),
        kind=DeniedError,
        code="quota",
        begins="Uploading the blob",
    ),
    "upload 429": Case(
        at=UPLOAD,
        method="PATCH",
        action=status(429, "TOOMANYREQUESTS", "slow down"),
        kind=ThrottledError,
        code="throttled",
        begins="Uploading the blob",
    ),
    "upload 507": Case(
        at=UPLOAD,
        method="PATCH",
        action=status(507),
        kind=DeniedError,
        code="quota",
        begins="Uploading the blob",
    ),
    "upload reset": Case(
        at=UPLOAD,
        method="PATCH",
        action=Reset(),
        kind=TransientError,
        code="transient",
        begins="Uploading the blob",
    ),
    "upload unanswered": Case(
        at=UPLOAD,
        method="PATCH",
        action=DropResponse(),
        kind=TransientError,
        code="transient",
        begins="Uploading the blob",
    ),
    "upload lost": Case(
        at=UPLOAD,
        method="PATCH",
        action=status(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
        kind=TransientError,
        code="transient",
        begins="Uploading the blob",
    ),
    "upload changed": Case(
        at=UPLOAD,
        method="PATCH",
        action=CorruptSentByte(50),
        kind=CorruptError,
        code="corrupt",
        begins="Uploading the blob",
    ),
    "tag immutable": Case(
        at=MANIFEST,
        action=status(400, "TAG_INVALID", IMMUTABLE),
        kind=DeniedError,
        code="immutable_tag",
        begins="Writing the manifest",
    ),
    "manifest invalid": Case(
        at=MANIFEST,
        action=status(400, "MANIFEST_INVALID", "manifest invalid"),
        kind=UnsupportedError,
        code="bad_manifest",
        begins="Writing the manifest",
    ),
    "manifest unsupported": Case(
        at=MANIFEST,
        action=status(405, "UNSUPPORTED", "The operation is unsupported"),
        kind=UnsupportedError,
        code="unsupported",
        begins="Writing the manifest",
    ),
    "manifest unanswered": Case(
        at=MANIFEST,
        action=DropResponse(),
        kind=TransientError,
        code="transient",
        begins="Writing the manifest",
    ),
}


@pytest.fixture
async def skopeo(tmp_path: Path) -> Skopeo:
    return await open_skopeo(tmp_path)


@pytest.fixture
def lane(
    skopeo: Skopeo,
    registry: DockerRegistry,
    registry_b: DockerRegistry,
    pusher: Pusher,
    tmp_path: Path,
) -> Iterator[Lane]:
    with lane_between(skopeo, registry, registry_b, tmp_path / "private") as lane:
        pusher.push(MADE, lane.source.repository, "v1")
        yield lane


async def failed(lane: Lane, carriage: Carriage | None = None) -> StoreError:
    """The error of a copy, which left nothing behind and names the image."""
    with pytest.raises(StoreError) as caught:
        await lane.skopeo.copy(carriage or lane.carriage(MADE), time_limit=lane.limit)
    assert not list(lane.private.iterdir())
    assert "_state=" not in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


def assert_is(error: StoreError, case: Case, host: str) -> None:
    assert (type(error), error.code) == (case.kind, case.code), error.message
    assert error.message.startswith(case.begins)
    assert re.search(rf" at {host}\b", error.message), error.message


class TestFaults:
    @pytest.mark.parametrize("name", SOURCE)
    async def test_of_the_source(self, name: str, lane: Lane) -> None:
        case = SOURCE[name]
        lane.source_proxy.add(case.action, path=case.at, method=case.method)
        assert_is(await failed(lane), case, lane.source.registry.host)

    @pytest.mark.parametrize("name", DESTINATION)
    async def test_of_the_destination(self, name: str, lane: Lane) -> None:
        case = DESTINATION[name]
        lane.destination_proxy.add(case.action, path=case.at, method=case.method)
        assert_is(await failed(lane), case, lane.destination.registry.host)

    @pytest.mark.parametrize("name", ["upload reset", "upload changed", "manifest unanswered"])
    async def test_a_copy_after_it_is_whole(self, name: str, lane: Lane, pusher_b: Pusher) -> None:
        case = DESTINATION[name]
        lane.destination_proxy.add(case.action, path=case.at, method=case.method, times=1)
        await failed(lane)
        assert (await lane.copy(MADE)).digest == MADE.digest
        assert pusher_b.digest(lane.destination.repository, "v1") == MADE.digest

    async def test_a_login_that_a_token_service_refuses(self, lane: Lane) -> None:
        lane.source_proxy.add(status(401), path="/blobs/")
        login = Login(user=ACCOUNT.user, password="wr0ng-secret")
        source = replace(lane.source, login=login)
        error = await failed(lane, replace(lane.carriage(MADE), source=source))
        assert (type(error), error.code) == (DeniedError, "bad_credentials"), error.message
        assert "wr0ng-secret" not in error.message


class TestThrottling:
    async def test_short_waits_are_waited_for(self, lane: Lane) -> None:
        lane.source_proxy.add(status(429, "TOOMANYREQUESTS"), path=MANIFEST, times=1)
        await lane.copy(MADE)

    async def test_the_wait_that_was_asked_for_is_told(self, lane: Lane) -> None:
        lane.source_proxy.add(status(429, "TOOMANYREQUESTS"), path=MANIFEST)
        error = await failed(lane)
        assert isinstance(error, ThrottledError)
        assert error.retry_after == timedelta(seconds=1)


class TestPlaces:
    async def test_a_digest_that_is_not_there(self, lane: Lane) -> None:
        error = await failed(lane, lane.carriage(image("never pushed")))
        assert (type(error), error.code) == (NotFoundError, "not_found")

    async def test_nobody_listens(self, lane: Lane) -> None:
        (port,) = free_ports(1)
        nobody = RegistryConfig(host=f"127.0.0.1:{port}", plain_http=True)
        carriage = replace(lane.carriage(MADE), source=replace(lane.source, registry=nobody))
        error = await failed(lane, carriage)
        assert (type(error), error.code) == (TransientError, "unreachable")

    async def test_a_name_without_an_address(self, lane: Lane) -> None:
        nowhere = RegistryConfig(host="registry.invalid", plain_http=True)
        carriage = replace(
            lane.carriage(MADE), destination=replace(lane.destination, registry=nowhere)
        )
        error = await failed(lane, carriage)
        assert (type(error), error.code) == (TransientError, "unreachable")

    async def test_plain_http_is_used_only_when_asked(self, lane: Lane) -> None:
        secure = replace(lane.source, registry=replace(lane.source.registry, plain_http=False))
        error = await failed(lane, replace(lane.carriage(MADE), source=secure))
        assert not lane.source_proxy.seen
        assert not error.message.startswith("Copying")

    async def test_http_behind_https(self, lane: Lane, registry: DockerRegistry) -> None:
        source = end_of(registry, lane.source.repository)
        secure = replace(source, registry=replace(source.registry, plain_http=False))
        error = await failed(lane, replace(lane.carriage(MADE), source=secure))
        assert (type(error), error.code) == (DeniedError, "tls")

    async def test_a_ca_that_is_not_trusted(
        self, lane: Lane, registry_https: DockerRegistry
    ) -> None:
        guarded = end_of(registry_https, "any/where")
        untrusted = replace(guarded, registry=RegistryConfig(host=registry_https.host))
        error = await failed(lane, replace(lane.carriage(MADE), destination=untrusted))
        assert (type(error), error.code) == (DeniedError, "tls")
        assert "is not trusted" in error.message

    async def test_a_ca_bundle_that_is_none(self, lane: Lane, tmp_path: Path) -> None:
        bad = tmp_path / "bad.pem"
        bad.write_text("nothing")
        transport = replace(lane.source.registry.transport, ca_bundle=bad)
        source = replace(lane.source, registry=replace(lane.source.registry, transport=transport))
        error = await failed(lane, replace(lane.carriage(MADE), source=source))
        assert error.code == "tls"
        assert "holds no certificate" in error.message

    async def test_two_proxies_are_refused(self, lane: Lane) -> None:
        def behind(proxy: str) -> RegistryConfig:
            registry = lane.source.registry
            return replace(registry, transport=replace(registry.transport, proxy=proxy))

        carriage = replace(
            lane.carriage(MADE),
            source=replace(lane.source, registry=behind("http://one:3128")),
            destination=replace(lane.destination, registry=behind("http://two:3128")),
        )
        error = await failed(lane, carriage)
        assert isinstance(error, UnsupportedError)
        assert "two proxies" in error.message


class TestKinds:
    async def test_an_index_of_indexes(self, lane: Lane, pusher: Pusher) -> None:
        pusher.push(NESTED, lane.source.repository)
        error = await failed(lane, lane.carriage(NESTED))
        assert (type(error), error.code) == (UnsupportedError, "nested_index")

    async def test_a_platform_that_an_image_does_not_have(self, lane: Lane, pusher: Pusher) -> None:
        pusher.push(MANY, lane.source.repository)
        chosen = Platform(os="linux", architecture="s390x")
        error = await failed(lane, replace(lane.carriage(MANY), platform=chosen))
        assert (type(error), error.code) == (NotFoundError, "no_platform")
        assert "s390x" in error.message


class TestOnADiskOfItsOwn:
    __test__ = can_mount()  # without the right to mount there is no disk to fill

    async def test_a_full_disk_of_the_destination_fails_the_image_until_there_is_room(
        self, lane: Lane, tmp_path: Path
    ) -> None:
        with (
            small_disk(tmp_path / "disk", 2 << 20) as disk,
            DockerRegistry(folder=disk.folder / "registry") as full,
            FaultProxy(full.url) as proxy,
        ):
            end = through(end_of(full, "some/where"), proxy)
            carriage = replace(lane.carriage(MADE), destination=end)
            disk.fill(but=100_000)
            error = await failed(lane, carriage)
            assert (type(error), error.status) == (TransientError, 500)
            assert error.message.startswith("Uploading the blob")
            disk.free()
            await lane.skopeo.copy(carriage, time_limit=LIMIT)

    async def test_a_full_disk_of_its_own_stops_the_run(self, lane: Lane, tmp_path: Path) -> None:
        with small_disk(tmp_path / "private", 1 << 16) as disk:
            disk.fill(but=0)
            with pytest.raises(TransientError) as caught:
                await lane.copy(MADE)
            assert caught.value.code == "disk_full"
            assert str(disk.folder) in caught.value.message
            assert [path.name for path in disk.folder.iterdir()] == ["ballast"]


async def test_one_that_fails_leaves_the_others_alone(
    lane: Lane, pusher: Pusher, pusher_b: Pusher
) -> None:
    made = [image(f"lone {n}") for n in range(6)]
    for one in made:
        pusher.push(one, lane.source.repository)
    lane.source_proxy.add(status(500), path=made[2].digest)
    ended = await asyncio.gather(
        *(lane.copy(one, f"v{n}") for n, one in enumerate(made)), return_exceptions=True
    )
    assert [isinstance(end, TransientError) for end in ended] == [n == 2 for n in range(6)]
    assert len(pusher_b.tags(lane.destination.repository)) == 5
    assert Digest(made[0].digest) == pusher_b.digest(lane.destination.repository, "v0")
