import os
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.front_door import ROOT
from transferhub.control.journal import Journal
from transferhub.control.reach import OWN_MACHINE, ReachRules
from transferhub.control.vault import Credentials
from transferhub.errors import InputError, VaultError
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.lending import Grant, grant_of, lent_for_run
from transferhub.model.clock import utc_now
from transferhub.model.people import CredentialKind
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec
from transferhub.state.memory import MemoryVault
from transferhub.state.sql.audit import SqlAudit
from transferhub.state.sql.database import Database
from transferhub.state.sql.vault import SqlVault


class Hub:
    """A hub's database with stored credentials."""

    def __init__(self, folder: Path, shared: Database) -> None:
        self.grant = Grant(key_file=folder / "keys", rules=OWN_MACHINE)
        self.vault, journal = SqlVault(shared), Journal(SqlAudit(shared), utc_now)
        self.credentials = Credentials(self.vault, self.grant.ring, journal, utc_now)

    async def put(self, name: str, secret: str) -> None:
        fields = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": secret}
        await self.credentials.put(ROOT, name, CredentialKind.KEYS, fields)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with AsyncExitStack() as stack:
        shared = await Database.open(f"sqlite:///{tmp_path}/hub.db")
        stack.push_async_callback(shared.aclose)
        yield Hub(tmp_path, shared)


def spec(source: str = "from", destination: str = "to", **more: Any) -> ObjectsSpec:
    return parse_spec(
        {
            "source": {"url": "s3://a", "credential": source},
            "destination": {"url": "s3://b", "credential": destination},
            **more,
        }
    )


async def test_a_run_is_lent_what_it_names_and_no_more(hub: Hub) -> None:
    for name in ("from", "to", "others"):
        await hub.put(name, f"secret of {name}")
    given = spec()
    same, lent = await lent_for_run(given, hub.grant, hub.vault)
    assert same == given
    assert {name: fields["secret_access_key"] for name, fields in lent.credentials.items()} == {
        "from": "secret of from",
        "to": "secret of to",
    }
    assert lent.guarded
    assert "secret of" not in repr(lent)
    assert pickle.loads(pickle.dumps(lent)) == lent  # noqa: S301 - as a pipe does


async def test_the_next_run_has_the_credential_as_it_is_then(hub: Hub) -> None:
    await hub.put("from", "old")
    await lent_for_run(spec(), hub.grant, hub.vault)
    await hub.put("from", "new")
    await hub.credentials.rotate(ROOT)
    _, lent = await lent_for_run(spec(), hub.grant, hub.vault)
    assert lent.credentials["from"]["secret_access_key"] == "new"


async def test_an_inventory_may_have_a_credential_of_its_own(hub: Hub) -> None:
    await hub.put("lists", "s")
    inventory = {"url": "s3://lists", "credential": "lists"}
    given = spec(inventory=inventory, inventory_key="m/manifest.json")
    _, lent = await lent_for_run(given, hub.grant, hub.vault)
    assert set(lent.credentials) == {"lists"}


async def test_another_key_opens_nothing(hub: Hub, tmp_path: Path) -> None:
    await hub.put("from", "s")
    with pytest.raises(VaultError):
        await lent_for_run(spec(), Grant(key_file=tmp_path / "other", rules=OWN_MACHINE), hub.vault)


async def test_a_run_is_refused_what_its_machine_does_not_lend(tmp_path: Path) -> None:
    grant = Grant(key_file=tmp_path / "keys", rules=ReachRules())
    given = parse_spec({"source": "s3://a", "destination": "file:///b"})
    with pytest.raises(InputError, match="allow_local"):
        await lent_for_run(given, grant, MemoryVault())


@pytest.mark.parametrize(
    ("given", "powers"),
    [
        ({}, OWN_MACHINE),
        ({"DTH_HOST": "192.0.2.7"}, ReachRules()),
        ({"DTH_BEHIND_PROXY": "yes", "DTH_PUBLIC_URL": "https://h"}, ReachRules()),
        ({"DTH_ALLOW_LOCAL": "none"}, ReachRules()),
        (
            {"DTH_HOST": "192.0.2.7", "DTH_ALLOW_LOCAL": "/data, environment"},
            ReachRules(folders=(Path("/data"),), environment=True),
        ),
        ({"DTH_HOST": "192.0.2.7", "DTH_ALLOW_LOCAL": "all"}, OWN_MACHINE),
        (
            {"DTH_ALLOW_LOCAL": "none", "DTH_ALLOW_METADATA_ENDPOINTS": "yes"},
            ReachRules(metadata=True),
        ),
    ],
)
def test_only_a_hub_of_one_user_lends_its_machine_unasked(
    given: dict[str, str], powers: ReachRules
) -> None:
    settings = HubSettings.load(env={"HOME": "/home/me", **given}, machine_file=Path("/none"))
    assert grant_of(settings).rules == powers


@pytest.mark.parametrize("value", ["data", "everything", "/a,b", "none,/a"])
def test_what_is_no_power_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="nothing that can be allowed"):
        HubSettings.load(
            env={"HOME": "/home/me", "DTH_ALLOW_LOCAL": value}, machine_file=Path("/none")
        )


def test_a_grant_does_not_show_its_key() -> None:
    grant = Grant(key_file=Path("/k"), rules=OWN_MACHINE, vault_key="hunter2")
    assert "hunter2" not in repr(grant)


def test_a_transfer_without_a_hub_loads_no_vault() -> None:
    script = "import sys, transferhub.hosts.local; print([*sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    loaded = ended.stdout
    assert "'transferhub.hosts.credentials'" in loaded
    assert "'transferhub.control.vault'" not in loaded
    assert "'cryptography'" not in loaded
