import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_host import FakeHost, dth
from transferhub.cli.commands.transfer import command
from transferhub.engine.compare import CompareMode

PLACES = ("s3://a/x", "s3://b/y")

SPEC_FLAGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "prefix_list": (["--prefix-list", "/l.txt"], {"prefix_list": "/l.txt"}),
    "manifest": (["--manifest", "/m.csv"], {"manifest": "/m.csv"}),
    "inventory": (
        ["--inventory", "s3://inv/2024/manifest.json"],
        {"inventory_key": "2024/manifest.json"},
    ),
    "include": (["--include", "*.jpg", "--include", "*.png"], {"include": ("*.jpg", "*.png")}),
    "exclude": (["--exclude", "tmp/**"], {"exclude": ("tmp/**",)}),
    "min_size": (["--min-size", "1MiB"], {"min_size": 1 << 20}),
    "max_size": (["--max-size", "5GB"], {"max_size": 5_000_000_000}),
    "newer_than": (
        ["--newer-than", "2024-05-01"],
        {"newer_than": datetime(2024, 5, 1, tzinfo=UTC)},
    ),
    "older_than": (["--older-than", "7d"], {"older_than_given": "7d"}),
    "storage_classes_in": (
        ["--storage-class-in", "STANDARD, STANDARD_IA"],
        {"storage_classes_in": ("STANDARD", "STANDARD_IA")},
    ),
    "compare": (["--compare", "etag"], {"compare": CompareMode.ETAG}),
    "destination_prefix": (["--destination-prefix", "z"], {"destination_prefix": "z/"}),
    "storage_class": (["--storage-class", "GLACIER_IR"], {"storage_class": "GLACIER_IR"}),
    "storage_class_map": (
        ["--storage-class", "GLACIER=DEEP_ARCHIVE, *=STANDARD"],
        {"storage_class": {"GLACIER": "DEEP_ARCHIVE", "*": "STANDARD"}},
    ),
    "acl": (["--acl", "private"], {"acl": "private"}),
    "sse": (["--sse", "AES256"], {"sse": "AES256"}),
    "kms_key": (["--sse", "aws:kms", "--kms-key", "k"], {"sse": "aws:kms", "kms_key": "k"}),
    "keep_metadata": (["--no-keep-metadata"], {"keep_metadata": False}),
    "tags": (["--tags"], {"tags": True}),
    "copy_mode": (["--copy", "stream"], {"copy_mode": "stream"}),
    "part_size": (["--part-size", "64MiB"], {"part_size": 64 << 20}),
    "mirror": (["--mirror"], {"mirror": True}),
    "max_delete": (["--mirror", "--max-delete", "10k"], {"max_delete": 10_000}),
    "max_delete_percent": (
        ["--mirror", "--max-delete-percent", "2.5%"],
        {"max_delete_percent": 2.5},
    ),
}

SIDE_FLAGS: dict[str, tuple[list[str], Any]] = {
    "endpoint": (["https://s3.example.com"], "https://s3.example.com"),
    "provider": (["minio"], "minio"),
    "region": (["eu-west-3"], "eu-west-3"),
    "profile": (["paris"], "paris"),
    "credentials_file": (["/keys.json"], "/keys.json"),
    "anonymous": ([], True),
    "addressing": (["path"], "path"),
    "ca_bundle": (["/ca.pem"], "/ca.pem"),
    "proxy": (["http://proxy:3128"], "http://proxy:3128"),
    "request_payer": ([], True),
    "dual_stack": ([], True),
    "fips": ([], True),
    "accelerate": ([], True),
    "account": (["abc"], "abc"),
}

TUNING_FLAGS: dict[str, tuple[str, str, Any]] = {
    "bandwidth": ("50MB/s", "bandwidth", 50_000_000),
    "requests": ("500/s", "requests", 500.0),
    "attempts": ("7", "attempts", 7),
    "processes": ("3", "processes", 3),
    "concurrency": ("96", "concurrency", 96),
    "listers": ("8", "listers", 8),
    "memory": ("64MiB", "memory_bytes", 64 << 20),
}

OTHER_PARAMS = {
    "config",
    "source",
    "destination",
    "verify",
    "dry_run",
    "prices",
    "no_resume",
    "json",
    "quiet",
    "state",
    "ledger",
    "debug",
}


@pytest.mark.parametrize("case", SPEC_FLAGS)
def test_a_flag_reaches_the_spec(case: str) -> None:
    args, expected = SPEC_FLAGS[case]
    result = dth("transfer", *PLACES, *args)
    assert result.code == 0, result.err
    spec = result.host.asked["spec"]
    assert {name: getattr(spec, name) for name in expected} == expected


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("field", SIDE_FLAGS)
def test_a_flag_of_a_side_reaches_its_location(side: str, field: str) -> None:
    value, expected = SIDE_FLAGS[field]
    flag = "credentials" if field == "credentials_file" else field.replace("_", "-")
    places = ["r2://a/x", "r2://b/y"] if field == "account" else PLACES
    result = dth("transfer", *places, f"--{side}-{flag}", *value)
    assert result.code == 0, result.err
    assert getattr(getattr(result.host.asked["spec"], side), field) == expected


