"""What goes wrong while images are replicated between two real registries."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.disks import can_mount, small_disk
from tests.integration.image_bench import ImageBench, bench_between, opener, rows_of, skopeo_in
from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.rules import (
    Action,
    CorruptByte,
    CorruptSentByte,
    DropResponse,
    Reset,
    ResetBody,
    Status,
)
from transferhub.errors import DeniedError, StoreError, ThrottledError
from transferhub.model.run import RunState
from transferhub.model.transfer import RunId
from transferhub.plugins.images.replication import ImageReplication
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.plugins.images.spec import parse_spec
from transferhub.registries import GivenLogin, Login, RegistryClient, RegistryConfig
from transferhub.registries.oci_repositories import OciRepositories
from transferhub.stores.s3.transport import TransportConfig

pytestmark = pytest.mark.registries


@pytest.fixture
def bench(
    registry: DockerRegistry, registry_b: DockerRegistry, tmp_path: Path
) -> Iterator[ImageBench]:
    with bench_between(registry, registry_b, tmp_path) as bench:
        yield bench


def push_family(bench: ImageBench, seed: str, count: int) -> dict[tuple[str, str], str]:
    """Returns the digest of each repository and tag."""
    pushed = {}
    for number, manifest in enumerate(oci.family(seed, count, layer_bytes=20_000)):
        at = (f"r{number % 4}", f"{number}")
        bench.push(manifest, *at)
        pushed[at] = manifest.digest
    return pushed


async def test_one_request_in_twenty_fails_and_no_image_does(bench: ImageBench) -> None:
    pushed = push_family(bench, "faults", 60)
    bench.push(index := oci.multi_platform("faults", attested=True), "index", "1")
    pushed["index", "1"] = index.digest
    faults: list[Action] = [
        Status(status=503, code="UNAVAILABLE"),
        Status(status=500, code="UNKNOWN"),
        Status(status=429, code="TOOMANYREQUESTS", headers=(("Retry-After", "0"),)),
        Reset(),
        DropResponse(),
        ResetBody(100),
    ]
    for seed, fault in enumerate(faults):
        for proxy in (bench.before, bench.after):
            proxy.add(fault, probability=0.05 / len(faults) * 1.2, seed=seed)
    bench.patience = 20
    summary = await bench.run()
    met = [s for proxy in (bench.before, bench.after) for s in proxy.seen if s.fault]
    assert len(met) > 10
    assert (summary.status, summary.done, summary.failed, summary.faults) == (
        RunState.SUCCEEDED, 61, 0, (),
    )  # fmt: skip
    assert {at: bench.there(*at) for at in pushed} == pushed


async def test_an_image_that_cannot_be_read_fails_alone(bench: ImageBench) -> None:
    pushed = push_family(bench, "alone", 8)
    first = pushed["r1", "1"]
    denied = Status(status=403, code="DENIED", message="not this one")
    bench.before.add(denied, method="GET", path=f"/manifests/{first}")
    summary = await bench.run()
    assert (summary.status, summary.done, summary.failed, summary.faults) == (
        RunState.COMPLETED_WITH_FAILURES, 7, 1, (),
    )  # fmt: skip
    row = rows_of(summary)[f"{bench.name}/r1:1"]
    assert row["code"] == "denied"
    assert "not this one" in row["message"]
    assert any("could not be told" in line for line in bench.talk)


async def test_a_blob_that_breaks_off_is_read_on(bench: ImageBench) -> None:
    made = oci.image("broken", layers=[oci.layer("broken", 400_000)])
    bench.push(made, "app", "1")
    bench.before.add(ResetBody(150_000), method="GET", path="/blobs/", times=3)
    summary = await bench.run()
    assert (summary.done, summary.bytes) == (1, sum(len(b.content) for b in made.blobs))
    assert bench.there("app", "1") == made.digest


@pytest.mark.parametrize("times", [1, None])
async def test_bytes_that_change_on_the_way_are_never_kept(
    bench: ImageBench, times: int | None
) -> None:
    made = oci.image(f"spoilt {times}", layers=[oci.layer(f"spoilt {times}", 50_000)])
    bench.push(made, "app", "1")
    layer = made.blobs[1].digest
    bench.before.add(CorruptByte(1_000), method="GET", path=f"/blobs/{layer}", times=times)
    bench.attempts, bench.patience = 2, 1
    summary = await bench.run()
    if times:
        assert (summary.done, bench.there("app", "1")) == (1, made.digest)
    else:
        assert (summary.failed, bench.there("app", "1")) == (1, None)
        (row,) = rows_of(summary).values()
        assert (row["code"], layer in row["message"]) == ("corrupt", True)


async def test_bytes_that_change_on_the_way_to_the_destination_are_sent_again(
    bench: ImageBench,
) -> None:
    made = oci.image("sent", layers=[oci.layer("sent", 50_000)])
    bench.push(made, "app", "1")
    bench.after.add(CorruptSentByte(1_000), method="PUT", path="/blobs/uploads/", times=1)
    summary = await bench.run()
    assert (summary.done, bench.there("app", "1")) == (1, made.digest)


async def test_a_tag_that_another_program_takes_is_copied_again(bench: ImageBench) -> None:
    ours, theirs = oci.family("taken", 2, layer_bytes=256)
    bench.push(ours, "app", "1")
    bench.push_there(theirs, "app", "other")
    plan = await bench.plan(images="app:1")
    replication = bench.replication(images="app:1")
    # The manifest is taken, but the tag is not what it should be.
    bench.after.add(
        Status(status=201, code="", message=""), method="PUT", path=r"/manifests/1$", times=1
    )
    bench.push_there(theirs, "app", "1")
    (transfer,) = plan.transfers()
    with pytest.raises(StoreError) as caught:
        await replication.copy(transfer)
    assert (caught.value.code, caught.value.retryable) == ("not_verified", True)
    copied = await replication.copy(transfer)
    await replication.aclose()
    assert (copied.state.value, bench.there("app", "1")) == ("done", ours.digest)


async def test_a_source_that_lost_a_layer_fails_that_image(bench: ImageBench) -> None:
    lost, whole = oci.image("lost"), oci.image("whole")
    bench.push(lost, "app", "1")
    bench.push(whole, "app", "2")
    bench.source.delete_blob(f"{bench.name}/app", lost.blobs[1].digest)
    bench.attempts = 1
    summary = await bench.run()
    assert (summary.done, summary.failed) == (1, 1)
    row = rows_of(summary)[f"{bench.name}/app:1"]
    assert row["code"] == "no_blob"
    assert "push it there again" in row["message"]


async def test_what_vanishes_between_plan_and_copy_has_vanished(bench: ImageBench) -> None:
    made = oci.image("vanishes")
    bench.push(made, "app", "1")
    plan = await bench.plan()
    bench.source.delete_manifest(f"{bench.name}/app", made.digest)
    replication = bench.replication()
    copied = [await replication.copy(transfer) for transfer in plan.transfers()]
    await replication.aclose()
    assert [(c.state.value, c.code) for c in copied] == [("vanished", "not_found")]


async def test_what_was_planned_is_copied_though_the_tag_moved(bench: ImageBench) -> None:
    old, new = oci.family("planned", 2, layer_bytes=256)
    bench.push(old, "app", "1")
    plan = await bench.plan()
    bench.push(new, "app", "1")
    replication = bench.replication()
    for transfer in plan.transfers():
        await replication.copy(transfer)
    await replication.aclose()
    assert bench.there("app", "1") == old.digest


async def test_a_registry_that_asks_to_slow_down_is_left_alone_and_then_asked(
    bench: ImageBench,
) -> None:
    pushed = push_family(bench, "slow", 6)
    slow = Status(status=429, code="TOOMANYREQUESTS", headers=(("Retry-After", "1"),))
    bench.after.add(slow, method="POST", times=1)
    summary = await bench.run()
    assert (summary.done, summary.failed) == (len(pushed), 0)
    refused = [seen for seen in bench.after.seen if seen.fault]
    (first,) = refused
    later = [s.at for s in bench.after.seen if s.at > first.at + 0.3]
    assert min(later) >= first.at + 0.9


async def test_blobs_that_went_from_the_destination_are_carried_again(bench: ImageBench) -> None:
    made = oci.image("went")
    bench.push(made, "app", "1")
    replication = bench.replication()
    (transfer,) = (await replication.survey()).transfers()
    await replication.copy(transfer)
    bench.destination.delete_manifest(f"{bench.name}/app", made.digest)
    for digest in made.all_blobs:
        bench.destination.delete_blob(f"{bench.name}/app", digest)
    copied = await replication.copy(transfer)
    await replication.aclose()
    assert copied.moved_bytes == sum(len(blob.content) for blob in made.blobs)
    assert bench.there("app", "1") == made.digest


# Registries


async def test_a_destination_whose_disk_is_full_fails_images_and_takes_them_later(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    if not can_mount():
        pytest.skip("takes the right to mount a small disk")
    folder = tmp_path / "full"
    with (
        small_disk(folder / "storage", 64 << 20) as disk,
        DockerRegistry(folder=folder) as full,
        bench_between(registry, full, tmp_path, patience=0.5, attempts=1) as bench,
    ):
        for number in range(3):
            # Docker's registry 2.8 damages a manifest that it has no room for, so that it comes to
            # none: no layer has room.
            large = oci.layer(f"full {number}", 2_000_000)
            bench.push(oci.image(f"full {number}", layers=[large]), "app", f"{number}")
        disk.fill(but=1_000_000)
        summary = await bench.run("r")
        assert (summary.status, summary.failed, summary.faults) == (
            RunState.COMPLETED_WITH_FAILURES, 3, (),
        )  # fmt: skip
        assert {row["code"] for row in rows_of(summary).values()} <= {"transient", "quota"}
        disk.free()
        await bench.ledger.redrive(RunId("r"))
        again = await bench.run("r")
        assert (again.status, again.done) == (RunState.SUCCEEDED, 3)


async def test_a_wrong_secret_stops_the_run_before_anything_is_done(
    registry_https: DockerRegistry, bench: ImageBench
) -> None:
    async def open_source(_: str) -> OpenRegistry:
        config = RegistryConfig(
            host=registry_https.host, transport=TransportConfig(ca_bundle=registry_https.ca)
        )
        login = GivenLogin(Login(user="mover", password="wrong"))
        client = RegistryClient(config, login)
        return OpenRegistry(registry=client, repositories=OciRepositories(client), config=config)

    spec = bench.spec()
    replication = ImageReplication(
        spec,
        source=open_source,
        destination=opener(spec.destination.host),
        skopeo=bench.skopeo,
        time_limit=timedelta(minutes=1),
    )
    with pytest.raises(DeniedError) as caught:
        await replication.check()
    await replication.aclose()
    assert caught.value.code == "bad_credentials"


async def test_public_registries_fail_alone(
    registry: DockerRegistry, registry_b: DockerRegistry, bench: ImageBench
) -> None:
    made = oci.image("public")
    bench.push(made, "app", "1", "2")
    there = registry.host
    spec = parse_spec(
        {
            "source": "public",
            "destination": f"{registry_b.host}/{bench.name}",
            "images": f"{there}/{bench.name}/app:1, 127.0.0.1:1/x/y:1, 127.0.0.1:1/x/y:2",
        }
    )
    opened = []

    async def open_source(host: str) -> OpenRegistry:
        opened.append(host)
        return await opener(host, patience=0.2)(host)

    replication = ImageReplication(
        spec,
        source=open_source,
        destination=opener(registry_b.host),
        skopeo=bench.skopeo,
        time_limit=timedelta(minutes=1),
    )
    await replication.check()
    plan = await replication.survey()
    assert [row.kind.value for row in plan.rows] == ["copy", "unlisted", "unlisted"]
    outcomes = []
    for transfer in plan.transfers():
        try:
            outcomes.append((await replication.copy(transfer)).state.value)
        except StoreError as error:
            outcomes.append(error.code)
    await replication.aclose()
    assert outcomes == ["done", "transient", "transient"]
    assert opened.count("127.0.0.1:1") == 1
    assert bench.destination.digest(f"{bench.name}/{bench.name}/app", "1") == made.digest


async def test_a_pull_budget_that_is_spent_is_not_asked_for_more(bench: ImageBench) -> None:
    pushed = push_family(bench, "budget", 4)
    left = 0

    class Counting(RegistryClient):
        @property
        def pulls_left(self) -> int:
            return left

    spec = bench.spec()

    async def open_source(_: str) -> OpenRegistry:
        config = RegistryConfig(host=spec.source.host, plain_http=True)
        client = Counting(config)
        return OpenRegistry(registry=client, repositories=OciRepositories(client), config=config)

    replication = ImageReplication(
        spec,
        source=open_source,
        destination=opener(spec.destination.host),
        skopeo=bench.skopeo,
        time_limit=timedelta(minutes=1),
    )
    plan = await replication.survey()
    assert any("lets 0 more manifests be read" in note for note in plan.notes)
    assert bench.read("GET", "/manifests/") == []
    transfers = [*plan.transfers()]
    with pytest.raises(ThrottledError) as caught:
        await replication.copy(transfers[0])
    assert caught.value.retry_after is not None
    assert bench.read("GET", "/manifests/") == []
    left = 100
    for transfer in transfers:
        await replication.copy(transfer)
    await replication.aclose()
    assert {at: bench.there(*at) for at in pushed} == pushed


# Heavy images

HEAVY = 17 << 20


@pytest.fixture
def heavy(bench: ImageBench, tmp_path: Path) -> ImageBench:
    bench.skopeo = skopeo_in(tmp_path)
    return bench


async def test_without_skopeo_only_heavy_images_fail(bench: ImageBench) -> None:
    bench.push(oci.image("heavy", layers=[oci.layer("heavy", HEAVY)]), "app", "heavy")
    bench.push(oci.image("light"), "app", "light")
    summary = await bench.run()
    assert (summary.done, summary.failed) == (1, 1)
    row = rows_of(summary)[f"{bench.name}/app:heavy"]
    assert row["code"] == "no_skopeo"


async def test_heavy_images_of_one_base_upload_it_once(heavy: ImageBench) -> None:
    base = oci.layer("heavy base", HEAVY)
    own = [oci.layer(f"heavy own {number}", 2_000) for number in range(4)]
    made = [oci.image(f"heavy {n}", layers=[base, layer]) for n, layer in enumerate(own)]
    for number, manifest in enumerate(made):
        heavy.push(manifest, f"r{number}", "1")
    summary = await heavy.run()
    assert (summary.done, summary.failed, summary.faults) == (4, 0, ())
    assert summary.bytes == summary.scan.copy_bytes
    uploaded = heavy.uploaded()
    assert len(uploaded) == len(set(uploaded))
    for number, manifest in enumerate(made):
        assert heavy.there(f"r{number}", "1") == manifest.digest


async def test_a_heavy_image_in_a_nested_index_arrives_as_it_is(heavy: ImageBench) -> None:
    inner = oci.index([oci.image("inner", layers=[oci.layer("inner", HEAVY)]), oci.image("small")])
    outer = oci.index([inner, oci.image("outer", platform=oci.ARM)])
    heavy.push(outer, "app", "1")
    summary = await heavy.run()
    assert (summary.done, summary.bytes) == (1, summary.scan.copy_bytes)
    for below in outer.tree:
        assert heavy.there("app", below.digest) == below.digest
    assert heavy.there("app", "1") == outer.digest


async def test_a_heavy_image_that_vanished_has_vanished(heavy: ImageBench) -> None:
    made = oci.image("heavy gone", layers=[oci.layer("heavy gone", HEAVY)])
    heavy.push(made, "app", "1")
    replication = heavy.replication()
    plan = await replication.survey()
    heavy.source.delete_manifest(f"{heavy.name}/app", made.digest)
    copied = [await replication.copy(transfer) for transfer in plan.transfers()]
    await replication.aclose()
    assert [c.state.value for c in copied] == ["vanished"]
