"""What `dth doctor` says of skopeo and of registries."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.docker_registry import ACCOUNT, DockerRegistry
from tests.servers.ministack import MinistackServer
from tests.servers.process import find_program
from transferhub.hosts.doctor import Finding, examine
from transferhub.hosts.settings import Settings
from transferhub.plugins.images.registry_location import RegistryLocation

pytestmark = pytest.mark.registries


async def findings(folder: Path, text: str = "", **options: Any) -> dict[str, Finding]:
    locations = [RegistryLocation.parse(text, field="l", options=options)] if text else []
    found = await examine(Settings.load(state=str(folder)), locations)
    return {finding.name.removeprefix(f"{text} "): finding for finding in found}


async def test_skopeo_is_found_or_the_way_to_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = find_program("skopeo", install="apt-get install skopeo")
    found = (await findings(tmp_path))["skopeo"]
    assert (found.level, found.value.endswith(f", {program}")) == ("ok", True)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = (await findings(tmp_path))["skopeo"]
    assert (missing.level, missing.value) == ("warning", "cannot be used")
    assert "apt-get install skopeo" in missing.advice


async def test_a_registry_is_reached_as_who_is_told(
    registry_https: DockerRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, ca = registry_https.host, str(registry_https.ca)
    monkeypatch.setenv("DTH_SOURCE_USER", ACCOUNT.user)
    monkeypatch.setenv("DTH_SOURCE_PASSWORD", ACCOUNT.secret)
    found = await findings(tmp_path, host, ca_bundle=ca)
    assert found["credentials"].value == f"DTH_SOURCE_USER, user {ACCOUNT.user}"
    assert (found["reached"].level, found["reached"].value) == ("ok", host)
    monkeypatch.setenv("DTH_SOURCE_PASSWORD", "wrong-secret")
    found = await findings(tmp_path, host, ca_bundle=ca)
    assert (found["reached"].level, found["reached"].value) == ("error", "no")
    assert "401" in found["reached"].advice
    assert "wrong-secret" not in f"{found}"


async def test_ecr_is_reached_with_keys(
    ministack: MinistackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTH_SOURCE_ACCESS_KEY_ID", ministack.endpoint.access_key_id)
    monkeypatch.setenv("DTH_SOURCE_SECRET_ACCESS_KEY", ministack.endpoint.secret_access_key)
    monkeypatch.setenv("DTH_SOURCE_ENDPOINT", ministack.endpoint.url)
    found = await findings(tmp_path, "ecr://us-east-1", plain_http=True)
    assert found["credentials"].value.startswith("DTH_SOURCE_ACCESS_KEY_ID, access key")
    assert (found["reached"].level, found["reached"].value) == ("ok", ministack.endpoint.url)


async def test_a_public_source_has_no_place_to_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTH_SOURCE_USER", "me")
    found = await findings(tmp_path, "public")
    assert found["credentials"].level == "warning"
    assert "shown to no registry" in found["credentials"].advice
    assert "reached" not in found


async def test_a_login_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    found = await findings(tmp_path, "ghcr.io", credentials_file=absent)
    assert (found["ghcr.io"].level, found["ghcr.io"].value) == ("error", "not usable")
    assert absent in found["ghcr.io"].advice
