import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from transferhub.errors import InputError
from transferhub.hosts.credentials import Lent, Origin
from transferhub.hosts.registry_logins import Logins
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.registries import Login

SECRET = "hunter2"
LOGIN = {"user": "mover", "password": SECRET}
KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET}
ROLE = {**KEYS, "role_arn": "arn:aws:iam::1:role/r", "external_id": "x"}
VARIABLES = {"DTH_SOURCE_USER": "someone", "DTH_SOURCE_PASSWORD": SECRET}
KEY_VARIABLES = {"DTH_SOURCE_ACCESS_KEY_ID": "some-key", "DTH_SOURCE_SECRET_ACCESS_KEY": SECRET}
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
AUTH = b64encode(f"mover:{SECRET}".encode()).decode()


def location(text: str = "ghcr.io/team", **options: Any) -> RegistryLocation:
    return RegistryLocation.parse(text, field="source", options=options)


def login_file(folder: Path, values: Any, mode: int = 0o600) -> str:
    path = folder / "logins.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    path.chmod(mode)
    return str(path)


def test_a_stored_login_is_lent() -> None:
    lent = Lent(credentials={"prod": LOGIN})
    chosen = Logins(location(credential="prod"), VARIABLES, lent).at()
    assert chosen.login == Login(user="mover", password=SECRET)
    assert chosen.described == "stored credential prod, user mover"
    assert SECRET in lent.secrets
    assert "mover" not in lent.secrets


def test_a_stored_token_is_an_identity_token() -> None:
    lent = Lent(credentials={"prod": {"token": SECRET}})
    chosen = Logins(location(credential="prod"), {}, lent).at()
    assert chosen.login == Login(identity_token=SECRET)
    assert chosen.described == "stored credential prod, an identity token"


def test_a_file_comes_before_variables(tmp_path: Path) -> None:
    path = login_file(tmp_path, LOGIN)
    chosen = Logins(location(credentials_file=path), VARIABLES).at()
    assert (chosen.login, chosen.warnings) == (Login(user="mover", password=SECRET), ())
    assert chosen.described == f"{path}, user mover"


def test_variables_come_before_nobody() -> None:
    chosen = Logins(location(), VARIABLES).at()
    assert chosen.login == Login(user="someone", password=SECRET)
    assert chosen.described == "DTH_SOURCE_USER, user someone"


def test_each_side_has_its_own_variables() -> None:
    there = RegistryLocation.parse("ghcr.io", field="destination", environment="destination")
    assert Logins(there, VARIABLES).at().login is None
    mine = {"DTH_DESTINATION_USER": "me", "DTH_DESTINATION_PASSWORD": SECRET}
    assert Logins(there, mine).at().login == Login(user="me", password=SECRET)


def test_nobody_asks_where_nothing_is_said_or_that_is_wanted() -> None:
    assert Logins(location(), {}).at().described == "anonymous"
    assert Logins(location(anonymous=True), VARIABLES).at().login is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [("USER", "DTH_SOURCE_PASSWORD"), ("PASSWORD", "DTH_SOURCE_USER")],
)
def test_variables_that_are_half_set_are_refused(given: str, missing: str) -> None:
    with pytest.raises(InputError) as caught:
        Logins(location(), {f"DTH_SOURCE_{given}": SECRET}).at()
    assert caught.value.field == missing
    assert SECRET not in caught.value.message


def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    path = login_file(tmp_path, LOGIN, mode=0o644)
    for logins in (
        Logins(location(credentials_file=path), {}),
        Logins(location("ecr://eu-west-1", credentials_file=login_file(tmp_path, KEYS, 0o644)), {}),
    ):
        (warning,) = logins.described().warnings
        assert "chmod 600" in warning


@pytest.mark.parametrize("form", ["registries", "auths"])
def test_a_file_tells_logins_by_host(tmp_path: Path, form: str) -> None:
    entry = LOGIN if form == "registries" else {"auth": AUTH}
    path = login_file(tmp_path, {form: {"ghcr.io": entry, "index.docker.io": entry}})
    for text in ("ghcr.io/team", "docker.io/team"):
        chosen = Logins(location(text, credentials_file=path), {}).at()
        assert chosen.login == Login(user="mover", password=SECRET)
    with pytest.raises(InputError, match=r"source_credentials_file: .*no login for quay\.io"):
        Logins(location("quay.io", credentials_file=path), {}).at()


