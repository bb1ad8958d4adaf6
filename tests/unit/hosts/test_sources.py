"""Settings that are given in files."""

import os
import pwd
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from transferhub.errors import InputError
from transferhub.hosts.hub_settings import HubSettings
from transferhub.hosts.settings import Settings
from transferhub.model.faults import flatten
from transferhub.model.people import Role


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / ".config" / "dth"
    folder.mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def of_user(home: Path) -> Path:
    return home / ".config" / "dth" / "dth.toml"


@pytest.fixture
def of_machine(tmp_path: Path) -> Path:
    return tmp_path / "etc.toml"


class Loader:
    def __init__(self, home: Path, of_machine: Path) -> None:
        self.env = {"HOME": str(home)}
        self.machine_file = of_machine

    def __call__(self, env: dict[str, str] | None = None, /, **flags: str) -> Settings:
        return Settings.load(
            env=self.env | (env or {}), machine_file=self.machine_file, processors=3, **flags
        )

    def faults(self, **flags: str) -> dict[str, str]:
        with pytest.raises(InputError) as caught:
            self(**flags)
        return {fault.field: fault.message for fault in flatten([caught.value])}


@pytest.fixture
def load(home: Path, of_machine: Path) -> Loader:
    return Loader(home, of_machine)


def test_the_nearest_source_wins(load: Loader, of_user: Path, of_machine: Path) -> None:
    of_machine.write_text('concurrency = 1\nlisters = 2\nattempts = 3\nlease = "1h"\n')
    of_user.write_text("concurrency = 4\nlisters = 5\nattempts = 6\n")
    found = load({"DTH_CONCURRENCY": "7", "DTH_LISTERS": "8"}, concurrency="9")
    assert (found.concurrency, found.listers, found.attempts) == (9, 8, 6)
    assert found.lease == timedelta(hours=1)
    assert {name: origin for name, origin in found.origins.items() if origin != "default"} == {
        "concurrency": "flag --concurrency",
        "listers": "environment DTH_LISTERS",
        "attempts": f"file {of_user}",
        "lease": f"file {of_machine}",
    }


def test_the_folder_of_the_user_follows_xdg(load: Loader, tmp_path: Path, of_user: Path) -> None:
    of_user.write_text("attempts = 1")
    (tmp_path / "dth").mkdir()
    (tmp_path / "dth" / "dth.toml").write_text("attempts = 2")
    assert load({"XDG_CONFIG_HOME": str(tmp_path)}).attempts == 2
    assert load({"XDG_CONFIG_HOME": "relative"}).attempts == 1


def test_a_file_that_is_named_stands_alone(load: Loader, tmp_path: Path, of_user: Path) -> None:
    of_user.write_text("attempts = 1\nlisters = 1")
    file = tmp_path / "mine.toml"
    file.write_text("attempts = 2")
    assert (load(config=str(file)).attempts, load(config=str(file)).listers) == (2, 32)
    assert load({"DTH_CONFIG": str(file)}).origins["attempts"] == f"file {file}"


def test_values_are_written_as_they_are_typed_or_as_toml_has_them(
    load: Loader, of_user: Path
) -> None:
    of_user.write_text(
        'bandwidth = "50MB/s"\nrequests = 12.5\nmemory = "1GiB"\nprices = ""\n'
        'behind_proxy = true\nport = 80\nruns = "2"\noidc_issuer = "https://id.example.com"\n'
        'oidc_client = "c"\n[oidc_roles]\n"cn=admins,ou=x" = "admin"\nstaff = "viewer"\n'
    )
    found = load()
    assert (found.bandwidth, found.requests, found.memory) == (50_000_000, 12.5, 1 << 30)
    assert found.origins["prices"] == "default"
    hub = HubSettings.of(found)
    assert (hub.behind_proxy, hub.port, hub.runs) == (True, 80, 2)
    assert hub.oidc_roles == {"cn=admins,ou=x": Role.ADMIN, "staff": Role.VIEWER}


