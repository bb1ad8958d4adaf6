from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest

from transferhub.errors import InputError
from transferhub.stores.s3.providers import (
    PROVIDERS,
    SCHEMES,
    Addressing,
    EndpointOptions,
    find_provider,
    recognised,
    resolve_endpoint,
)

BUCKET = "bucket"


def url(provider: str, region: str, bucket: str = BUCKET, **options: Any) -> str:
    """Of the bucket, as a request would have it."""
    endpoint = resolve_endpoint(
        find_provider(provider),
        region,
        EndpointOptions(**options),
        bucket=bucket,
    )
    return endpoint.origin_of(bucket) + endpoint.path_of(bucket)


@pytest.mark.parametrize(
    ("provider", "region", "expected"),
    [
        ("aws", "", "https://bucket.s3.us-east-1.amazonaws.com"),
        ("aws", "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com"),
        ("aws", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn"),
        ("aws", "us-gov-west-1", "https://bucket.s3.us-gov-west-1.amazonaws.com"),
        ("oss", "cn-hangzhou", "https://bucket.oss-cn-hangzhou.aliyuncs.com"),
        ("cos", "ap-beijing", "https://bucket.cos.ap-beijing.myqcloud.com"),
        ("kodo", "", "https://s3-cn-east-1.qiniucs.com/bucket"),
        ("kodo", "us-north-1", "https://s3-us-north-1.qiniucs.com/bucket"),
        ("obs", "cn-north-4", "https://bucket.obs.cn-north-4.myhuaweicloud.com"),
        ("gcs", "", "https://storage.googleapis.com/bucket"),
        ("b2", "us-west-004", "https://bucket.s3.us-west-004.backblazeb2.com"),
        ("wasabi", "", "https://bucket.s3.us-east-1.wasabisys.com"),
        ("wasabi", "eu-central-1", "https://bucket.s3.eu-central-1.wasabisys.com"),
    ],
)
def test_each_provider_is_reached_at_its_own_address(
    provider: str, region: str, expected: str
) -> None:
    assert url(provider, region) == expected


def test_r2_is_reached_by_account() -> None:
    assert url("r2", "", account="abc123") == "https://abc123.r2.cloudflarestorage.com/bucket"


@pytest.mark.parametrize(
    ("region", "options"),
    [
        ("eu-west-1", {}),
        ("eu-west-1", {"dual_stack": True}),
        ("us-west-2", {"fips": True}),
        ("us-west-2", {"fips": True, "dual_stack": True}),
        ("us-gov-east-1", {}),
        ("us-gov-east-1", {"fips": True, "dual_stack": True}),
        ("cn-northwest-1", {}),
        ("cn-northwest-1", {"dual_stack": True}),
        ("us-iso-east-1", {}),
        ("us-iso-east-1", {"fips": True}),
        ("us-isob-east-1", {}),
        ("eusc-de-east-1", {}),
    ],
)
def test_amazon_is_reached_where_botocore_reaches_it(region: str, options: dict[str, Any]) -> None:
    client = botocore.session.Session().create_client(
        "s3",
        region_name=region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=botocore.config.Config(
            use_dualstack_endpoint=options.get("dual_stack", False),
            use_fips_endpoint=options.get("fips", False),
            s3={"addressing_style": "virtual"},
        ),
    )
    signed = client.generate_presigned_url("list_objects_v2", Params={"Bucket": BUCKET})
    host = urlsplit(url("aws", region, **options)).hostname
    assert host == urlsplit(signed).hostname


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "bucket.s3-accelerate.amazonaws.com"),
        ({"dual_stack": True}, "bucket.s3-accelerate.dualstack.amazonaws.com"),
    ],
)
def test_acceleration_has_one_address(options: dict[str, Any], host: str) -> None:
    assert url("aws", "eu-west-1", accelerate=True, **options) == f"https://{host}"


