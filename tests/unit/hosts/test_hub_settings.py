from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from transferhub.errors import InputError
from transferhub.hosts.hub_settings import READERS, HubSettings, LogFormat, check_exposure
from transferhub.hosts.settings import HUB_NAMES
from transferhub.model.faults import flatten
from transferhub.model.people import Role

PROVIDER = {"oidc_issuer": "https://id.example.com/", "oidc_client": "console"}
SAFE = {"host": "192.0.2.7", "public_url": "https://hub.example.com"}


def load(env: dict[str, str] | None = None, /, **flags: str | None) -> HubSettings:
    return HubSettings.load(
        env={"HOME": "/home/me", **(env or {})}, machine_file=Path("/none"), **flags
    )


def faults_of(work: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        work()
    return {fault.field: fault.message for fault in flatten([caught.value])}


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    found = {"tls_certificate": tmp_path / "hub.pem", "tls_key": tmp_path / "hub.key"}
    for path in found.values():
        path.touch()
    return {name: str(path) for name, path in found.items()}


def test_every_command_knows_the_names_of_all_settings() -> None:
    secret = {"vault_key"}
    assert READERS.keys() - secret == HUB_NAMES
    of_itself = {field.name for field in fields(HubSettings)} - {"base", "origins"}
    assert of_itself == READERS.keys()


def test_without_anything_the_hub_is_of_this_machine_alone() -> None:
    found = load()
    assert (found.host, found.port, found.runs) == ("127.0.0.1", 8420, 4)
    assert found.key_file == Path("/home/me/.local/state/dth/vault.keys")
    assert found.name
    assert set(found.origins.values()) == {"default"}
    assert not found.is_secure
    check_exposure(found, has_users=False)


def test_every_value_is_read_in_its_form() -> None:
    found = load(
        {
            "DTH_PORT": "80",
            "DTH_BEHIND_PROXY": "Yes",
            "DTH_PUBLIC_URL": "https://Hub.Example.com:443/",
            "DTH_KEEP_RUNS": "forever",
            "DTH_KEEP_LOGS": "2d12h",
            "DTH_LOG_FORMAT": "JSON",
            "DTH_OIDC_EVERYONE": "none",
            "DTH_OIDC_ROLES": "admins=admin, ou=staff=Viewer",
            "DTH_STATE": "/s",
        }
        | {f"DTH_{name.upper()}": value for name, value in PROVIDER.items()},
        host="[::1]",
        runs="0",
    )
    assert (found.host, found.port, found.runs, found.behind_proxy) == ("::1", 80, 0, True)
    assert found.public_url == "https://hub.example.com"
    assert (found.keep_runs, found.keep_logs) == (None, timedelta(days=2, hours=12))
    assert (found.log_format, found.oidc_everyone) == (LogFormat.JSON, None)
    assert found.oidc_roles == {"admins": Role.ADMIN, "ou=staff": Role.VIEWER}
    assert (found.oidc_issuer, found.oidc_audience) == (PROVIDER["oidc_issuer"], "console")
    assert found.key_file == Path("/s/vault.keys")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("host", "http://x", "is no address"),
        ("host", "localhost:80", "is no address"),
        ("port", "65536", "ports end at 65535"),
        ("port", "http", "is not a number"),
        ("public_url", "hub.example.com", "is no address such as https"),
        ("public_url", "https://hub.example.com/dth", "goes on after its host"),
        ("public_url", "https://me:pw@hub.example.com", "is no address"),
        ("public_url", "https://hub.example.com:99999", "is no address"),
        ("behind_proxy", "perhaps", "neither true nor false"),
        ("tls_key", "/none/hub.key", "there is no file /none/hub.key"),
        ("runs", "many", "is not a number"),
        ("name", "a\nb", "nothing that can be read"),
        ("name", "n" * 65, "longer than 64"),
        ("oidc_issuer", "http://id.example.com", "must begin with https://"),
        ("oidc_roles", "admin", "write admins=admin"),
        ("oidc_roles", "x=admn", "did you mean admin"),
        ("oidc_everyone", "everything", "is no role; write one of viewer"),
        ("keep_runs", "59m", "write 1h or more, or forever"),
        ("keep_logs", "week", "is no duration"),
        ("log_format", "xml", "write console or json"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, text: str, says: str) -> None:
    variable = f"DTH_{name.upper()}"
    assert says in faults_of(lambda: load({variable: text}))[variable]


def test_faults_of_every_kind_are_told_at_once() -> None:
    env = {"DTH_PORT": "x", "DTH_MEMORY": "x", "DTH_PROT": "1", "DTH_OIDC_CLIENT": "c"}
    found = faults_of(lambda: load(env, runs="x"))
    assert found.keys() == {"DTH_PORT", "DTH_MEMORY", "DTH_PROT", "--runs", "oidc_issuer"}
    assert "did you mean DTH_PORT?" in found["DTH_PROT"]


def test_what_belongs_together_is_asked_for(certificate: dict[str, str]) -> None:
    alone = {"DTH_TLS_KEY": certificate["tls_key"]}
    assert faults_of(lambda: load(alone)).keys() == {"tls_certificate"}
    both = {f"DTH_{name.upper()}": path for name, path in certificate.items()}
    assert faults_of(lambda: load(both, behind_proxy="true")).keys() == {"behind_proxy"}
    provider = {"DTH_OIDC_ISSUER": "https://id.example.com"}
    assert faults_of(lambda: load(provider)).keys() == {"oidc_client", "oidc_roles"}
    provider |= {"DTH_OIDC_CLIENT": "c", "DTH_OIDC_EVERYONE": "viewer"}
    assert load(provider).oidc_everyone is Role.VIEWER


def test_no_secret_is_described() -> None:
    found = load({"DTH_VAULT_KEY": "hunter2hunter2"})
    assert found.vault_key == "hunter2hunter2"
    assert "hunter2" not in f"{found!r} {found.described()}"
    described = {setting.name: setting for setting in found.described()}
    assert described.keys() == READERS.keys()
    assert described["vault_key"].value == "given, and not shown"
    assert described["vault_key"].origin == "environment DTH_VAULT_KEY"
    assert described["keep_runs"].value == "365d"
    assert described["behind_proxy"].value == "no"


def test_a_key_of_the_vault_is_not_taken_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "dth.toml"
    file.write_text('vault_key = "hunter2hunter2"')
    found = faults_of(lambda: load(config=str(file)))
    assert found.keys() == {f"{file}: vault_key"}
    assert "hunter2" not in str(found)


# Who may reach it


def test_a_hub_for_others_needs_tls_a_name_and_users() -> None:
    found = faults_of(lambda: check_exposure(load(host="192.0.2.7"), has_users=False))
    assert found.keys() == {"--host", "--public-url"}
    with pytest.raises(InputError) as caught:
        check_exposure(load(host="192.0.2.7"), has_users=False)
    sentences = str(caught.value)
    for advice in ("--tls-certificate", "--behind-proxy", "dth user create", "oidc_issuer"):
        assert advice in sentences


def test_users_or_a_provider_are_enough(certificate: dict[str, str]) -> None:
    with_tls = load(**SAFE, **certificate)
    check_exposure(with_tls, has_users=True)
    assert "has no users" in str(faults_of(lambda: check_exposure(with_tls, has_users=False)))
    variables = {f"DTH_{name.upper()}": value for name, value in PROVIDER.items()}
    variables["DTH_OIDC_EVERYONE"] = "viewer"
    check_exposure(load(variables, **SAFE, **certificate), has_users=False)


def test_a_proxy_on_this_machine_opens_the_hub_to_others() -> None:
    behind = load(behind_proxy="true", public_url="https://hub.example.com")
    check_exposure(behind, has_users=True)
    assert faults_of(lambda: check_exposure(behind, has_users=False)).keys() == {"--host"}
    insecure = load(behind_proxy="true", public_url="http://hub.example.com")
    found = faults_of(lambda: check_exposure(insecure, has_users=True))
    assert found == {"--public-url": "--public-url: must begin with https://"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_addresses_of_this_machine_need_nothing(host: str) -> None:
    check_exposure(load(host=host), has_users=False)


@pytest.mark.parametrize("host", ["192.0.2.7", "::", "192.168.0.7", "hub.example.com"])
def test_other_addresses_do(host: str) -> None:
    with pytest.raises(InputError):
        check_exposure(load(host=host), has_users=True)


def test_browsers_come_by_the_names_that_are_given(certificate: dict[str, str]) -> None:
    local = {f"http://{name}:80" for name in ("127.0.0.1", "localhost", "[::1]")}
    assert load().origins_of_browsers(80) == local
    assert load(host="::1").url(80) == "http://[::1]:80"
    found = load(**SAFE, **certificate)
    assert found.url(80) == "https://hub.example.com"
    assert found.origins_of_browsers(80) == {
        "https://hub.example.com",
        *(origin.replace("http:", "https:") for origin in local),
    }
    assert found.is_secure
