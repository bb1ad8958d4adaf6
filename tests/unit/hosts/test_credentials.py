import json
from pathlib import Path
from typing import Any

import pytest

from transferhub.errors import InputError
from transferhub.hosts.credentials import Lent, Origin, choose_credentials, masked_key
from transferhub.plugins.objects.location import Location

KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "hunter2"}
VARIABLES = {"DTH_SOURCE_ACCESS_KEY_ID": "variable-key", "DTH_SOURCE_SECRET_ACCESS_KEY": "hunter2"}


def location(url: str = "s3://b", **options: Any) -> Location:
    return Location.parse(url, field="source", options=options)


def keys_file(folder: Path, values: Any) -> str:
    path = folder / "keys.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    path.chmod(0o600)
    return str(path)


def test_a_file_comes_before_variables(tmp_path: Path) -> None:
    path = keys_file(tmp_path, {**KEYS, "role_arn": "arn:aws:iam::1:role/r", "external_id": "x"})
    chosen = choose_credentials(location(credentials_file=path), VARIABLES)
    assert (chosen.origin, chosen.access_key) == (Origin.FILE, KEYS["access_key_id"])
    assert (chosen.role_arn, chosen.external_id) == ("arn:aws:iam::1:role/r", "x")
    assert chosen.warnings == ()


def test_a_profile_that_was_named_comes_before_variables() -> None:
    chosen = choose_credentials(location(profile="p"), VARIABLES)
    assert (chosen.origin, chosen.profile) == (Origin.PROFILE, "p")


def test_variables_come_before_the_chain() -> None:
    chosen = choose_credentials(location(), {**VARIABLES, "DTH_SOURCE_SESSION_TOKEN": "t"})
    assert (chosen.origin, chosen.secret_key, chosen.token) == (Origin.VARIABLES, "hunter2", "t")


def test_each_side_has_its_own_variables() -> None:
    there = Location.parse("s3://b", field="destination", environment="destination")
    assert choose_credentials(there, VARIABLES).origin is Origin.CHAIN


def test_anonymous_asks_nobody() -> None:
    assert choose_credentials(location(anonymous=True), VARIABLES).origin is Origin.ANONYMOUS
    assert choose_credentials(location("file:///d"), VARIABLES).origin is Origin.NONE


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("ACCESS_KEY_ID", ["DTH_SOURCE_SECRET_ACCESS_KEY"]),
        ("SECRET_ACCESS_KEY", ["DTH_SOURCE_ACCESS_KEY_ID"]),
        ("SESSION_TOKEN", ["DTH_SOURCE_ACCESS_KEY_ID", "DTH_SOURCE_SECRET_ACCESS_KEY"]),
    ],
)
def test_variables_that_are_half_set_are_refused(given: str, missing: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        choose_credentials(location(), {f"DTH_SOURCE_{given}": "hunter2"})
    faults = getattr(caught.value, "faults", [caught.value])
    assert [fault.field for fault in faults] == missing
    assert f"DTH_SOURCE_{given}" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    path = keys_file(tmp_path, KEYS)
    Path(path).chmod(0o644)
    (warning,) = choose_credentials(location(credentials_file=path), {}).warnings
    assert "chmod 600" in warning


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"access_key_id": "a"}, "secret_access_key: is missing"),
        ({**KEYS, "secret_access_key": ""}, "secret_access_key"),
        ({**KEYS, "sesion_token": "hunter2"}, "did you mean session_token"),
        ({**KEYS, "external_id": "x"}, "external_id: needs role_arn"),
        ({**KEYS, "session_token": ["hunter2"]}, "session_token"),
        ("hunter2", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("", "not a JSON object"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_tells_no_secret(
    tmp_path: Path, values: Any, sentence: str
) -> None:
    path = keys_file(tmp_path, values)
    with pytest.raises(InputError) as caught:
        choose_credentials(location(credentials_file=path), {})
    assert caught.value.field == "source_credentials_file"
    assert sentence in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source_credentials_file: .*absent.* No such file"):
        choose_credentials(location(credentials_file=str(tmp_path / "absent")), {})


def test_what_is_described_holds_no_secret(tmp_path: Path) -> None:
    path = keys_file(tmp_path, {**KEYS, "session_token": "hunter2"})
    for chosen in (
        choose_credentials(location(credentials_file=path), {}),
        choose_credentials(location(), VARIABLES),
    ):
        assert "hunter2" not in f"{chosen!r} {chosen.described}"


def test_a_short_key_is_not_shown_at_all() -> None:
    assert masked_key("short") == "…"


ROLE = {**KEYS, "session_token": "t", "role_arn": "arn:aws:iam::1:role/r", "external_id": "x"}


def test_a_hub_lends_a_stored_credential() -> None:
    lent = Lent(credentials={"prod": ROLE})
    chosen = choose_credentials(location(credential="prod"), VARIABLES, lent)
    assert (chosen.origin, chosen.access_key) == (Origin.STORED, KEYS["access_key_id"])
    assert (chosen.secret_key, chosen.token) == ("hunter2", "t")
    assert (chosen.role_arn, chosen.external_id) == (ROLE["role_arn"], "x")
    assert chosen.described.startswith("stored credential prod, access key AKIA…MPLE, then role")
    assert "hunter2" not in f"{chosen}{lent}"


@pytest.mark.parametrize(
    ("lent", "sentence"),
    [
        (None, "lends it to its own runs alone"),
        (Lent(), "there is no stored credential"),
        (Lent(credentials={"prod": {"token": "hunter2"}}), "of kind keys"),
    ],
)
def test_a_stored_credential_that_cannot_be_used_is_refused(
    lent: Lent | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        choose_credentials(location(credential="prod"), VARIABLES, lent)
    assert caught.value.field == "source_credential"
    assert "hunter2" not in caught.value.message
