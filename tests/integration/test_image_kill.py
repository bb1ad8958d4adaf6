"""A process that replicates images is killed again and again, and the next one goes on."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.image_bench import ImageBench, bench_between
from tests.servers import oci_images as oci
from tests.servers.docker_registry import DockerRegistry
from tests.servers.rules import Latency

pytestmark = pytest.mark.registries

_PATIENCE_S = 60


async def start(bench: ImageBench) -> asyncio.subprocess.Process:
    hosts = [proxy.url.removeprefix("http://") for proxy in (bench.before, bench.after)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.image_process",
        f"sqlite:///{bench.folder}/state.sqlite3",
        str(bench.folder / "run"),
        *(f"{host}/{bench.name}" for host in hosts),
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/uploads/"])
async def test_what_was_done_before_a_kill_stays_done(
    registry: DockerRegistry, registry_b: DockerRegistry, tmp_path: Path, part: str
) -> None:
    with bench_between(registry, registry_b, tmp_path) as bench:
        pushed = {}
        for number, manifest in enumerate(oci.family(f"kill {part}", 80, layer_bytes=4_000)):
            bench.push(manifest, f"r{number % 5}", f"{number}")
            pushed[f"r{number % 5}", f"{number}"] = manifest.digest
        bench.after.add(Latency(0.02), method="PUT")
        for kills in range(1, 4):
            process = await start(bench)
            async with asyncio.timeout(_PATIENCE_S):
                while len(bench.written("PUT", part)) < 20 * kills:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        last = await start(bench)
        async with asyncio.timeout(_PATIENCE_S):
            told, _ = await last.communicate()
        assert told.decode() == "succeeded 80 0 ()"
        assert {at: bench.there(*at) for at in pushed} == pushed
        # A kill loses what was under way, ten images at most.
        again = Counter(bench.written("PUT", "/manifests/"))
        assert sum(again.values()) <= 80 + 3 * 2 * 10
