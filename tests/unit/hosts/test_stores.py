import json
import os
from pathlib import Path
from typing import Any

import pytest

from transferhub.errors import DeniedError, InputError
from transferhub.hosts.s3 import proxy_of
from transferhub.hosts.stores import describe_credentials, open_store, with_environment
from transferhub.plugins.objects.location import Location
from transferhub.stores.s3 import RegionFindingStore

KEYS = {"DTH_SOURCE_ACCESS_KEY_ID": "k", "DTH_SOURCE_SECRET_ACCESS_KEY": "s"}


def location(url: str = "s3://bucket/pre", **options: Any) -> Location:
    return Location.parse(url, field="source", options=options)


def test_the_environment_fills_what_was_left_empty() -> None:
    env = {
        "DTH_SOURCE_ENDPOINT": "http://h:1/",
        "DTH_SOURCE_REGION": "r",
        "DTH_DESTINATION_REGION": "x",
    }
    filled = with_environment(location(), env)
    assert (filled.endpoint, filled.region) == ("http://h:1", "r")
    assert filled.provider_name == "other"
    kept = with_environment(location(region="mine"), env)
    assert (kept.endpoint, kept.region) == ("http://h:1", "mine")


def test_the_environment_says_nothing_of_a_folder() -> None:
    folder = location("file:///data")
    assert with_environment(folder, {"DTH_SOURCE_ENDPOINT": "x"}) == folder


def test_a_wrong_endpoint_names_its_variable() -> None:
    with pytest.raises(InputError, match="DTH_SOURCE_ENDPOINT: 'host'"):
        with_environment(location(), {"DTH_SOURCE_ENDPOINT": "host"})


def test_an_endpoint_of_the_environment_must_go_with_the_flags() -> None:
    with pytest.raises(InputError, match="source_fips"):
        with_environment(location(fips=True), {"DTH_SOURCE_ENDPOINT": "http://h"})


async def test_a_folder_is_opened(tmp_path: Path) -> None:
    store = open_store(location(f"file://{tmp_path}"), env={})
    await store.check()
    assert str(tmp_path) in store.location
    await store.aclose()


async def test_the_folder_of_a_destination_is_made(tmp_path: Path) -> None:
    there = Location.parse(f"file://{tmp_path}/new", field="destination", environment="destination")
    store = open_store(there, env={})
    await store.check()
    assert (tmp_path / "new").is_dir()
    await store.aclose()


async def test_a_bucket_is_opened_with_the_environments_endpoint_and_keys() -> None:
    store = open_store(location(), env={**KEYS, "DTH_SOURCE_ENDPOINT": "http://127.0.0.1:1"})
    assert store.location == "s3://bucket at http://127.0.0.1:1"
    await store.aclose()


async def test_a_bucket_may_be_opened_anonymously() -> None:
    store = open_store(location(anonymous=True), env=KEYS)
    assert "amazonaws.com" in store.location
    await store.aclose()


@pytest.fixture
def aws_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS configuration files with one profile, and no AWS variables."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text("[default]\nregion=eu-west-3\n[profile work]\nregion=cn-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "env", "place"),
    [
        ({}, {}, "s3.eu-west-3.amazonaws.com"),
        ({}, {"AWS_REGION": "us-west-2"}, "s3.us-west-2.amazonaws.com"),
        ({}, {"AWS_DEFAULT_REGION": "us-west-1"}, "s3.us-west-1.amazonaws.com"),
        ({}, {**KEYS, "DTH_SOURCE_REGION": "me-south-1"}, "s3.me-south-1.amazonaws.com"),
        ({}, KEYS, "s3.us-east-1.amazonaws.com"),
        ({"region": "sa-east-1"}, {"AWS_REGION": "us-west-2"}, "s3.sa-east-1.amazonaws.com"),
        ({"profile": "work"}, {"AWS_REGION": "us-west-2"}, "s3.cn-north-1.amazonaws.com.cn"),
        ({"endpoint": "http://127.0.0.1:1"}, {"AWS_REGION": "us-west-2"}, "127.0.0.1:1"),
    ],
)
async def test_the_region_comes_from_where_aws_tools_take_it(
    aws_home: Path, options: dict[str, Any], env: dict[str, str], place: str
) -> None:
    store = open_store(location(**options), env=env)
    assert store.location.endswith(f"://{place}")
    await store.aclose()


