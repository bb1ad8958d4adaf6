import os
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import find_program
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, RunError
from transferhub.hosts.credentials import Lent, Origin
from transferhub.hosts.image_parameter import parameter_place
from transferhub.hosts.images import ImagesKind, skopeo_in
from transferhub.plugins.images.spec import ImagesSpec

KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "hunter2"}
KEY_VARIABLES = {"DTH_SOURCE_ACCESS_KEY_ID": "a-key", "DTH_SOURCE_SECRET_ACCESS_KEY": "hunter2"}
LISTED = "/lists/images"


def spec(source: Any = "ghcr.io", destination: Any = "quay.io", **more: Any) -> ImagesSpec:
    more = more or {"images_parameter": LISTED}
    return ImagesKind().parse({"source": source, "destination": destination, **more})


def test_a_run_is_as_fast_and_as_patient_as_its_task_says() -> None:
    task = spec(images="a", concurrency=3, attempts=2)
    tuned = ImagesKind().tuned(task, Tuning(processes=8, concurrency=64, attempts=5))
    assert (tuned.processes, tuned.concurrency, tuned.attempts) == (1, 3, 2)
    assert ImagesKind().tuned(task, Tuning(concurrency=1)).concurrency == 1
    assert ImagesKind().parse(task.to_json()) == task


async def test_what_is_wrong_with_a_login_is_told_when_a_task_is_opened(tmp_path: Path) -> None:
    task = spec({"url": "ghcr.io", "credentials_file": str(tmp_path / "absent")}, images="a")
    with pytest.raises(InputError, match=r"source_credentials_file: .*absent"):
        ImagesKind().open(task, Tuning(), {}, folder=tmp_path)


def test_what_the_user_should_mend_is_told(tmp_path: Path) -> None:
    path = tmp_path / "login.json"
    path.write_text('{"user": "me", "password": "hunter2"}')
    path.chmod(0o644)
    task = spec({"url": "ghcr.io", "credentials_file": str(path)}, images="a")
    (warning,) = ImagesKind().warnings(task, {})
    assert "chmod 600" in warning
    (warning,) = ImagesKind().warnings(spec("public", images="ghcr.io/a"), {"DTH_SOURCE_USER": "u"})
    assert "shown to no registry" in warning


@pytest.mark.registries
async def test_skopeo_is_looked_for_until_it_is_found(tmp_path: Path) -> None:
    find_program("skopeo", install="apt-get install skopeo")
    env = {"PATH": str(tmp_path)}
    skopeo = skopeo_in(tmp_path, env)
    for _ in range(2):
        with pytest.raises(RunError) as caught:
            await skopeo()
        assert caught.value.code == "no_skopeo"
    env["PATH"] = os.environ["PATH"]
    found = await skopeo()
    env["PATH"] = ""
    assert await skopeo() is found


# Who asks for an SSM parameter


@pytest.mark.parametrize(
    ("places", "env", "region", "origin"),
    [
        (("ecr://eu-west-1", "ghcr.io"), {}, "eu-west-1", Origin.CHAIN),
        (("ghcr.io", "ecr://eu-west-2"), {}, "eu-west-2", Origin.CHAIN),
        (("ecr://eu-west-1", "ecr://eu-west-2"), {}, "eu-west-1", Origin.CHAIN),
        (("ecr://eu-west-1", "ecr://eu-west-2"), KEY_VARIABLES, "eu-west-2", Origin.CHAIN),
        (("ecr://eu-west-1", "ghcr.io"), KEY_VARIABLES, "eu-west-1", Origin.VARIABLES),
        (("docker.io", "ghcr.io"), {"AWS_REGION": "sa-east-1"}, "sa-east-1", Origin.CHAIN),
    ],
)
def test_a_parameter_lies_where_whoever_works_with_it_is(
    places: tuple[str, str], env: dict[str, str], region: str, origin: Origin
) -> None:
    place = parameter_place(spec(*places), env)
    assert (place.region, place.chosen.origin) == (region, origin)


def test_an_arn_says_the_region_itself() -> None:
    arn = "arn:aws:ssm:ap-south-1:123456789012:parameter/lists/images"
    task = spec("ecr://eu-west-1", images_parameter=arn)
    assert parameter_place(task, {}).region == "ap-south-1"


def test_a_hub_reads_a_parameter_with_what_a_side_may_use_alone() -> None:
    with pytest.raises(InputError, match="images_parameter: a hub reads it with the credentials"):
        parameter_place(spec("docker.io", "ghcr.io"), {"AWS_REGION": "eu-west-1"}, Lent())
    lent = Lent(credentials={"prod": KEYS})
    task = spec({"url": "ecr://eu-west-1", "credential": "prod"})
    assert parameter_place(task, {}, lent).chosen.origin is Origin.STORED