def test_dockers_own_file_is_read(tmp_path: Path) -> None:
    document = {
        "auths": {
            "https://index.docker.io/v1/": {"auth": AUTH, "email": "m@example.org"},
            "quay.io/team": {"auth": AUTH},
            "team.azurecr.io": {"auth": b64encode(b"0000:").decode(), "identitytoken": SECRET},
            "plain.test": {"username": "mover", "password": SECRET},
            "ghcr.io": {},
        },
        "credsStore": "desktop",
        "credHelpers": {"public.ecr.aws": "ecr-login"},
        "HttpHeaders": {},
    }
    path = login_file(tmp_path, document)

    def login_of(text: str) -> Login | None:
        return Logins(location(text, credentials_file=path), {}).at().login

    assert login_of("docker.io") == login_of("plain.test") == Login(user="mover", password=SECRET)
    assert login_of("team.azurecr.io") == Login(user="0000", identity_token=SECRET)
    for text, kept in (
        ("quay.io/team", "no login for quay.io; write it there"),
        ("ghcr.io", "docker-credential-desktop keeps it"),
        ("public.ecr.aws", "docker-credential-ecr-login keeps it"),
    ):
        with pytest.raises(InputError, match=kept):
            login_of(text)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"user": "mover"}, "write user and password, or identity_token"),
        ({"password": SECRET}, "write user and password, or identity_token"),
        ({}, "write user and password, or identity_token"),
        ({**LOGIN, "usr": SECRET}, "usr: there is no such parameter; did you mean user"),
        ({**LOGIN, "password": [SECRET]}, "in the file, password"),
        (SECRET, "not a JSON object with user and password"),
        ("[]", "not a JSON object with user and password"),
        (KEYS, "Amazon ECR alone takes"),
        ({"registries": [SECRET]}, "registries: holds logins by host"),
        ({"registries": {}, "user": "mover"}, "registries: holds logins by host, alone"),
        ({"registries": {"ghcr.io": SECRET}}, "ghcr.io: is not a JSON object with user"),
        ({"registries": {"ghcr.io": {"user": "mover"}}}, "ghcr.io: write user and password"),
        ({"registries": {"https://ghcr.io": LOGIN}}, "write the host without https://"),
        ({"registries": {"ghcr.io": KEYS}}, "keys of AWS for ghcr.io"),
        ({"auths": {"ghcr.io": {"auth": SECRET}}}, "auths: ghcr.io holds no login"),
        ({"auths": {"ghcr.io": SECRET}}, "auths: ghcr.io holds no login"),
        ({"auths": {"ghcr.io": {"auth": 1}}}, "auths: ghcr.io holds no login"),
        ({"auths": {"ghcr.io": {"username": "mover"}}}, "auths: ghcr.io holds no login"),
        ({"auths": [SECRET]}, "no login for ghcr.io"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_tells_no_secret(
    tmp_path: Path, values: Any, sentence: str
) -> None:
    path = login_file(tmp_path, values)
    with pytest.raises(InputError) as caught:
        Logins(location(credentials_file=path), {}).at()
    assert caught.value.field == "source_credentials_file"
    assert sentence in caught.value.message
    assert SECRET not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source_credentials_file: .*absent.* No such file"):
        Logins(location(credentials_file=str(tmp_path / "absent")), {})


@pytest.mark.parametrize(
    ("lent", "sentence"),
    [
        (None, "lends it to its own runs alone"),
        (Lent(), "there is no stored credential"),
        (Lent(credentials={"prod": KEYS}), "of kind login is needed"),
    ],
)
def test_a_stored_credential_that_cannot_be_used_is_refused(
    lent: Lent | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        Logins(location(credential="prod"), VARIABLES, lent).at()
    assert caught.value.field == "source_credential"
    assert SECRET not in caught.value.message


# Amazon ECR: keys, in the order of those of a bucket


@pytest.mark.parametrize("text", ["ecr://eu-west-1/team", f"{ECR}/team"])
def test_ecr_is_asked_with_keys(tmp_path: Path, text: str) -> None:
    path = login_file(tmp_path, ROLE)
    lent = Lent(credentials={"prod": ROLE})
    for options, env, origin in (
        ({"credential": "prod"}, KEY_VARIABLES, Origin.STORED),
        ({"credentials_file": path}, KEY_VARIABLES, Origin.FILE),
        ({"profile": "p"}, KEY_VARIABLES, Origin.PROFILE),
        ({}, {**KEY_VARIABLES, **VARIABLES}, Origin.VARIABLES),
        ({}, VARIABLES, Origin.CHAIN),
    ):
        chosen = Logins(location(text, **options), env, lent).at()
        assert chosen.keys is not None
        assert (chosen.keys.origin, chosen.login) == (origin, None)
        if origin in {Origin.STORED, Origin.FILE}:
            assert chosen.keys.role_arn == ROLE["role_arn"]
            assert chosen.keys.external_id == "x"


def test_ecr_takes_no_login(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="access_key_id: is missing"):
        Logins(location("ecr://eu-west-1", credentials_file=login_file(tmp_path, LOGIN)), {}).at()
    lent = Lent(credentials={"prod": LOGIN})
    with pytest.raises(InputError, match="holds no access key; a credential of kind keys"):
        Logins(location("ecr://eu-west-1", credential="prod"), {}, lent).at()


# A public source: many registries


def test_a_public_source_shows_each_registry_its_own_login_alone(tmp_path: Path) -> None:
    path = login_file(tmp_path, {"registries": {"ghcr.io": LOGIN, ECR: KEYS}})
    logins = Logins(location("public", credentials_file=path), {**VARIABLES, **KEY_VARIABLES})
    assert logins.at("ghcr.io").login == Login(user="mover", password=SECRET)
    assert logins.at("docker.io").login is None
    mine = logins.at(ECR)
    assert mine.keys is not None
    assert mine.keys.access_key == KEYS["access_key_id"]
    # Whoever may name a file may not thereby use the machine's own keys.
    other = logins.at("210987654321.dkr.ecr.us-east-1.amazonaws.com")
    assert (other.login, other.keys) == (None, None)
    described = logins.described()
    assert described.described == f"{path} for {ECR}, ghcr.io; anonymous elsewhere"
    (warning,) = described.warnings
    assert warning.startswith("DTH_SOURCE_USER is shown to no registry")


def test_a_public_source_is_anonymous_by_itself() -> None:
    logins = Logins(location("public"), VARIABLES)
    assert logins.at("ghcr.io").login is None
    assert logins.described().described == "anonymous"
    mine = Logins(location("public"), KEY_VARIABLES).at(ECR).keys
    assert mine is not None
    assert mine.origin is Origin.VARIABLES
    nobody = Logins(location("public", anonymous=True), KEY_VARIABLES).at(ECR)
    assert (nobody.login, nobody.keys) == (None, None)


def test_dockers_login_to_ecr_is_a_login(tmp_path: Path) -> None:
    path = login_file(tmp_path, {"auths": {ECR: {"auth": AUTH}}})
    chosen = Logins(location("public", credentials_file=path), {}).at(ECR)
    assert chosen.login == Login(user="mover", password=SECRET)


def test_a_login_for_one_registry_is_not_shown_to_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which registry the login is for") as caught:
        Logins(location("public", credentials_file=login_file(tmp_path, LOGIN)), {})
    assert SECRET not in caught.value.message
    lent = Lent(credentials={"prod": LOGIN, "keys": KEYS})
    with pytest.raises(InputError, match="make that registry the source"):
        Logins(location("public", credential="prod"), {}, lent).at("ghcr.io")
    keyed = Logins(location("public", credential="keys"), {}, lent)
    assert keyed.at("ghcr.io").login is None
    assert keyed.at(ECR).keys is not None


def test_what_is_shown_holds_no_secret(tmp_path: Path) -> None:
    path = login_file(tmp_path, {"registries": {"ghcr.io": LOGIN, ECR: KEYS}})
    logins = Logins(location("public", credentials_file=path), VARIABLES)
    shown = [logins.at("ghcr.io"), logins.at(ECR), logins.described()]
    shown.append(Logins(location(), VARIABLES).at())
    assert SECRET not in f"{shown!r}{[one.described for one in shown]}"
