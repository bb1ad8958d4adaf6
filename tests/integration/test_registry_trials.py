"""What is found out of real registries before a task reaches them, which are left as they were."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.oci_images import image
from tests.servers.pusher import Pusher
from tests.servers.stand_in_registry import StandInRegistry, refusal
from transferhub.control.places import Outcome, Step, Trial
from transferhub.engine.tuning import Tuning
from transferhub.hosts.registries import open_side
from transferhub.hosts.registry_trials import REPOSITORY, registry_steps
from transferhub.plugins.images.registry_location import RegistryLocation

pytestmark = pytest.mark.registries

OK, FAILED, SKIPPED = Outcome.OK, Outcome.FAILED, Outcome.SKIPPED
TUNING = Tuning(patience=timedelta(seconds=1))
Side = Literal["source", "destination"]


async def steps_of(
    host: str, side: Side, prefix: str = "", env: Mapping[str, str] | None = None, **how: Any
) -> list[Step]:
    fields = {"url": f"{host}/{prefix}".rstrip("/"), "plain_http": True, **how}
    location = RegistryLocation.of(fields, field=side, environment=side)
    return await registry_steps(open_side(location, env=env or {}, tuning=TUNING), location)


def told(steps: list[Step]) -> list[tuple[Trial, Outcome, str]]:
    return [(step.trial, step.outcome, step.code) for step in steps]


def held(registry: DockerRegistry) -> list[str]:
    """Every file that a registry keeps. Of an upload that is cancelled, Docker's writes where it was
    once more, and forgets it with its next sweep."""
    files = (path for path in registry.storage.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if "_uploads" not in path.parts)


async def test_a_source_is_listed_and_an_image_looked_at(
    registry: DockerRegistry, pusher: Pusher
) -> None:
    pusher.push(image("trial"), "trials-source/app", "v1")
    listed, read = await steps_of(registry.host, "source", "trials-source")
    assert told([listed, read]) == [(Trial.LIST, OK, ""), (Trial.READ, OK, "")]
    assert (listed.permission, read.permission) == ("registry:catalog:*", "pull")
    assert read.message == "trials-source/app:v1 was looked at"


async def test_a_destination_is_left_as_it_was(registry: DockerRegistry, pusher: Pusher) -> None:
    pusher.push(image("trial"), "trials-destination/app", "v1")
    before = held(registry)
    for prefix in ("trials-destination", "trials-empty"):
        steps = await steps_of(registry.host, "destination", prefix)
        read = OK if prefix == "trials-destination" else SKIPPED
        assert told(steps) == [
            (Trial.LIST, OK, ""),
            (Trial.WRITE, OK, ""),
            (Trial.READ, read, ""),
            (Trial.DELETE, OK, ""),
        ]
    assert steps[1].message == f"an upload to 'trials-empty/{REPOSITORY}' was begun and cancelled"
    assert held(registry) == before


async def test_a_registry_that_deletes_nothing_can_be_written_to(tmp_path: Path) -> None:
    with DockerRegistry(delete=False) as registry:
        steps = await steps_of(registry.host, "destination")
    assert told(steps)[1] == (Trial.WRITE, OK, "")
    assert told(steps)[3] == (Trial.DELETE, FAILED, "unsupported")
    assert steps[3].message.endswith("Only a task that prunes deletes.")


async def test_a_login_is_shown_and_a_wrong_one_is_told(
    registry_https: DockerRegistry, tmp_path: Path
) -> None:
    known: dict[str, Any] = {"plain_http": False, "ca_bundle": str(registry_https.ca)}
    login = tmp_path / "login.json"
    login.write_text(json.dumps({"user": ACCOUNT.user, "password": ACCOUNT.secret}))
    login.chmod(0o600)
    steps = await steps_of(registry_https.host, "destination", credentials_file=str(login), **known)
    assert [step.outcome for step in steps[:2]] == [OK, OK]
    login.write_text(json.dumps({"user": ACCOUNT.user, "password": "wrong-secret"}))
    wrong: dict[str, dict[str, Any]] = {
        "bad_credentials": {"credentials_file": str(login)},
        "no_credentials": {"anonymous": True},
    }
    for code, given in wrong.items():
        steps = await steps_of(registry_https.host, "source", **known, **given)
        assert told(steps) == [(Trial.LIST, FAILED, code), (Trial.READ, SKIPPED, "")]
        assert "wrong-secret" not in str(steps)


async def test_a_registry_without_a_list_can_be_used_by_name() -> None:
    async with StandInRegistry() as registry:
        registry.fail(*[refusal(404, "UNSUPPORTED")] * 9, path="/v2/_catalog")
        steps = await steps_of(registry.host, "source")
    assert told(steps) == [(Trial.LIST, OK, ""), (Trial.READ, SKIPPED, "")]
    assert "name the images" in steps[0].message


async def test_who_may_not_write_is_told_so() -> None:
    async with StandInRegistry() as registry:
        registry.fail(*[refusal(403, "DENIED")] * 9, method="POST")
        steps = await steps_of(registry.host, "destination")
    assert told(steps)[:2] == [(Trial.LIST, OK, ""), (Trial.WRITE, FAILED, "denied")]
    assert steps[1].permission == "push"


async def test_nobody_at_the_host_is_told(tmp_path: Path) -> None:
    steps = await steps_of("127.0.0.1:1", "source")
    assert told(steps) == [(Trial.LIST, FAILED, "unreachable"), (Trial.READ, SKIPPED, "")]


async def test_a_public_source_has_nothing_to_try() -> None:
    location = RegistryLocation(scheme="public")
    steps = await registry_steps(open_side(location, env={}, tuning=TUNING), location)
    assert told(steps) == [(Trial.LIST, SKIPPED, ""), (Trial.READ, SKIPPED, "")]
