"""`Skopeo` copies images between real registries and leaves nothing behind."""

import asyncio
import base64
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.skopeo_ends import (
    LIMIT,
    Lane,
    end_of,
    lane_between,
    open_skopeo,
    running,
    wait_until_gone,
)
from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import (
    ARM64,
    Manifest,
    artifact,
    family,
    image,
    multi_platform,
)
from tests.servers.pusher import Pusher
from tests.servers.rules import Hold
from transferhub.errors import DeniedError, TransientError
from transferhub.registries import Digest, Login, Platform
from transferhub.registries.skopeo import Carriage, Skopeo

pytestmark = pytest.mark.registries

LOGIN = Login(user=ACCOUNT.user, password=ACCOUNT.secret)
KINDS = {
    "image": image("one"),
    "docker": image("one", docker=True),
    "index": multi_platform("many"),
    "docker list": multi_platform("many", docker=True),
    "attested": multi_platform("proven", attested=True),
    "artifact": artifact("sbom", image("one")),
}


@pytest.fixture
async def skopeo(tmp_path: Path) -> Skopeo:
    return await open_skopeo(tmp_path)


@pytest.fixture
def lane(
    skopeo: Skopeo, registry: DockerRegistry, registry_b: DockerRegistry, tmp_path: Path
) -> Iterator[Lane]:
    with lane_between(skopeo, registry, registry_b, tmp_path / "private") as lane:
        yield lane


class TestWhatIsCopied:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_every_kind_of_image_keeps_its_digest(
        self, kind: str, lane: Lane, pusher: Pusher, pusher_b: Pusher
    ) -> None:
        made = KINDS[kind]
        pusher.push(made, lane.source.repository)
        carried = await lane.copy(made)
        held = pusher_b.manifest(lane.destination.repository, "v1")
        assert held is not None
        assert (held.content, held.digest) == (made.content, made.digest)
        assert carried.digest == made.digest
        assert all(pusher_b.digest(lane.destination.repository, m.digest) for m in made.tree)

    async def test_what_a_tag_was_moved_to_since_is_not_copied(
        self, lane: Lane, pusher: Pusher, pusher_b: Pusher
    ) -> None:
        planned, moved = image("planned"), image("moved")
        pusher.push(planned, lane.source.repository, "v1")
        pusher.push(moved, lane.source.repository, "v1")
        await lane.copy(planned)
        assert pusher_b.digest(lane.destination.repository, "v1") == planned.digest

    async def test_a_destination_can_be_a_digest(
        self, lane: Lane, pusher: Pusher, pusher_b: Pusher
    ) -> None:
        made = multi_platform("untagged")
        pusher.push(made, lane.source.repository)
        await lane.copy(made, made.digest)
        assert pusher_b.digest(lane.destination.repository, made.digest) == made.digest
        assert pusher_b.tags(lane.destination.repository) == []

    async def test_one_platform_is_copied_alone(
        self, lane: Lane, pusher: Pusher, pusher_b: Pusher
    ) -> None:
        made = multi_platform("some")
        pusher.push(made, lane.source.repository)
        chosen = Platform(os=ARM64.os, architecture=ARM64.architecture, variant=ARM64.variant)
        carriage = replace(lane.carriage(made), platform=chosen)
        carried = await lane.skopeo.copy(carriage, time_limit=LIMIT)
        (wanted,) = (child for child in made.children if child.platform == ARM64)
        assert carried.digest == wanted.digest
        assert pusher_b.digest(lane.destination.repository, "v1") == wanted.digest

    async def test_within_one_registry(
        self, skopeo: Skopeo, lane: Lane, registry: DockerRegistry, pusher: Pusher
    ) -> None:
        made = image("near")
        pusher.push(made, lane.name)
        carriage = Carriage(
            source=end_of(registry, lane.name),
            digest=Digest(made.digest),
            destination=end_of(registry, f"{lane.name}/near"),
            reference="v1",
        )
        await skopeo.copy(carriage, time_limit=LIMIT)
        assert pusher.digest(f"{lane.name}/near", "v1") == made.digest


