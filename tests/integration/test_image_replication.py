"""Whole runs of the images plugin between two real registries."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from tests.integration.image_bench import ImageBench, bench_between, rows_of, short
from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.rules import Request, Reset, Status
from transferhub.errors import DeniedError, GuardError, InputError
from transferhub.model.run import RunState
from transferhub.model.transfer import RunId, Shard, Transfer
from transferhub.registries import Digest
from transferhub.registries.oci_repositories import OciRepositories
from transferhub.registries.repositories import ListedImage, TagRule
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger
from transferhub.state.sql import SqlLedger

pytestmark = pytest.mark.registries


@pytest.fixture(params=["memory", "sqlite"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    found = await SqlLedger.open(f"sqlite:///{tmp_path}/state.sqlite3")
    yield found
    await found.aclose()


@pytest.fixture
def bench(
    registry: DockerRegistry, registry_b: DockerRegistry, tmp_path: Path, ledger: Ledger
) -> Iterator[ImageBench]:
    with bench_between(registry, registry_b, tmp_path, ledger=ledger) as bench:
        yield bench


@pytest.fixture
def light(
    registry: DockerRegistry, registry_b: DockerRegistry, tmp_path: Path
) -> Iterator[ImageBench]:
    """Without a database."""
    with bench_between(registry, registry_b, tmp_path) as bench:
        yield bench


# All of it


async def test_every_kind_of_image_arrives_as_it_is(bench: ImageBench) -> None:
    made = {
        "plain": oci.image("plain"),
        "docker": oci.multi_platform("docker", docker=True),
        "attested": oci.multi_platform("attested", attested=True),
        "nested": oci.nested_index("nested"),
    }
    for name, manifest in made.items():
        bench.push(manifest, name, "1", "latest")
    bench.push(oci.artifact("bare"), "artifact", "1")
    summary = await bench.run()
    assert (summary.status, summary.faults) == (RunState.SUCCEEDED, ())
    assert (summary.scan.new, summary.done, summary.failed) == (9, 9, 0)
    for name, manifest in made.items():
        for tag in ("1", "latest"):
            held = bench.destination.manifest(f"{bench.name}/{name}", tag)
            assert held is not None
            assert (held.content, held.media_type) == (manifest.content, manifest.media_type)
        for below in manifest.tree:
            assert bench.there(name, below.digest) == below.digest
        for digest in manifest.all_blobs:
            assert bench.destination.has_blob(f"{bench.name}/{name}", digest)


async def test_a_second_run_looks_once_at_each_tag_and_does_nothing(bench: ImageBench) -> None:
    for number, manifest in enumerate(oci.family("again", 60, layer_bytes=2048)):
        bench.push(manifest, f"r{number % 6}", f"1.{number}", f"v{number}")
    bench.push(oci.multi_platform("again", attested=True), "index", *(f"t{n}" for n in range(80)))
    first = await bench.run()
    assert (first.done, first.failed) == (200, 0)
    bench.clear()
    second = await bench.run()
    assert (second.status, second.done, second.scan.same) == (RunState.SUCCEEDED, 0, 200)
    for proxy in (bench.before, bench.after):
        heads = Counter(s.target for s in proxy.seen if s.method == "HEAD")
        assert len(heads) == 200
        assert set(heads.values()) == {1}
        assert all(b"/manifests/" in target for target in heads)
    assert bench.read("GET", "/manifests/") + bench.written("GET", "/manifests/") == []
    assert {seen.method for seen in bench.after.seen} == {"GET", "HEAD"}


async def test_a_list_lists_nothing(light: ImageBench) -> None:
    manifests = oci.family("list", 4, layer_bytes=512)
    for number, manifest in enumerate(manifests):
        light.push(manifest, "app", f"{number}")
    wanted = f"app:0, app:1\napp@{manifests[2].digest}"
    assert (await light.run(images=wanted)).done == 3
    assert light.tags_there("app") == ["0", "1"]
    assert light.there("app", manifests[2].digest) == manifests[2].digest
    light.clear()
    second = await light.run(images=wanted)
    assert (second.done, second.scan.same, second.scan.scanned_source) == (0, 3, 3)
    for proxy in (light.before, light.after):
        methods = Counter(s.method for s in proxy.seen if s.target != b"/v2/")
        assert methods == {"HEAD": 3}


async def test_all_tags_of_a_list_are_listed(light: ImageBench) -> None:
    for number, manifest in enumerate(oci.family("tags", 3, layer_bytes=512)):
        light.push(manifest, "app", f"{number}")
        light.push(manifest, "other", f"{number}")
    assert (await light.run(images="app:ALL_TAGS,other:1")).done == 4
    assert light.tags_there("app") == ["0", "1", "2"]
    assert light.tags_there("other") == ["1"]
    assert light.read("GET", "_catalog") == []


async def test_a_moved_tag_is_one_manifest(light: ImageBench) -> None:
    old, new = oci.family("moved", 2, layer_bytes=512)
    light.push(old, "app", "1", "latest")
    light.push(new, "app", "2")
    await light.run()
    light.push(new, "app", "latest")
    light.clear()
    summary = await light.run()
    assert (summary.done, summary.scan.changed, summary.bytes) == (1, 1, 0)
    assert light.there("app", "latest") == new.digest
    assert len(light.written("PUT")) == 1
    assert light.written("POST") == []
    assert light.read("GET", "/blobs/") == []


async def test_no_blob_is_uploaded_twice(light: ImageBench) -> None:
    for number, manifest in enumerate(oci.family("base", 100, layer_bytes=20_000)):
        light.push(manifest, f"r{number % 10}", f"{number}")
    light.push(oci.multi_platform("one", base=[oci.layer("base base 0", 20_000)]), "index", "1")
    summary = await light.run()
    assert (summary.done, summary.failed) == (101, 0)
    counts = Counter(light.uploaded())
    assert set(counts.values()) == {1}
    sizes = [row["moved_bytes"] for row in rows_of(summary).values()]
    assert sum(map(int, sizes)) == summary.bytes == summary.scan.copy_bytes


async def test_a_report_says_what_was_done_for_the_blobs(light: ImageBench) -> None:
    first, second = oci.family("told", 2, layers=2, layer_bytes=512)
    light.push(first, "a", "1")
    await light.run()
    light.push(second, "a", "2")
    summary = await light.run()
    (row,) = rows_of(summary).values()
    assert row["note"].startswith("blobs: 2 sent (")
    assert ", 0 mounted (0 bytes), 2 were there (" in row["note"]
    assert int(row["moved_bytes"]) == int(row["size"]) > 0
    assert row["destination_etag"] == second.digest


async def test_filters_leave_out(light: ImageBench) -> None:
    made = oci.image("filters")
    light.push(made, "app", "1.0", "1.1", "2.0", "dev")
    light.push(made, "team/app", "1.0")
    summary = await light.run(all=True, exclude=("team/**",), semver="<2")
    assert (summary.done, summary.scan.filtered, summary.faults) == (2, 2, ())
    assert light.tags_there("app") == ["1.0", "1.1"]
    assert light.tags_there("team/app") == []


async def test_the_newest_of_a_registry_that_tells_no_times_are_the_highest_versions(
    light: ImageBench,
) -> None:
    for number, manifest in enumerate(oci.family("newest", 12, layer_bytes=256)):
        light.push(manifest, "app", f"1.{number}")
    summary = await light.run(all=True, newest=2)
    assert light.tags_there("app") == ["1.10", "1.11"]
    assert (summary.done, summary.scan.filtered) == (2, 10)
    assert all("/blobs/" not in t or "sha256" in t for t in light.read("GET"))


async def test_one_platform_of_an_index(light: ImageBench) -> None:
    index, plain = oci.multi_platform("platform"), oci.image("plain", platform=oci.ARM64)
    nested = oci.nested_index("platform")
    light.push(index, "index", "1")
    light.push(nested, "nested", "1")
    light.push(plain, "plain", "1")
    light.push(oci.multi_platform("other", platforms=(oci.ARM,)), "other", "1")
    summary = await light.run(all=True, platform="linux/arm64")
    assert (summary.status, summary.done, summary.scan.filtered) == (RunState.SUCCEEDED, 3, 1)
    assert light.there("index", "1") == index.children[1].digest
    assert light.there("nested", "1") == nested.children[0].children[1].digest
    assert light.there("plain", "1") == plain.digest
    assert any("not for linux/arm64" in line for line in light.talk)
    again = await light.run(all=True, platform="linux/arm64")
    assert (again.done, again.scan.same) == (0, 3)


async def test_a_named_image_that_is_not_for_the_platform_fails_alone(light: ImageBench) -> None:
    light.push(oci.multi_platform("a", platforms=(oci.ARM, oci.AMD64)), "app", "1")
    light.push(oci.multi_platform("b", platforms=(oci.ARM,)), "app", "2")
    summary = await light.run(images="app:1,app:2", platform="linux/amd64")
    assert (summary.status, summary.done, summary.failed, summary.faults) == (
        RunState.COMPLETED_WITH_FAILURES, 1, 1, (),
    )  # fmt: skip
    row = rows_of(summary)[f"{light.name}/app:2"]
    assert row["code"] == "no_platform"
    assert "linux/amd64" in row["message"]


# What belongs to images


async def test_signatures_go_with_their_images(light: ImageBench) -> None:
    images = oci.family("signed", 2, layer_bytes=256)
    signatures = [oci.artifact(f"signature {n}") for n in range(2)]
    for number, (made, signature) in enumerate(zip(images, signatures, strict=True)):
        light.push(made, "app", f"{number}")
        light.push(signature, "app", f"{oci.referrers_tag(made)}.sig")
    await light.run(all=True, include=("app:1",))
    assert light.tags_there("app") == ["1", f"{oci.referrers_tag(images[1])}.sig"]
    await light.run(images="app:0")
    assert light.there("app", f"{oci.referrers_tag(images[0])}.sig") == signatures[0].digest


async def test_referrers_go_along_where_they_are_wanted(light: ImageBench) -> None:
    made = oci.multi_platform("subject", platforms=(oci.AMD64,))
    sbom = oci.artifact("sbom", made)
    signature = oci.artifact("signature", sbom)
    light.push(made, "app", "1")
    for subject, referrer in ((made, sbom), (sbom, signature)):
        light.push(oci.referrers_index([referrer]), "app", oci.referrers_tag(subject))
    plain = await light.run(images="app:1")
    assert (plain.done, light.there("app", sbom.digest)) == (1, None)
    wanted = await light.run(images="app:1", referrers=True)
    assert (wanted.status, wanted.done, wanted.scan.same) == (RunState.SUCCEEDED, 2, 1)
    held = light.destination.manifest(f"{light.name}/app", oci.referrers_tag(made))
    assert held is not None
    assert sbom.digest.encode() in held.content
    assert light.there("app", signature.digest) == signature.digest
    again = await light.run(images="app:1", referrers=True)
    assert (again.done, again.scan.same) == (0, 3)


async def test_all_of_a_registry_with_its_referrers_comes_to_rest(light: ImageBench) -> None:
    made = oci.image("rest")
    sbom = oci.artifact("sbom", made)
    light.push(made, "app", "1")
    light.push(oci.referrers_index([sbom]), "app", oci.referrers_tag(made))
    first = await light.run(all=True, referrers=True)
    again = await light.run(all=True, referrers=True)
    assert (first.failed, again.done, again.scan.extra) == (0, 0, 0)
    assert light.there("app", sbom.digest) == sbom.digest


# What only Amazon ECR tells


class Told(OciRepositories):
    """Lists also images without a tag, and when each was pushed."""

    untagged: ClassVar[list[oci.Manifest]] = []

    async def images(
        self, name: str, *, wanted: Callable[[str], bool]
    ) -> AsyncIterator[ListedImage]:
        day = datetime(2026, 1, 1, tzinfo=UTC)
        async for image in super().images(name, wanted=wanted):
            yield replace(image, pushed_at=day - timedelta(days=int(image.tags[0])))
        for manifest in self.untagged:
            yield ListedImage(digest=Digest(manifest.digest), media_type=manifest.media_type)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"untagged": True}, ["lonely"]),
        ({"index_children": True}, ["child"]),
        ({"untagged": True, "index_children": True}, ["child", "lonely"]),
    ],
)
async def test_images_without_a_tag_are_told_apart(
    light: ImageBench, values: dict[str, bool], expected: list[str]
) -> None:
    index = oci.multi_platform("apart", platforms=(oci.AMD64,))
    lonely = oci.image("lonely")
    sbom = oci.artifact("sbom", lonely)
    light.push(index, "app", "1")
    for manifest in (lonely, sbom):
        light.push(manifest, "app")
    light.listing = Told
    Told.untagged = [index.children[0], lonely, sbom]
    plan = await light.plan(all=True, exclude=("*:1",), **values)
    names = {index.children[0].digest: "child", lonely.digest: "lonely", sbom.digest: "sbom"}
    assert sorted(names[row.digest] for row in plan.rows) == expected


async def test_the_newest_by_push_are_taken(light: ImageBench) -> None:
    for number, manifest in enumerate(oci.family("pushed", 5, layer_bytes=256)):
        light.push(manifest, "app", f"{number}")
    light.listing, Told.untagged = Told, []
    await light.run(all=True, newest=2)
    assert light.tags_there("app") == ["0", "1"]


# What is there in another way


async def test_in_one_registry_blobs_are_lent_and_not_sent(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    with bench_between(registry, registry, tmp_path) as bench:
        bench.push(made := oci.multi_platform("lent"), "app", "1")
        bench.after = bench.before
        into = bench.before.url.removeprefix("http://")
        summary = await bench.run(all=True, destination=f"{into}/copy/{bench.name}")
        assert (summary.done, summary.bytes) == (1, 0)
        (row,) = rows_of(summary).values()
        assert f"{len(made.all_blobs)} mounted" in row["note"]
        there = bench.destination.digest(f"copy/{bench.name}/app", "1")
        assert there == made.digest
        assert bench.uploaded() == []


async def test_blobs_of_tags_that_filters_leave_out_are_not_sent_again(light: ImageBench) -> None:
    old, new = oci.family("covered", 2, layer_bytes=2_000)
    light.push_there(old, "app", "old")
    light.push(new, "app", "new")
    summary = await light.run(all=True, include=("app:new",))
    own = [b for digest, b in new.all_blobs.items() if digest not in old.all_blobs]
    assert summary.bytes == sum(len(blob.content) for blob in own)


async def test_a_second_tag_is_a_copy_where_the_first_one_failed(light: ImageBench) -> None:
    made = oci.multi_platform("second")
    light.push(made, "app", "1", "2")
    denied = Status(status=403, code="DENIED", message="not this tag")
    light.after.add(denied, method="PUT", path="/manifests/1$")
    light.attempts = 1
    summary = await light.run()
    assert (summary.done, summary.failed, light.there("app", "2")) == (1, 1, made.digest)
    for below in made.tree:
        assert light.there("app", below.digest) == below.digest


# What cannot be copied


@pytest.mark.parametrize(
    ("side", "told"), [("before", "Looking at"), ("after", "was written, and the destination")]
)
async def test_a_tag_that_cannot_be_looked_at_fails_alone(
    light: ImageBench, side: str, told: str
) -> None:
    for number, manifest in enumerate(oci.family(f"look {side}", 4, layer_bytes=256)):
        light.push(manifest, "app", f"{number}")
        light.push_there(manifest, "app", f"{number}")
    light.push(oci.image("fresh"), "app", "fresh")
    broken = Status(status=500, code="UNKNOWN", message="damaged")
    getattr(light, side).add(broken, method="HEAD", path="/manifests/2$")
    light.attempts, light.patience = 1, 0.2
    summary = await light.run(all=True, prune=True)
    assert (summary.done, summary.failed, summary.scan.same, summary.faults) == (1, 1, 3, ())
    assert summary.scan.extra == 0
    row = rows_of(summary)[f"{light.name}/app:2"]
    assert told in row["message"]


class Immutable(OciRepositories):
    """No tag may be moved, as in Amazon ECR."""

    async def rule(self, name: str) -> TagRule | None:
        return TagRule(immutable=True)


async def test_an_immutable_tag_is_no_failure(light: ImageBench) -> None:
    old, new = oci.family("immutable", 2, layer_bytes=256)
    light.push_there(old, "app", "1")
    light.push(new, "app", "1", "2")
    light.repositories = Immutable
    summary = await light.run()
    assert (summary.status, summary.done, summary.skipped) == (RunState.SUCCEEDED, 1, 1)
    assert (light.there("app", "1"), light.there("app", "2")) == (old.digest, new.digest)
    row = rows_of(summary)[f"{light.name}/app:1"]
    assert row["code"] == "immutable_tag"
    assert old.digest in row["note"]
    assert any("immutable" in line for line in light.talk)


@pytest.mark.parametrize("same", [False, True])
async def test_a_tag_that_proves_immutable_is_no_failure(light: ImageBench, same: bool) -> None:
    old, new = oci.family(f"proves {same}", 2, layer_bytes=256)
    light.push_there(old, "app", "1")
    light.push(new, "app", "1")
    plan = await light.plan()
    if same:
        light.push_there(new, "app", "1")
    refused = Status(status=400, code="TAG_INVALID", message="the tag is immutable")
    light.after.add(refused, method="PUT", path=r"/manifests/1$")
    replication = light.replication()
    (transfer,) = plan.transfers()
    copied = await replication.copy(transfer)
    await replication.aclose()
    expected = ("done", "") if same else ("skipped", "immutable_tag")
    assert (copied.state.value, copied.code) == expected


async def test_what_a_list_names_in_vain_is_said_and_the_others_go_on(light: ImageBench) -> None:
    light.push(oci.image("vain"), "app", "1")
    missing = oci.digest_of(b"nothing")
    images = f"app:1, app:9, app@{missing}, nothing:1, none:ALL_TAGS"
    summary = await light.run(images=images)
    assert (summary.status, summary.done, summary.vanished, summary.failed, summary.faults) == (
        RunState.COMPLETED_WITH_FAILURES, 1, 0, 4, (),
    )  # fmt: skip
    rows = rows_of(summary)
    assert rows[f"{light.name}/none"]["code"] == "no_repository"
    assert rows[f"{light.name}/app:9"]["code"] == "not_found"
    assert "app:9; check its name" in rows[f"{light.name}/app:9"]["message"]
    assert any("names it: 3 images" in line for line in light.talk)


async def test_a_repository_that_cannot_be_listed_fails_alone_and_can_be_tried_again(
    light: ImageBench,
) -> None:
    made = oci.family("closed", 3, layer_bytes=256)
    light.push(made[0], "open", "1")
    light.push(made[1], "shut", "1")
    light.push(made[2], "shut", "2")
    denied = Status(status=403, code="DENIED", message="no")
    rule = light.before.add(denied, path="/shut/tags/list")
    summary = await light.run("r")
    assert (summary.status, summary.done, summary.failed, summary.faults) == (
        RunState.COMPLETED_WITH_FAILURES, 1, 1, (),
    )  # fmt: skip
    row = rows_of(summary)[f"{light.name}/shut"]
    assert (row["code"], "shut" in row["message"]) == ("denied", True)
    light.before.remove(rule)
    damaged = light.before.add(denied, method="HEAD", path="/shut/manifests/1$")
    assert await light.ledger.redrive(RunId("r")) == 1
    again = await light.run("r")
    assert (again.status, light.tags_there("shut")) == (RunState.COMPLETED_WITH_FAILURES, ["2"])
    light.before.remove(damaged)
    await light.ledger.redrive(RunId("r"))
    last = await light.run("r")
    assert (last.status, last.done) == (RunState.SUCCEEDED, 2)
    assert light.tags_there("shut") == ["1", "2"]


async def test_what_is_named_beside_a_repository_that_cannot_be_listed_is_not_forgotten(
    light: ImageBench,
) -> None:
    made = oci.family("beside", 2, layer_bytes=256)
    light.push(made[0], "shut", "1")
    light.push(made[1], "shut")
    denied = Status(status=403, code="DENIED", message="no")
    light.before.add(denied, path="/shut/tags/list")
    summary = await light.run(images=f"shut:ALL_TAGS, shut@{made[1].digest}")
    assert (summary.done, summary.failed) == (1, 1)
    assert light.there("shut", made[1].digest) == made[1].digest


class Refusing(OciRepositories):
    """Wants repositories to be created, and does not do so for every name."""

    made: ClassVar[set[str]] = set()

    async def rule(self, name: str) -> TagRule | None:
        return TagRule() if name in self.made else None

    async def create(self, name: str) -> None:
        if name.endswith("/no"):
            raise DeniedError(f"Creating {name} failed: grant ecr:CreateRepository.")
        self.made.add(name)


async def test_a_repository_that_cannot_be_created_fails_its_images_alone(
    light: ImageBench,
) -> None:
    light.repositories = Refusing
    for number, manifest in enumerate(oci.family("created", 4, layer_bytes=256)):
        light.push(manifest, ("yes", "no")[number % 2], f"{number}")
    summary = await light.run()
    assert (summary.done, summary.failed, summary.faults) == (2, 2, ())
    failed = [row for row in rows_of(summary).values() if row["state"] == "failed"]
    assert {row["message"] for row in failed} == {
        f"Creating {light.name}/no failed: grant ecr:CreateRepository."
    }
    assert Refusing.made == {f"{light.name}/yes"}


async def test_two_repositories_for_one_name_stop_it_before_anything_is_changed(
    light: ImageBench,
) -> None:
    light.push(oci.image("a"), "a", "1")
    light.push(oci.image("b"), "b", "1")
    with pytest.raises(InputError, match="both go to"):
        await light.run(all=True, rename={"a": "x", "b": "x"})
    assert light.written("PUT") == []


# What the destination alone has


async def test_extra_tags_are_reported_and_deleted_only_when_asked(light: ImageBench) -> None:
    made = oci.family("extra", 3, layer_bytes=256)
    for number in range(3):
        light.push_there(made[number], "app", f"{number}")
    light.push_there(made[0], "app", "alias")
    light.push(made[0], "app", "0")
    reported = await light.run()
    assert (reported.scan.extra, reported.deleted) == (3, 0)
    with pytest.raises(GuardError):
        await light.run(all=True, prune=True)
    assert light.tags_there("app") == ["0", "1", "2", "alias"]
    pruned = await light.run(all=True, prune=True, max_delete_percent=100)
    # Docker's registry 2.8 cannot take one tag of several from an image.
    assert (pruned.deleted, pruned.delete_failed, pruned.faults) == (2, 1, ())
    assert light.tags_there("app") == ["0", "alias"]
    assert rows_of(pruned)[f"{light.name}/app:alias"]["code"] == "unsupported"


async def test_a_tag_that_was_moved_meanwhile_is_not_deleted(light: ImageBench) -> None:
    first, second = oci.family("meanwhile", 2, layer_bytes=256)
    light.push_there(first, "app", "1")
    light.push(second, "app", "2")
    plan = await light.plan()
    light.push_there(second, "app", "1")
    extra = [t for t in plan.transfers() if t.key.endswith("app:1")]
    replication = light.replication()
    failed = await replication.delete(extra)
    await replication.aclose()
    assert [error.code for error in failed.values()] == ["changed"]
    assert light.there("app", "1") == second.digest


# Ending early


async def test_a_run_that_was_stopped_goes_on_where_it_was(bench: ImageBench) -> None:
    for number, manifest in enumerate(oci.family("stop", 60, layer_bytes=1024)):
        bench.push(manifest, f"r{number % 5}", f"{number}")
    stop = asyncio.Event()

    loop, puts = asyncio.get_running_loop(), itertools.count(1)

    def stop_soon(_: Request) -> bool:
        if next(puts) == 12:
            loop.call_soon_threadsafe(stop.set)
        return False

    bench.after.add(Reset(), method="PUT", path="/manifests/", when=stop_soon)
    first = await bench.run("r", stop=stop)
    assert first.status is RunState.CANCELLED
    assert 0 < first.done < 60
    listed = len(bench.read("GET", "tags/list"))
    second = await bench.run("r")
    assert (second.status, second.done, second.faults) == (RunState.SUCCEEDED, 60, ())
    assert len(bench.read("GET", "tags/list")) == listed
    assert len(set(bench.written("PUT", "/manifests/"))) == 60
    assert set(Counter(bench.uploaded()).values()) == {1}


class Dying(MemoryLedger):
    """As if the process had died before the last batch."""

    dies = True

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        if self.dies:
            shards = [replace(shard, done=False) for shard in shards]
        return await super().record(run, transfers, shards)


async def test_a_plan_that_was_half_written_is_made_anew(light: ImageBench) -> None:
    light.push(oci.image("half"), "app", "1")

    ledger = Dying()
    replication = light.replication()
    await replication.find(RunId("r"), ledger, light.folder, light.talk.append)
    ledger.dies = False
    light.push(oci.image("other"), "app", "2")
    await replication.find(RunId("r"), ledger, light.folder, light.talk.append)
    await replication.aclose()
    totals = await ledger.totals(RunId("r"))
    assert (totals.shards, totals.shards_done, totals.open) == (1, 1, 2)


async def test_a_dry_look_changes_nothing_and_says_what_it_would(light: ImageBench) -> None:
    old, new = oci.family("dry", 2, layers=1, layer_bytes=512)
    light.push(old, "app", "1")
    await light.run()
    light.push(new, "app", "1", "2")
    light.clear()
    plan = await light.plan()
    assert short(plan.rows, light.name) == ["copy app:1", "retag app:2"]
    own = [blob for digest, blob in new.all_blobs.items() if digest not in old.all_blobs]
    assert plan.upload_bytes == sum(len(blob.content) for blob in own)
    assert {seen.method for seen in light.after.seen} == {"GET", "HEAD"}
