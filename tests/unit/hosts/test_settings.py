import doctest
from datetime import timedelta
from pathlib import Path

import pytest

from transferhub.errors import InputError
from transferhub.hosts import settings
from transferhub.hosts.settings import LogLevel, Settings, masked_url
from transferhub.model.faults import InputErrors

HOME = {"HOME": "/home/me"}


def load(env: dict[str, str] | None = None, **flags: str | None) -> Settings:
    given = {**HOME, **(env or {})}
    return Settings.load(env=given, processors=3, machine_file=Path("/none"), **flags)


def test_the_examples_hold() -> None:
    assert doctest.testmod(settings).failed == 0


def test_without_anything_there_are_defaults() -> None:
    found = load()
    assert found.state == Path("/home/me/.local/state/dth")
    assert (found.processes, found.concurrency, found.database) == (3, 64, "")
    assert set(found.origins.values()) == {"default"}


def test_the_state_folder_follows_xdg() -> None:
    assert load({"XDG_STATE_HOME": "/s"}).state == Path("/s/dth")
    assert load({"XDG_STATE_HOME": "rel"}).state == Path("/home/me/.local/state/dth")


def test_a_flag_wins_over_a_variable() -> None:
    found = load({"DTH_CONCURRENCY": "7", "DTH_LISTERS": "8"}, concurrency="9")
    assert (found.concurrency, found.listers) == (9, 8)
    assert found.origins["concurrency"] == "flag --concurrency"
    assert found.origins["listers"] == "environment DTH_LISTERS"
    assert found.origins["memory"] == "default"


def test_every_value_is_read_in_its_units() -> None:
    found = load(
        {
            "DTH_MEMORY": "1GiB",
            "DTH_BANDWIDTH": "50MB/s",
            "DTH_REQUESTS": "500/s",
            "DTH_LEASE": "90s",
            "DTH_LOG": "Debug",
            "DTH_STATE": "/s",
        }
    )
    assert (found.memory, found.bandwidth, found.requests) == (1 << 30, 50_000_000, 500)
    assert (found.lease, found.log, found.state) == (
        timedelta(seconds=90),
        LogLevel.DEBUG,
        Path("/s"),
    )


def test_tuning_is_that_of_the_settings() -> None:
    tuning = load({"DTH_MEMORY": "1GiB", "DTH_ATTEMPTS": "2"}).tuning()
    assert (tuning.memory_bytes, tuning.attempts, tuning.processes) == (1 << 30, 2, 3)


def test_an_empty_variable_counts_as_unset() -> None:
    assert load({"DTH_CONCURRENCY": ""}).concurrency == 64


def test_an_unknown_variable_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"DTH_CONCURENCY: .* did you mean DTH_CONCURRENCY"):
        load({"DTH_CONCURENCY": "1"})
    with pytest.raises(InputError, match="did you mean DTH_SOURCE_SECRET_ACCESS_KEY"):
        load({"DTH_SOURCE_SECRET_KEY": "x"})


def test_variables_of_a_side_and_of_others_are_let_through() -> None:
    load({"DTH_SOURCE_ENDPOINT": "x", "DTH_DESTINATION_SESSION_TOKEN": "x", "DTHX": "x"})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        load({"DTH_X": "1", "DTH_MEMORY": "1KB", "DTH_LOG": "loud"}, processes="0", attempts="many")
    fields = {fault.field for fault in caught.value.faults}
    assert fields == {"DTH_X", "DTH_MEMORY", "DTH_LOG", "--processes", "--attempts"}


def test_without_home_the_state_folder_must_be_named() -> None:
    with pytest.raises(InputError, match="--state"):
        Settings.load(env={}, processors=1)
    assert Settings.load(env={}, processors=1, state="/s").state == Path("/s")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:pass@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?user=me&password=pass", "postgresql://host/db?user=me&password=***"),
        ("sqlite:////x/y.db", "sqlite:////x/y.db"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url: str, masked: str) -> None:
    assert masked_url(url) == masked


def test_no_secret_is_described() -> None:
    found = load({"DTH_DATABASE": "postgresql://me:hunter2@host/db"})
    assert "hunter2" not in f"{found!r} {found.described()}"
    described = {it.name: it.value for it in found.described()}
    assert described["database"] == "postgresql://me:***@host/db"
    assert described["bandwidth"] == "no limit"
    assert set(described) == set(found.origins)


def test_a_wrong_database_is_refused_without_being_repeated() -> None:
    with pytest.raises(InputError) as caught:
        load(database="mysql://me:hunter2@host/db")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("text", ["5", "5/s", " 50 ", "1.5"])
def test_a_bandwidth_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(
        InputError, match=r"^--bandwidth: .* has no unit; write it such as [\d.]+MB/s$"
    ):
        Settings.load(env={"HOME": "/home/me"}, bandwidth=text)


def test_values_are_described_in_the_units_that_people_write() -> None:
    found = Settings.load(
        env={"HOME": "/home/me"}, memory="1GiB", bandwidth="50MB/s", requests="500/s"
    )
    described = {setting.name: setting.value for setting in found.described()}
    assert described["memory"] == "1024MiB"
    assert described["bandwidth"] == "50.0 MB/s"
    assert described["requests"] == "500/s"
    assert described["prices"] == "the list prices in this package"