def test_every_fault_names_its_file_and_key(load: Loader, of_user: Path, of_machine: Path) -> None:
    of_user.write_text('concurency = 1\nmemory = "x"\nattempts = [1]\nlisters = {a = 1}\n')
    of_machine.write_text('lease = "x"\n')
    found = load.faults(processes="x")
    assert found.keys() == {
        f"{of_user}: concurency",
        f"{of_user}: memory",
        f"{of_user}: attempts",
        f"{of_user}: listers",
        f"{of_machine}: lease",
        "--processes",
    }
    assert "did you mean concurrency?" in found[f"{of_user}: concurency"]


@pytest.mark.parametrize(
    ("content", "says"), [(b"attempts = ", "is no TOML"), (b"\xff", "is not UTF-8")]
)
def test_a_file_that_is_no_toml_is_refused(
    load: Loader, of_user: Path, content: bytes, says: str
) -> None:
    of_user.write_bytes(content)
    assert says in load.faults()[str(of_user)]


def test_a_named_file_that_is_missing_is_refused(load: Loader, tmp_path: Path) -> None:
    found = load.faults(config=str(tmp_path / "none.toml"))
    assert found == {
        "--config": f"--config: {tmp_path}/none.toml cannot be read: No such file or directory"
    }


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may read everything, so this test is somebody else meanwhile."""
    former = os.geteuid()
    if former == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    os.seteuid(former)


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_file_of_others_is_passed_over_and_told(
    load: Loader, tmp_path: Path, closed: str, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    load.machine_file = folder / "dth.toml"
    load.machine_file.write_text("attempts = 1")
    {"file": load.machine_file, "folder": folder}[closed].chmod(0)
    request.getfixturevalue("unprivileged")
    found = load({"HOME": "/nobody"})
    assert found.attempts == 5
    assert found.warnings == (f"{load.machine_file} was passed over: Permission denied",)


def test_without_a_file_no_parser_is_loaded(load: Loader) -> None:
    sys.modules.pop("tomllib", None)
    load()
    assert "tomllib" not in sys.modules


# Passwords


def test_a_password_may_stand_in_a_file_of_its_own(load: Loader, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("p@ss/w%rd\n")
    given = {"database_password_file": str(secret)}
    found = load({"DTH_DATABASE": "postgresql://me@host:5/db?sslmode=require"}, **given)
    assert found.database == "postgresql://me:p%40ss%2Fw%25rd@host:5/db?sslmode=require"
    shown = {setting.name: setting.value for setting in found.described()}
    assert shown["database"] == "postgresql://me:***@host:5/db?sslmode=require"
    assert "p%40ss" not in repr(found)
    assert found.warnings == ()


@pytest.mark.parametrize("url", ["", "postgresql://me:pw@host/db", "postgresql://host/db"])
def test_a_password_without_its_place_is_refused(load: Loader, tmp_path: Path, url: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2hunter2")
    with pytest.raises(InputError, match="without a password") as caught:
        load({"DTH_DATABASE": url, "DTH_DATABASE_PASSWORD_FILE": str(secret)})
    assert caught.value.field == "DTH_DATABASE_PASSWORD_FILE"
    assert "hunter2" not in str(caught.value)


def test_a_file_without_a_password_is_refused(load: Loader, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    database = "postgresql://me@host/db"
    for name, says in (("empty", "is empty"), ("none", "cannot be read: No such file")):
        path = str(tmp_path / name)
        found = load.faults(database=database, database_password_file=path)
        assert says in found["--database-password-file"]


def test_a_password_that_others_can_see_is_told(load: Loader, of_user: Path) -> None:
    url = "postgresql://me:hunter2@host/db"
    [warning] = load(database=url).warnings
    assert warning.startswith("--database holds a password, which other users of this machine can")
    assert load({"DTH_DATABASE": url}).warnings == ()
    assert load(database="postgresql://me@host/db?passfile=/run/passwords").warnings == ()
    of_user.write_text(f'database = "{url}"')
    of_user.chmod(0o644)
    [warning] = load().warnings
    assert warning.startswith(f"{of_user} holds a password, and other users may read it")
    of_user.chmod(0o600)
    assert load().warnings == ()
    assert "hunter2" not in warning