@pytest.mark.parametrize(
    ("bucket", "addressing", "endpoint", "expected"),
    [
        ("bucket", None, "https://h.example", "https://h.example/bucket"),
        ("bucket", "virtual", "https://h.example", "https://bucket.h.example"),
        ("bucket", "virtual", "http://localhost:80", "http://bucket.localhost"),
        ("bucket", "path", "", "https://s3.us-east-1.amazonaws.com/bucket"),
        ("my.bucket", None, "", "https://s3.us-east-1.amazonaws.com/my.bucket"),
        ("my_bucket", None, "", "https://s3.us-east-1.amazonaws.com/my_bucket"),
        ("Bucket", None, "", "https://s3.us-east-1.amazonaws.com/Bucket"),
        ("my.bucket", "virtual", "", "https://my.bucket.s3.us-east-1.amazonaws.com"),
        ("bucket", None, "http://127.0.0.1:9000/", "http://127.0.0.1:9000/bucket"),
        ("bucket", None, "http://[::1]:9000", "http://[::1]:9000/bucket"),
        ("bucket", None, "https://h/storage/v1/s3/", "https://h/storage/v1/s3/bucket"),
        ("bucket", "virtual", "https://h/base", "https://bucket.h/base"),
        ("bucket", None, "https://H.Example:443", "https://h.example/bucket"),
        ("bucket", None, "h.example:8443", "https://h.example:8443/bucket"),
    ],
)
def test_a_bucket_stands_in_the_path_or_in_the_host_name(
    bucket: str, addressing: str | None, endpoint: str, expected: str
) -> None:
    style = Addressing(addressing) if addressing else None
    provider = "other" if endpoint else "aws"
    assert url(provider, "", bucket, addressing=style, endpoint=endpoint) == expected


@pytest.mark.parametrize("provider", ["oss", "cos", "obs", "b2", "wasabi", "minio", "gcs"])
def test_another_endpoint_of_a_provider_may_be_given(provider: str) -> None:
    found = resolve_endpoint(
        find_provider(provider), "r", EndpointOptions(endpoint="http://10.0.0.1:9000")
    )
    assert (found.url, found.provider.name, found.region) == (
        "http://10.0.0.1:9000",
        provider,
        "r",
    )


@pytest.mark.parametrize(
    ("provider", "region", "options", "fault"),
    [
        ("minio", "", {}, "endpoint: the provider 'minio' needs one"),
        ("other", "", {}, "endpoint: the provider 'other' needs one"),
        ("r2", "", {}, "endpoint: 'r2' needs one, such as https://{account}"),
        ("oss", "", {}, "region: the provider 'oss' needs one"),
        ("cos", "a.b/c", {}, "region: 'a.b/c' is not the name"),
        ("aws", "evil.example/", {}, "region: 'evil.example/' is not the name"),
        ("aws", "cn-north-1", {"fips": True}, "fips: AWS in China has no FIPS"),
        ("aws", "", {"fips": True, "accelerate": True}, "fips: Transfer Acceleration has no"),
        ("aws", "cn-north-1", {"accelerate": True}, "accelerate: AWS in China has no"),
        ("other", "", {"endpoint": "ftp://h"}, "endpoint: 'ftp://h' is not a URL"),
        ("other", "", {"endpoint": "http://"}, "endpoint: 'http://' is not a URL"),
        ("other", "", {"endpoint": "http://h:99999"}, "endpoint: .*no valid port"),
        ("other", "", {"endpoint": "http://me:hunter2@h"}, "endpoint: it holds a scheme"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    provider: str, region: str, options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InputError, match=f"^{fault}") as caught:
        url(provider, region, **options)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_provider_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="'azure' is not known; it is one of aws, oss, cos"):
        find_provider("azure")


def test_each_scheme_names_one_provider() -> None:
    assert {scheme: provider.name for scheme, provider in SCHEMES.items()} == {
        "s3": "aws", "oss": "oss", "cos": "cos", "kodo": "kodo", "obs": "obs", "gs": "gcs",
        "r2": "r2", "b2": "b2",
    }  # fmt: skip
    assert {"aws", "oss", "cos", "kodo", "obs", "gcs", "r2", "b2", "minio", "wasabi"} <= set(
        PROVIDERS
    )


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"server": "SeaweedFS 30GB 4.48"}, "seaweedfs"),
        ({"server": "AmazonS3"}, None),
        ({"server": "MinIO"}, None),
        ({}, None),
        ({"access-control-allow-headers": "Accept, x-amz-meta-filename, x-amz-acl"}, "rclone"),
    ],
)
def test_a_server_of_which_quirks_are_known_is_recognised(
    headers: dict[str, str], name: str | None
) -> None:
    found = recognised(lambda header: headers.get(header, ""))
    assert (found and found.name) == name
