import asyncio
import logging
import stat
import traceback
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.ledger_facts import FakeClock
from tests.unit.control.front_door import ROOT
from transferhub.control.journal import Journal
from transferhub.control.key_ring import GivenKeys, Key, KeyFile, KeyRing
from transferhub.control.vault import Credentials, unseal
from transferhub.errors import AccessError, InputError, VaultError
from transferhub.model.faults import InputErrors
from transferhub.model.people import Caller, CredentialKind, How, Role, Scope, Sealed
from transferhub.state.memory import MemoryAudit, MemoryVault

FIELDS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cr3t"}
KEYS = CredentialKind.KEYS


class Safe:
    """A vault in memory with a key file."""

    def __init__(self, ring: KeyRing, vault: MemoryVault | None = None) -> None:
        self.vault = vault or MemoryVault()
        self.audit = MemoryAudit()
        self.clock = FakeClock()
        self.ring = ring
        journal = Journal(self.audit, self.clock)
        self.credentials = Credentials(self.vault, ring, journal, self.clock)

    async def put(self, name: str, secret: str = "s3cr3t") -> None:
        fields = {**FIELDS, "secret_access_key": secret}
        await self.credentials.put(ROOT, name, KEYS, fields)

    async def key_ids(self) -> set[str]:
        return {sealed.key_id for sealed in await self.vault.all(limit=1_000)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.key"


@pytest.fixture
def safe(path: Path) -> Safe:
    return Safe(KeyFile(path))


async def test_what_is_put_in_can_be_opened_by_the_engine(safe: Safe, path: Path) -> None:
    put = await safe.credentials.put(ROOT, "prod", KEYS, FIELDS)
    assert put.described == "AKIA…MPLE"
    opened = await safe.credentials.open("prod")
    assert (opened.credential, opened.fields) == (put, FIELDS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Safe(KeyFile(path), safe.vault)
    assert (await again.credentials.open("prod")).fields == FIELDS


async def test_no_secret_is_shown_logged_or_kept_open(
    safe: Safe, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await safe.put("prod")
        opened = await safe.credentials.open("prod")
        await safe.credentials.rotate(ROOT)
        sealed = await safe.vault.get("prod")
    assert sealed is not None
    keys = safe.ring.keys()
    told = (await safe.credentials.names(ROOT), await safe.audit.entries(), caplog.text)
    shown = repr([opened, sealed, sealed.box, keys, safe.credentials, *told])
    assert "s3cr3t" not in shown
    assert "AKIAIOSFODNN7EXAMPLE" not in shown
    secrets = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(secrets) == 2
    assert not any(secret in shown for secret in secrets)


async def test_equal_secrets_do_not_look_equal(safe: Safe) -> None:
    await safe.put("a")
    await safe.put("b")
    first, second = await safe.vault.all()
    assert first.box != second.box


async def test_a_box_opens_only_in_its_own_place(safe: Safe) -> None:
    await safe.put("a")
    await safe.put("b")
    first, second = await safe.vault.all()
    for forged in (
        replace(first, box=second.box),
        replace(first, credential=replace(first.credential, version=2)),
        replace(first, credential=replace(first.credential, kind=CredentialKind.LOGIN)),
        replace(first, box=first.box[:-8] + "AAAAAAA="),
        replace(first, box="AAAA"),
        replace(first, box="no base64"),
    ):
        with pytest.raises(VaultError, match="a was damaged") as caught:
            unseal(forged, safe.ring.keys())
        assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


async def test_another_key_is_told_by_its_id(safe: Safe, tmp_path: Path) -> None:
    await safe.put("a")
    other = KeyFile(tmp_path / "other.key")
    other.make()
    with pytest.raises(VaultError, match=f"key {safe.ring.keys()[0].ident} .* is missing"):
        await Safe(other, safe.vault).credentials.open("a")


async def test_a_lost_key_file_is_not_made_anew_while_anything_is_sealed(
    safe: Safe, path: Path
) -> None:
    await safe.put("a")
    path.unlink()
    with pytest.raises(VaultError, match="put it back"):
        await safe.put("b")
    assert not path.exists()
    await safe.credentials.delete(ROOT, "a")
    await safe.put("b")
    assert path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
async def test_a_key_file_that_others_may_read_is_refused(
    safe: Safe, path: Path, mode: int
) -> None:
    await safe.put("a")
    path.chmod(mode)
    for use in (safe.put("b"), safe.credentials.open("a"), safe.credentials.rotate(ROOT)):
        with pytest.raises(VaultError, match="chmod 600"):
            await use
    path.chmod(0o600)
    await safe.credentials.open("a")


@pytest.mark.parametrize("content", ["", "# only words\n", "c2hvcnQ=\n", "no base64!\n"])
async def test_a_key_file_without_good_keys_is_refused_and_left(
    safe: Safe, path: Path, content: str
) -> None:
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(VaultError) as caught:
        await safe.put("a")
    assert path.read_text() == content
    assert "c2hvcnQ" not in caught.value.message


async def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot be written"):
        await Safe(KeyFile(tmp_path / "missing" / "key")).put("a")


async def test_a_rotation_seals_everything_with_a_new_key(safe: Safe) -> None:
    for number in range(250):
        await safe.put(f"name{number}", secret=f"secret {number}")
    [old] = safe.ring.keys()
    assert await safe.credentials.rotate(ROOT) == 250
    new = safe.ring.keys()[0]
    assert await safe.key_ids() == {new.ident} != {old.ident}
    for number in (0, 117, 249):
        opened = await safe.credentials.open(f"name{number}")
        assert opened.fields["secret_access_key"] == f"secret {number}"
        assert opened.credential.version == 1
    await safe.credentials.rotate(ROOT)
    left = safe.ring.keys()
    assert old not in left
    assert len(left) == 2


class FailingVault(MemoryVault):
    """Dies after so many credentials were sealed anew."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1_000

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        if not self.left:
            raise ConnectionError
        self.left -= 1
        await super().replace(sealed, was)


@pytest.mark.parametrize("left", range(4))
async def test_a_rotation_that_dies_half_way_loses_nothing(path: Path, left: int) -> None:
    vault = FailingVault()
    safe = Safe(KeyFile(path), vault)
    for name in "abc":
        await safe.put(name, secret=f"secret of {name}")
    vault.left = left
    if left < 3:
        with pytest.raises(ConnectionError):
            await safe.credentials.rotate(ROOT)
    else:
        await safe.credentials.rotate(ROOT)
    vault.left = 1_000
    after = Safe(KeyFile(path), vault)
    for name in "abc":
        opened = await after.credentials.open(name)
        assert opened.fields["secret_access_key"] == f"secret of {name}"
    assert await after.credentials.reseal() == 3 - left
    assert await after.key_ids() == {after.ring.keys()[0].ident}
    assert await after.credentials.reseal() == 0


async def test_a_key_that_is_still_in_use_stays(path: Path) -> None:
    vault = FailingVault()
    safe = Safe(KeyFile(path), vault)
    await safe.put("a")
    vault.left = 0
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await safe.credentials.rotate(ROOT)
    safe.ring.keep(await safe.key_ids())
    assert len(safe.ring.keys()) == 3
    await safe.credentials.open("a")


async def test_rotations_and_writers_at_once_lose_nothing(safe: Safe, path: Path) -> None:
    await safe.put("first")
    other = Safe(KeyFile(path), safe.vault)
    await asyncio.gather(
        safe.credentials.rotate(ROOT),
        *(other.put(f"n{number}", secret=f"{number}") for number in range(20)),
        other.credentials.rotate(ROOT),
    )
    for number in range(20):
        opened = await safe.credentials.open(f"n{number}")
        assert opened.fields["secret_access_key"] == f"{number}"


async def test_a_rotation_of_nothing_makes_no_key(safe: Safe, path: Path) -> None:
    assert await safe.credentials.rotate(ROOT) == 0
    assert await safe.credentials.reseal() == 0
    assert not path.exists()


def given(*numbers: int) -> str:
    return ", ".join(b64encode(bytes([number]) * 32).decode() for number in numbers)


async def test_a_given_key_seals_and_rotates_to_the_one_in_front() -> None:
    vault = MemoryVault()
    old = Safe(GivenKeys(given(1)), vault)
    await old.put("a")
    with pytest.raises(VaultError, match="put a new one and a comma in front"):
        await old.credentials.rotate(ROOT)
    assert await Safe(GivenKeys(given(2, 1)), vault).credentials.rotate(ROOT) == 1
    opened = await Safe(GivenKeys(given(2)), vault).credentials.open("a")
    assert opened.fields == FIELDS


@pytest.mark.parametrize("value", ["", " , ", "c2hvcnQ=", given(1)[:-8]])
def test_a_given_value_that_is_no_key_is_refused_unquoted(value: str) -> None:
    with pytest.raises(VaultError) as caught:
        GivenKeys(value)
    assert not value.strip(" ,") or value not in caught.value.message


def test_a_key_shows_its_id_only() -> None:
    key = Key.of(b"\x07" * 32)
    assert repr(key) == f"Key(ident='{key.ident}')"
    assert Key.of(b"\x08" * 32).ident != key.ident


async def test_a_credential_is_replaced_and_deleted(safe: Safe) -> None:
    await safe.put("a")
    safe.clock.advance(60)
    login = {"user": "u", "password": "p"}
    put = await safe.credentials.put(ROOT, "a", CredentialKind.LOGIN, login)
    assert (put.version, put.described) == (2, "u")
    assert put.created_at < put.updated_at
    assert (await safe.credentials.open("a")).fields == login
    await safe.credentials.delete(ROOT, "a")
    for missing in (safe.credentials.delete(ROOT, "a"), safe.credentials.open("a")):
        with pytest.raises(InputError, match="no credential a"):
            await missing
    actions = [at.action for at in await safe.audit.entries()]
    assert actions == ["credential.delete", "credential.replace", "credential.create"]


def with_fields(**changes: str) -> dict[str, str]:
    return {**FIELDS, **changes}


@pytest.mark.parametrize(
    ("name", "fields", "faults"),
    [
        ("", FIELDS, ["name"]),
        ("a b", FIELDS, ["name"]),
        ("a", {}, ["access_key_id", "secret_access_key"]),
        ("a", with_fields(secret_access_key=""), ["secret_access_key"]),
        ("a", with_fields(passwrd="s3cr3t"), ["passwrd"]),
        ("a", with_fields(role_arn="s3cr3t" * 4_000), ["role_arn"]),
        ("/", {"x": "s3cr3t"}, ["name", "access_key_id", "secret_access_key", "x"]),
    ],
)
async def test_every_fault_of_a_credential_is_told_without_its_values(
    safe: Safe, name: str, fields: dict[str, str], faults: Sequence[str]
) -> None:
    with pytest.raises(InputError) as caught:
        await safe.credentials.put(ROOT, name, KEYS, fields)
    error = caught.value
    found = error.faults if isinstance(error, InputErrors) else (error,)
    assert [fault.field for fault in found] == faults
    assert "s3cr3t" not in error.message
    assert await safe.vault.all() == []


async def test_a_short_access_key_is_hardly_told(safe: Safe) -> None:
    put = await safe.credentials.put(ROOT, "a", KEYS, with_fields(access_key_id="minioadmin"))
    assert put.described == "m…n"


async def test_operators_see_names_and_change_nothing(safe: Safe) -> None:
    await safe.put("a")
    operator = Caller(name="o", role=Role.OPERATOR, how=How.SESSION)
    assert [at.name for at in await safe.credentials.names(operator)] == ["a"]
    scoped = replace(ROOT, scopes=frozenset({Scope.TASKS}))
    for caller in (operator, scoped):
        for verb in (
            safe.credentials.put(caller, "b", KEYS, FIELDS),
            safe.credentials.delete(caller, "a"),
            safe.credentials.rotate(caller),
        ):
            with pytest.raises(AccessError):
                await verb
    with pytest.raises(AccessError):
        await safe.credentials.names(scoped)
    assert [at.credential.name for at in await safe.vault.all()] == ["a"]