async def test_only_a_region_that_nobody_named_is_found_out(aws_home: Path) -> None:
    named = open_store(location(region="eu-west-1"), env=KEYS)
    assumed = open_store(location(), env=KEYS)
    assert not isinstance(named, RegionFindingStore)
    assert isinstance(assumed, RegionFindingStore)
    for store in (named, assumed):
        await store.aclose()


async def test_each_way_to_credentials_is_a_principal_of_its_own(aws_home: Path) -> None:
    keys = {"access_key_id": "k", "secret_access_key": "hunter2"}
    for name, role in (("plain", {}), ("role", {"role_arn": "arn:aws:iam::1:role/r"})):
        (aws_home / name).write_text(json.dumps({**keys, **role}))
    stores = [
        open_store(location(), env={}),
        open_store(location(), env=KEYS),
        open_store(location(anonymous=True), env={}),
        open_store(location(profile="work"), env={}),
        open_store(location(credentials_file=str(aws_home / "role")), env={}),
    ]
    principals = [store.capabilities.principal for store in stores]
    assert len(set(principals)) == len(principals)
    same = open_store(location(credentials_file=str(aws_home / "plain")), env={})
    assert same.capabilities.principal == principals[1]
    for store in (*stores, same):
        await store.aclose()


async def test_a_chain_without_credentials_is_refused_at_the_first_request(aws_home: Path) -> None:
    store = open_store(location(), env={})
    with pytest.raises(DeniedError, match=r"^Listing s3:.* no credentials were found") as caught:
        await store.check()
    assert caught.value.code == "no_credentials"
    await store.aclose()


def test_a_profile_that_is_not_there_is_named_by_its_side(aws_home: Path) -> None:
    with pytest.raises(InputError, match=r"^source_profile: .*'home'; there are default, work"):
        open_store(location(profile="home"), env={})


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("minio://bucket", "source_endpoint"),
        ("r2://bucket", "source_endpoint"),
        ("oss://b", "source_region"),
    ],
)
def test_what_an_endpoint_lacks_is_named_by_its_side(url: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        open_store(location(url), env=KEYS)
    assert caught.value.field == field


def test_credentials_are_described_for_people() -> None:
    assert "DTH_SOURCE_ACCESS_KEY_ID" in describe_credentials(location(), KEYS).described


@pytest.mark.parametrize(
    ("origin", "env", "proxy"),
    [
        ("https://h", {}, ""),
        ("https://h", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://h", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://h", {"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "http://a"),
        ("http://h", {"HTTPS_PROXY": "http://p"}, ""),
        ("http://h", {"HTTP_PROXY": "http://p"}, ""),
        ("http://h", {"http_proxy": "http://p"}, "http://p"),
        ("http://h", {"ALL_PROXY": "http://p"}, "http://p"),
        ("https://h", {"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, ""),
        ("https://a.h.com", {"HTTPS_PROXY": "http://p", "NO_PROXY": "x,.h.com"}, ""),
        ("https://ah.com", {"HTTPS_PROXY": "http://p", "NO_PROXY": "h.com"}, "http://p"),
        ("http://127.0.0.1:80", {"http_proxy": "http://p", "no_proxy": "localhost,127.0.0.1"}, ""),
        ("http://10.1.2.3", {"http_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, ""),
    ],
)
def test_the_usual_proxy_variables_count(origin: str, env: dict[str, str], proxy: str) -> None:
    assert proxy_of(origin, env) == proxy
