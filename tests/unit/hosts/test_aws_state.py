"""Which region, endpoints and credentials a state on AWS is reached with."""

from pathlib import Path

import pytest

from transferhub.errors import InputError
from transferhub.hosts.aws_state import open_connection, place_of, url_of
from transferhub.state.aws.connection import AwsPlace, parse_place


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS configuration with two profiles, and nothing of the developer's own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "config"
    file.write_text(
        "[default]\nregion = eu-north-1\n"
        "[profile paris]\nregion = eu-west-3\n"
        "[profile nowhere]\noutput = json\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("url", "env", "region"),
    [
        ("aws://moves?region=ap-east-1", {"AWS_REGION": "eu-west-1"}, "ap-east-1"),
        ("aws://moves", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "x"}, "eu-west-1"),
        ("aws://moves", {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ("aws://moves", {}, "eu-north-1"),
        ("aws://moves?profile=paris", {"AWS_REGION": "eu-west-1"}, "eu-west-3"),
        ("aws://moves?profile=nowhere", {"AWS_REGION": "eu-west-1"}, "eu-west-1"),
    ],
)
async def test_the_region_is_the_nearest_that_is_named(
    url: str, env: dict[str, str], region: str
) -> None:
    connection = open_connection(url, env, field="ledger")
    assert (connection.name, connection.region) == ("moves", region)
    await connection.aclose()


def test_without_a_region_it_says_what_to_write() -> None:
    with pytest.raises(InputError) as caught:
        open_connection("aws://moves?profile=nowhere", {}, field="ledger")
    assert caught.value.message == (
        "ledger: names no region for moves, and neither AWS_REGION nor the AWS configuration does;"
        " write aws://moves?region=eu-west-1"
    )


def test_a_profile_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputError) as caught:
        open_connection("aws://moves?region=eu-west-1&profile=oslo", {}, field="ledger")
    assert caught.value.field == "ledger"
    assert "have no 'oslo'; there are default, nowhere, paris" in caught.value.message


def test_a_place_is_written_as_it_is_read() -> None:
    for place in (
        AwsPlace(name="moves"),
        AwsPlace(name="Moves_2", region="eu-west-1", profile="my team/€"),
    ):
        assert parse_place(url_of(place)) == place


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a", "region": "Ireland"}, "region"),
    ],
)
def test_a_bad_name_or_region_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as caught:
        place_of(**given)
    assert caught.value.field == field