class TestWhatIsSent:
    async def test_a_first_copy_uploads_each_blob_once(self, lane: Lane, pusher: Pusher) -> None:
        made = multi_platform("first", base=family("base", 1)[0].blobs[1:])
        pusher.push(made, lane.source.repository)
        carried = await lane.copy(made)
        assert carried.uploaded == made.all_blobs.keys()
        assert len(lane.sent("PUT", "/blobs/")) == len(made.all_blobs)
        assert not carried.mounted
        assert not carried.present

    async def test_layers_of_another_repository_are_mounted(
        self, lane: Lane, pusher: Pusher
    ) -> None:
        first, second = family("sibling", 2)
        for made in (first, second):
            pusher.push(made, lane.source.repository)
        await lane.copy(first)
        lane.destination_proxy.clear()
        elsewhere = replace(lane.destination, repository=f"{lane.name}/sibling")
        carriage = replace(lane.carriage(second), destination=elsewhere)
        carried = await lane.skopeo.copy(carriage, time_limit=LIMIT)
        shared = first.all_blobs.keys() & second.all_blobs.keys()
        assert carried.mounted == shared
        assert carried.uploaded == second.all_blobs.keys() - shared
        assert len(lane.sent("POST", "mount=")) == len(shared)
        assert len(lane.sent("PUT", "/blobs/")) == len(carried.uploaded)

    async def test_layers_of_the_repository_are_skipped(self, lane: Lane, pusher: Pusher) -> None:
        first, second = family("twin", 2)
        for made in (first, second):
            pusher.push(made, lane.source.repository)
        await lane.copy(first)
        lane.destination_proxy.clear()
        carried = await lane.copy(second, "v2")
        shared = first.all_blobs.keys() & second.all_blobs.keys()
        assert carried.present == shared
        assert carried.uploaded == second.all_blobs.keys() - shared
        assert len(lane.sent("PUT", "/blobs/")) == len(carried.uploaded)

    async def test_a_copy_again_sends_the_manifest_alone(self, lane: Lane, pusher: Pusher) -> None:
        made = image("again")
        pusher.push(made, lane.source.repository)
        await lane.copy(made)
        lane.destination_proxy.clear()
        await lane.copy(made)
        assert len(lane.sent("PUT")) == 1
        assert not lane.sent("POST")

    async def test_many_at_once_share_the_cache(
        self, lane: Lane, pusher: Pusher, pusher_b: Pusher
    ) -> None:
        made = family("crowd", 6, layer_bytes=4096)
        for one in made:
            pusher.push(one, lane.source.repository)

        async def copied(one: Manifest, tag: str) -> None:
            try:
                await lane.copy(one, tag)
            except TransientError:
                # While a layer is linked by another copy, Docker's registry answers with a 500.
                await lane.copy(one, tag)

        async with asyncio.TaskGroup() as tasks:
            for n, one in enumerate(made):
                tasks.create_task(copied(one, f"v{n}"))
        assert len(pusher_b.tags(lane.destination.repository)) == len(made)

    async def test_a_damaged_cache_costs_no_copy(
        self, lane: Lane, pusher: Pusher, tmp_path: Path
    ) -> None:
        first, second = family("hurt", 2)
        for made in (first, second):
            pusher.push(made, lane.source.repository)
        await lane.copy(first)
        (database,) = (tmp_path / "cache").rglob("blob-info-cache*")
        database.write_bytes(b"not a database")
        carried = await lane.copy(second, "v2")
        assert carried.digest == second.digest


