import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.faults import InputErrors
from transferhub.plugins.objects.location import SCHEMES, WITHOUT_TAGS, Location, as_folder
from transferhub.stores.s3.providers import PROVIDERS


def parse(url: str, **options: object) -> Location:
    return Location.parse(url, field="source", options=options)


def fault(url: str, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(url, **options)
    return caught.value


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("S3://b/pre", "b", "pre/"),
        ("s3://b/pre/", "b", "pre/"),
        ("s3://b//", "b", "/"),
        ("s3://b//a//", "b", "/a//"),
        ("s3://My_Old.Bucket/a b?c#d%20/é", "My_Old.Bucket", "a b?c#d%20/é/"),
    ],
)
def test_a_url_is_taken_letter_by_letter(url: str, bucket: str, prefix: str) -> None:
    location = parse(url)
    assert (location.scheme, location.bucket, location.prefix) == ("s3", bucket, prefix)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_the_url_of_a_location_is_the_same_location(prefix: str) -> None:
    location = parse(f"s3://bucket/{prefix}")
    assert location.prefix == as_folder(prefix)
    assert parse(location.url) == location


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///data", "/data"),
        ("file:///data/", "/data"),
        ("file:////data//x/./y/", "/data/x/y"),
        ("file://localhost/data", "/data"),
        ("file:///", "/"),
        ("file:///a%20b", "/a%20b"),
    ],
)
def test_a_file_url_names_a_folder(url: str, path: str) -> None:
    location = parse(url)
    assert (location.path, location.prefix, location.bucket) == (path, "", "")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("/data/x", "file:///data/x"),
        ("./x", '"file://$PWD/x"'),
        (".", '"file://$PWD"'),
        ("~/x", '"file://$HOME/x"'),
        ("bucket/x", "s3://bucket/x"),
        ("file://rel/x", "file:///rel/x"),
        ("file://", "file:///FOLDER"),
        (r"C:\data", "path of Windows"),
        ("C:/data", "path of Windows"),
        ("file:///C:/data", "path of Windows"),
        ("gopher://b/x", "s3://"),
        ("https://b.s3.amazonaws.com/x", "--source-endpoint"),
        ("s3://", "s3://BUCKET/PREFIX"),
        ("s3:///x", "names no bucket"),
        ("s3://127.0.0.1:8333/b", "endpoint"),
        ("s3://arn:aws:s3:us-east-1:1:accesspoint/x", "alias"),
        ("s3://a b/x", "no bucket name"),
        ("s3://-a/x", "no bucket name"),
        (f"s3://{'a' * 256}/x", "no bucket name"),
        (f"s3://b/{'é' * 513}", "1024 bytes"),
        ("s3://b/\0", "zero byte"),
        ("s3://b/\udc80", "UTF-8"),
        ("", "is empty"),
    ],
)
def test_what_is_no_location_says_what_to_write(url: str, advice: str) -> None:
    error = fault(url)
    assert error.field == "source"
    assert advice in error.message


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    message = fault("abc://x").message
    assert all(f"{scheme}://" in message for scheme in SCHEMES)


def test_credentials_in_a_url_are_not_repeated() -> None:
    assert "hunter2" not in fault("s3://key:hunter2@bucket/x").message
    assert "hunter2" not in fault("s3://b", endpoint="http://me:hunter2@host").message
    assert "hunter2" not in fault("s3://b", proxy="http://me:hunter2@host:x").message


@pytest.mark.parametrize(
    ("url", "options", "provider"),
    [
        ("s3://b", {}, "aws"),
        ("s3://b", {"endpoint": "http://h"}, "other"),
        ("s3://b", {"endpoint": "http://h", "provider": "minio"}, "minio"),
        ("gs://b", {}, "gcs"),
        ("oss://b", {"endpoint": "http://h"}, "oss"),
        ("file:///b", {}, "file"),
    ],
)
def test_the_provider_follows_from_the_scheme(
    url: str, options: dict[str, object], provider: str
) -> None:
    assert parse(url, **options).provider_name == provider


@pytest.mark.parametrize(
    ("endpoint", "kept"),
    [
        ("http://127.0.0.1:8333/", "http://127.0.0.1:8333"),
        ("https://Host/storage/v1/s3", "https://host/storage/v1/s3"),
        ("", ""),
    ],
)
def test_an_endpoint_is_an_address(endpoint: str, kept: str) -> None:
    assert parse("s3://b", endpoint=endpoint).endpoint == kept


@pytest.mark.parametrize(
    "endpoint", ["host:1", "ftp://h", "http://", "http://h:99999", "http://h?x=1"]
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    assert fault("s3://b", endpoint=endpoint).field == "source_endpoint"


@pytest.mark.parametrize(
    ("url", "options", "field"),
    [
        ("s3://b", {"credentials_file": "keys.json"}, "source_credentials_file"),
        ("s3://b", {"ca_bundle": "ca.pem"}, "source_ca_bundle"),
        ("s3://b", {"anonymous": True, "profile": "p"}, "source_profile"),
        ("s3://b", {"profile": "p", "credentials_file": "/k"}, "source_profile"),
        ("s3://b", {"credential": "c", "profile": "p"}, "source_profile"),
        ("s3://b", {"credential": "c", "anonymous": True}, "source_anonymous"),
        ("s3://b", {"credential": "c", "credentials_file": "/k"}, "source_credentials_file"),
        ("file:///d", {"credential": "c"}, "source_credential"),
        ("s3://b", {"endpoint": "http://h", "fips": True}, "source_fips"),
        ("oss://b", {"accelerate": True}, "source_accelerate"),
        ("s3://b", {"account": "a"}, "source_account"),
        ("s3://b", {"fips": True, "accelerate": True}, "source_fips"),
        ("file:///b", {"region": "r"}, "source_region"),
        ("s3://b", {"endpont": "http://h"}, "source_endpont"),
        ("s3://b", {"addressing": "odd"}, "source_addressing"),
    ],
)
def test_an_option_that_does_not_go_is_named(
    url: str, options: dict[str, object], field: str
) -> None:
    assert fault(url, **options).field == field


def test_every_fault_is_told_at_once() -> None:
    error = fault("nowhere", endpoint="h", ca_bundle="x")
    assert isinstance(error, InputErrors)
    assert [f.field for f in error.faults] == ["source", "source_endpoint", "source_ca_bundle"]


def test_a_misspelt_option_is_suggested() -> None:
    assert "did you mean endpoint?" in fault("s3://b", endpont="http://h").message


def test_every_provider_of_the_s3_adapter_can_be_named() -> None:
    for name in PROVIDERS:
        assert parse("s3://b", provider=name, endpoint="http://h").provider_name == name


def test_providers_without_tags_are_those_of_the_s3_adapter() -> None:
    assert {name for name, it in PROVIDERS.items() if not it.tags} | {"file"} == WITHOUT_TAGS
