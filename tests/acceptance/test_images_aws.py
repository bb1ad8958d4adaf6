"""A run of images whose state is on AWS: killed, gone on with, redriven."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.image_sets import Held, heavy, heavy_index
from tests.acceptance.image_trial import UNKNOWN, Trial, tried
from tests.acceptance.images import Images
from tests.acceptance.processes import wait_until
from tests.servers.oci_images import image, multi_platform
from tests.servers.rules import Latency

pytestmark = pytest.mark.registries

HELD = [
    *(Held(repository=f"r{n % 3}", manifest=image(f"aws {n}"), tags=(f"{n}",)) for n in range(16)),
    Held(repository="app", manifest=multi_platform("aws", attested=True), tags=("1", "latest")),
    Held(repository="large", manifest=heavy("aws"), tags=("1",)),
    Held(repository="large", manifest=heavy_index("aws"), tags=("2",)),
]


@pytest.fixture
def trial(images: Images, aws: Aws) -> Iterator[Trial]:
    with tried(replace(images, dth=aws.used_by(images.dth))) as trial:
        yield trial


def test_a_killed_run_goes_on_where_it_was(trial: Trial) -> None:
    trial.push(HELD)
    trial.after.add(Latency(0.1))
    folder = trial.images.destination.folder
    with trial.start() as running:
        wait_until(
            lambda: sum(len(trial.images.destination.tags(f"r{n}")) for n in range(3)) > 3,
            f"some images in {folder}",
        )
        running.kill_all()
    ended = trial.run()
    trial.assert_copied(ended, HELD)
    assert trial.run()["same"] == ended["scanned_source"]


def test_what_failed_is_redriven(trial: Trial) -> None:
    trial.push(HELD[:6])
    brief = replace(trial, images=replace(trial.images, dth=trial.dth.having(DTH_PATIENCE="1s")))
    rule = trial.after.add(UNKNOWN, path="/r1/blobs/")
    ended = brief.run("--attempts", 1, code=1)
    assert (ended["done"], ended["failed"]) == (4, 2)
    trial.after.remove(rule)
    trial.assert_copied(trial.redrive(), HELD[:6])
