from pathlib import Path
from typing import Any

import pytest

from transferhub.errors import InputError
from transferhub.hosts.s3 import proxy_of
from transferhub.hosts.stores import describe_credentials, open_store, with_environment
from transferhub.plugins.objects.location import Location

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