@pytest.mark.parametrize("flag", TUNING_FLAGS)
@pytest.mark.parametrize("words", [("transfer", *PLACES), ("resume", "r"), ("redrive", "r")])
def test_a_flag_of_speed_reaches_the_tuning(flag: str, words: tuple[str, ...]) -> None:
    text, field, expected = TUNING_FLAGS[flag]
    result = dth(*words, f"--{flag}", text)
    assert result.code == 0, result.err
    assert getattr(result.host.asked["tuning"], field) == expected


def test_every_parameter_of_transfer_is_tested_here() -> None:
    sides = {f"{side}_{field}" for side in ("source", "destination") for field in SIDE_FLAGS}
    tested = (set(SPEC_FLAGS) - {"storage_class_map"}) | sides | set(TUNING_FLAGS) | OTHER_PARAMS
    assert {param.name for param in command.params} == tested


def test_every_field_of_the_spec_has_a_flag_or_comes_with_one() -> None:
    spec = dth("transfer", *PLACES).host.asked["spec"]
    derived = {
        "prefix_list_sha256",
        "manifest_sha256",
        "inventory_key",
        "newer_than_given",
        "older_than_given",
    }
    assert set(type(spec).model_fields) - derived <= {param.name for param in command.params}


def test_nothing_given_leaves_the_defaults() -> None:
    asked = dth("transfer", *PLACES).host.asked
    assert asked["spec"].to_json().keys() == {"source", "destination"}
    assert (asked["resume"], asked["verify"]) == (True, False)
    assert asked["tuning"].bandwidth is None
    assert asked["tuning"].lease == timedelta(minutes=2)


def test_no_resume_and_verify_are_asked_of_the_host() -> None:
    asked = dth("transfer", *PLACES, "--no-resume", "--verify").host.asked
    assert (asked["resume"], asked["verify"]) == (False, True)


def test_files_are_taken_from_the_folder_where_the_user_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = dth(
        "transfer", *PLACES, "--prefix-list", "list.txt", "--source-ca-bundle", "~/ca.pem"
    ).host.asked
    assert asked["spec"].prefix_list == str(tmp_path / "list.txt")
    assert asked["spec"].source.ca_bundle == str(tmp_path / "ca.pem")


def test_the_environment_gives_endpoint_region_and_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DTH_SOURCE_ENDPOINT", "http://here:9000")
    monkeypatch.setenv("DTH_DESTINATION_REGION", "eu-west-3")
    monkeypatch.setenv("DTH_BANDWIDTH", "1MB/s")
    asked = dth("transfer", *PLACES).host.asked
    assert asked["spec"].source.endpoint == "http://here:9000"
    assert asked["spec"].destination.region == "eu-west-3"
    assert asked["tuning"].bandwidth == 1_000_000


def test_state_is_the_folder_that_was_given(tmp_path: Path) -> None:
    asked = dth("runs", "--state", str(tmp_path / "s")).host.asked
    assert asked["settings"].state == tmp_path / "s"


def test_a_dry_run_asks_for_a_preview_with_its_prices() -> None:
    result = dth("transfer", *PLACES, "--dry-run", "--prices", "/p.json", "--json")
    assert result.code == 0, result.err
    assert result.host.asked["prices"] == Path("/p.json")
    assert "tuning" not in result.host.asked
    assert json.loads(result.out)["copies"] == 3_400


def test_verify_takes_scope_and_compare() -> None:
    host = FakeHost()
    result = dth("verify", *PLACES, "--include", "*.jpg", "--compare", "size", host=host)
    assert result.code == 0, result.err
    assert host.asked["spec"].include == ("*.jpg",)
    assert host.asked["spec"].compare is CompareMode.SIZE


def test_failures_and_redrive_choose_by_code_and_key() -> None:
    for words in (("failures", "last"), ("redrive", "last")):
        asked = dth(*words, "--code", "denied", "--key", "a/*").host.asked
        assert (asked["run"], asked["code"], asked["key"]) == ("last", "denied", "a/*")
        asked = dth(*words).host.asked
        assert (asked["code"], asked["key"]) == ("", "*")


def test_doctor_looks_at_the_first_location_as_a_source() -> None:
    asked = dth("doctor", "s3://a", "s3://b").host.asked
    assert [place.environment for place in asked["locations"]] == ["source", "destination"]
