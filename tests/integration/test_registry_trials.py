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
from transferhub.control.journal import Journal
from transferhub.control.key_ring import KeyFile
from transferhub.control.places import Outcome, Places, Step, Trial
from transferhub.control.places import Side as PlaceSide
from transferhub.control.reach import OWN_MACHINE, Reach, ReachRules
from transferhub.control.vault import Credentials
from transferhub.engine.tuning import Tuning
from transferhub.errors import AccessError, InputError, TransientError
from transferhub.hosts.lending import Lender
from transferhub.hosts.places import HostLooks
from transferhub.hosts.registries import open_side
from transferhub.hosts.registry_trials import REPOSITORY, registry_steps
from transferhub.model.clock import utc_now
from transferhub.model.people import Caller, How, Role
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.state.memory import MemoryAudit, MemoryTaskStore, MemoryVault

pytestmark = pytest.mark.registries

OPERATOR = Caller(name="op", role=Role.OPERATOR, how=How.SESSION)
VIEWER = Caller(name="eve", role=Role.VIEWER, how=How.SESSION)
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
    """Every file that a registry keeps. Of an upload that is cancelled, Docker's writes once more
    where it was, and forgets that with its next sweep."""
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


# As a hub asks


class Asked:
    """A hub's looks, whose stored credentials are a login and keys."""

    def __init__(self, folder: Path, rules: ReachRules = OWN_MACHINE) -> None:
        vault, ring = MemoryVault(), KeyFile(folder / "keys")
        self.audit = MemoryAudit()
        journal = Journal(self.audit, utc_now)
        self.credentials = Credentials(vault, ring, journal, utc_now)
        looks = HostLooks(
            folder,
            {"DTH_SOURCE_USER": ACCOUNT.user, "DTH_SOURCE_PASSWORD": ACCOUNT.secret},
            Lender(vault, ring, guarded=False),
            tuning=Tuning(),
        )
        self.places = Places(MemoryTaskStore(utc_now), looks, Reach(rules), journal)


async def test_a_hub_that_serves_others_shows_its_own_login_to_no_registry(
    registry_https: DockerRegistry, tmp_path: Path
) -> None:
    there = {"url": registry_https.host, "ca_bundle": str(registry_https.ca)}
    for rules, outcome in ((OWN_MACHINE, OK), (ReachRules(folders=(Path("/"),)), FAILED)):
        folder = tmp_path / outcome
        folder.mkdir()
        test = await Asked(folder, rules).places.test_registry(OPERATOR, there, PlaceSide.SOURCE)
        assert test.steps[0].outcome is outcome
    with pytest.raises(InputError, match="allow_local"):
        await Asked(tmp_path, ReachRules()).places.test_registry(OPERATOR, there, PlaceSide.SOURCE)


async def test_a_test_of_a_destination_is_noted_and_viewers_test_nothing(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    asked = Asked(tmp_path)
    url = f"{registry.host}/noted"
    there = {"url": url, "plain_http": True}
    with pytest.raises(AccessError):
        await asked.places.test_registry(VIEWER, there, PlaceSide.DESTINATION)
    assert (await asked.places.test_registry(OPERATOR, there, PlaceSide.DESTINATION)).works
    (entry,) = await asked.audit.entries()
    assert (entry.action, entry.subject) == ("connection.test", url)


async def test_a_plan_takes_no_longer_than_it_may(registry: DockerRegistry, tmp_path: Path) -> None:
    spec = {
        "source": {"url": registry.host, "plain_http": True},
        "destination": {"url": "127.0.0.1:1", "plain_http": True},
        "all": True,
    }
    with pytest.raises(TransientError) as caught:
        await Asked(tmp_path).places.plan(OPERATOR, spec, within=timedelta(seconds=0.5))
    assert caught.value.code == "timeout"