class TestLogins:
    async def test_tls_and_a_password_on_one_side_only(
        self, skopeo: Skopeo, lane: Lane, registry_https: DockerRegistry, pusher: Pusher
    ) -> None:
        made = multi_platform("guarded")
        pusher.push(made, lane.source.repository)
        guarded = end_of(registry_https, lane.name, LOGIN)
        await skopeo.copy(replace(lane.carriage(made), destination=guarded), time_limit=LIMIT)
        back = replace(lane.carriage(made), source=guarded)
        await skopeo.copy(back, time_limit=LIMIT)
        with registry_https.pusher() as owner:
            assert owner.digest(lane.name, "v1") == made.digest

    @pytest.mark.parametrize("login", [None, replace(LOGIN, password="wr0ng-secret")])
    @pytest.mark.parametrize("side", ["source", "destination"])
    async def test_a_wrong_login_is_told_and_not_shown(
        self,
        side: str,
        login: Login | None,
        skopeo: Skopeo,
        lane: Lane,
        registry_https: DockerRegistry,
        pusher: Pusher,
    ) -> None:
        made = image("kept out")
        pusher.push(made, lane.source.repository)
        guarded = end_of(registry_https, lane.name, login)
        plain = lane.carriage(made)
        carriage = (
            replace(plain, source=guarded)
            if side == "source"
            else replace(plain, destination=guarded)
        )
        with pytest.raises(DeniedError, match=registry_https.host) as caught:
            await skopeo.copy(carriage, time_limit=LIMIT)
        assert (caught.value.status, caught.value.code) == (401, "denied")
        assert "wr0ng" not in caught.value.message

    async def test_the_persons_own_logins_are_not_used(
        self, lane: Lane, registry_https: DockerRegistry, tmp_path: Path, pusher: Pusher,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        made = image("private")
        pusher.push(made, lane.source.repository)
        pair = base64.b64encode(f"{ACCOUNT.user}:{ACCOUNT.secret}".encode()).decode()
        own = tmp_path / "auth.json"
        own.write_text(f'{{"auths": {{"{registry_https.host}": {{"auth": "{pair}"}}}}}}')
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(own))
        skopeo = await open_skopeo(tmp_path)
        guarded = end_of(registry_https, lane.name)
        with pytest.raises(DeniedError):
            await skopeo.copy(replace(lane.carriage(made), destination=guarded), time_limit=LIMIT)

    async def test_no_secret_is_where_others_can_read_it(
        self, skopeo: Skopeo, lane: Lane, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-env-secret")
        made = image("watched")
        pusher.push(made, lane.source.repository)
        hold = Hold()
        lane.source_proxy.add(hold, method="GET", path="/manifests/")
        secret = Login(user="watcher", password="pa55-w0rd")
        end = replace(lane.source, login=secret)
        task = asyncio.create_task(
            skopeo.copy(replace(lane.carriage(made), source=end), time_limit=LIMIT)
        )
        await asyncio.to_thread(hold.wait)
        try:
            (pid,) = running(lane.source.repository)
            shown = b"".join(
                Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")
            )
            files = [path for path in lane.private.rglob("*") if path.is_file()]
            holders = [path for path in files if b"auths" in path.read_bytes()]
            modes = {stat.S_IMODE(path.stat().st_mode) for path in holders}
            folders = {stat.S_IMODE(path.stat().st_mode) for path in lane.private.iterdir()}
        finally:
            hold.release()
        await task
        for word in (b"pa55-w0rd", base64.b64encode(b"watcher:pa55-w0rd"), b"an-env-secret"):
            assert word not in shown
        assert len(holders) == 2
        assert modes == {0o600}
        assert folders == {0o700}
        assert not list(lane.private.iterdir())


class TestEndings:
    async def start(self, lane: Lane, pusher: Pusher) -> tuple["asyncio.Task[object]", Hold]:
        """A copy that hangs in the middle of its blobs."""
        made = image("hung")
        pusher.push(made, lane.source.repository)
        hold = Hold()
        lane.destination_proxy.add(hold, method="PATCH")
        task: asyncio.Task[object] = asyncio.create_task(lane.copy(made))
        await asyncio.to_thread(hold.wait)
        return task, hold

    async def test_cancelling_leaves_no_process_and_no_file(
        self, lane: Lane, pusher: Pusher
    ) -> None:
        task, hold = await self.start(lane, pusher)
        assert len(running(lane.destination.repository)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.release()
        assert not running(lane.destination.repository)
        assert not list(lane.private.iterdir())

    async def test_the_time_limit_leaves_no_process_and_no_file(
        self, lane: Lane, pusher: Pusher
    ) -> None:
        lane.limit = timedelta(seconds=2)
        task, hold = await self.start(lane, pusher)
        with pytest.raises(TransientError, match="was ended after 2 seconds") as caught:
            await task
        hold.release()
        assert caught.value.code == "timeout"
        assert not running(lane.destination.repository)
        assert not list(lane.private.iterdir())

    async def test_one_that_is_killed_is_tried_again(self, lane: Lane, pusher: Pusher) -> None:
        task, hold = await self.start(lane, pusher)
        (pid,) = running(lane.destination.repository)
        await asyncio.to_thread(subprocess.run, ["kill", "-KILL", str(pid)], check=True)
        with pytest.raises(TransientError, match="signal 9 ended it"):
            await task
        hold.release()
        assert not list(lane.private.iterdir())

    async def test_it_dies_with_a_killed_worker_whose_files_the_next_copy_removes(
        self, lane: Lane, pusher: Pusher, tmp_path: Path
    ) -> None:
        made = image("orphan")
        pusher.push(made, lane.source.repository)
        hold = Hold()
        lane.source_proxy.add(hold, method="GET", path="/manifests/")
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.skopeo_worker",
            str(tmp_path),
            lane.source.registry.host,
            lane.source.repository,
            made.digest,
            lane.destination.registry.host,
            lane.destination.repository,
        )
        await asyncio.to_thread(hold.wait)
        assert len(list(lane.private.iterdir())) == 1
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        await asyncio.to_thread(wait_until_gone, lane.destination.repository)
        hold.release()
        assert len(list(lane.private.iterdir())) == 1
        await lane.copy(made)
        assert not list(lane.private.iterdir())

    async def test_files_of_a_copy_that_runs_stay(self, lane: Lane, pusher: Pusher) -> None:
        task, hold = await self.start(lane, pusher)
        other: Manifest = image("beside")
        pusher.push(other, lane.source.repository)
        lane.destination_proxy.add(hold, method="HEAD")
        beside = asyncio.create_task(lane.copy(other, "v2"))
        while len(list(lane.private.iterdir())) < 2:  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)
        hold.release()
        await asyncio.gather(task, beside)
