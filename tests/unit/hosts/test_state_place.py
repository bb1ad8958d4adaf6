"""Where the state is, as the settings say it."""

import pickle
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from transferhub.errors import InputError
from transferhub.hosts.settings import Settings
from transferhub.hosts.state import StatePlace, adapters_of, open_hub_state

POSTGRES = "postgresql://me:hunter2@db/dth"
AWS = "aws://moves?region=eu-west-1"


def place(**flags: str) -> StatePlace:
    return StatePlace.of(
        Settings.load(
            env={"HOME": "/home/me"}, machine_file=Path("/none"), state="/s", processors=1, **flags
        )
    )


@pytest.mark.parametrize(
    ("flags", "url", "private", "shared", "roles"),
    [
        ({}, "sqlite:////s/dth.sqlite3", True, False, False),
        ({"database": "sqlite:////other.db"}, "sqlite:////other.db", False, False, False),
        ({"database": POSTGRES}, POSTGRES, False, True, False),
        ({"ledger": AWS}, "sqlite:////s/dth.sqlite3", False, True, True),
    ],
)
def test_a_place_says_who_may_share_it(
    flags: dict[str, str], url: str, *, private: bool, shared: bool, roles: bool
) -> None:
    found = place(**flags)
    assert found.database_url == url
    assert (found.is_private, found.is_shared, found.has_roles) == (private, shared, roles)


def test_a_place_goes_through_a_pipe_and_shows_no_password() -> None:
    found = StatePlace(folder=Path("/s"), database=POSTGRES, ledger=AWS)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - as a pipe does
    assert "hunter2" not in repr(found)


def test_aws_is_waited_for_no_longer_than_the_settings_say() -> None:
    found = Settings.load(env={"HOME": "/h", "DTH_PATIENCE": "2s"}, machine_file=Path("/none"))
    assert StatePlace.of(found).patience == timedelta(seconds=2)
    assert place().patience == timedelta(seconds=30)


def test_a_database_is_not_typed_beside_a_ledger() -> None:
    with pytest.raises(InputError, match=r"^--database: is not used beside a ledger"):
        place(database=POSTGRES, ledger=AWS)
    env = {"HOME": "/h", "DTH_DATABASE": POSTGRES}
    assert StatePlace.of(Settings.load(env=env, ledger=AWS, state="/s")).is_shared


async def test_a_state_on_aws_without_a_region_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    folder = tmp_path / "state"
    async with AsyncExitStack() as stack:
        with pytest.raises(InputError) as caught:
            await open_hub_state(StatePlace(folder=folder, ledger="aws://moves"), stack)
    assert caught.value.field == "ledger"
    assert "write aws://moves?region=eu-west-1" in caught.value.message
    assert not folder.exists()


async def test_each_adapter_is_opened_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        adapters = adapters_of(StatePlace(folder=tmp_path), stack)
        assert await adapters.ledger() is await adapters.ledger()
        assert (await adapters.shared()).ledger is await adapters.ledger()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("moves", "names no state on AWS; write aws://NAME?region=REGION"),
        ("aws://", "'' is no name of a state"),
        ("aws://moves/deep", "names no state on AWS"),
        ("aws://moves?regoin=eu-west-1", "there is no option 'regoin'"),
        ("aws://moves?region=Ireland", "'Ireland' is no region; write one such as eu-west-1"),
    ],
)
def test_what_is_no_ledger_is_refused_by_the_name_it_was_given_with(
    url: str, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        place(ledger=url)
    assert caught.value.field == "--ledger"
    assert sentence in caught.value.message
    with pytest.raises(InputError, match=r"^DTH_LEDGER: "):
        Settings.load(env={"HOME": "/h", "DTH_LEDGER": url}, machine_file=Path("/none"))


def test_a_ledger_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "dth.toml"
    file.write_text(f'ledger = "{AWS}"\n')
    found = Settings.load(env={"HOME": "/h"}, config=str(file))
    assert found.ledger == AWS
    assert found.origins["ledger"] == f"file {file}"
    described = {it.name: it.value for it in found.described()}
    assert described["ledger"] == AWS
