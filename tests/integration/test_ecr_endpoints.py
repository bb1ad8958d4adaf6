"""Where the API of Amazon ECR is, in every partition."""

import pytest

from transferhub.errors import InputError
from transferhub.stores.s3.aws_endpoints import aws_endpoint


@pytest.mark.parametrize(
    ("region", "fips", "dual_stack", "endpoint"),
    [
        ("eu-west-1", False, False, "https://api.ecr.eu-west-1.amazonaws.com"),
        ("us-east-1", True, False, "https://api.ecr-fips.us-east-1.amazonaws.com"),
        ("us-east-1", False, True, "https://ecr.us-east-1.api.aws"),
        ("us-east-1", True, True, "https://ecr-fips.us-east-1.api.aws"),
        ("us-gov-west-1", False, False, "https://api.ecr.us-gov-west-1.amazonaws.com"),
        ("us-gov-west-1", True, False, "https://api.ecr-fips.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", False, False, "https://api.ecr.cn-north-1.amazonaws.com.cn"),
        ("cn-north-1", False, True, "https://ecr.cn-north-1.api.amazonwebservices.com.cn"),
        ("us-iso-east-1", False, False, "https://api.ecr.us-iso-east-1.c2s.ic.gov"),
        ("eusc-de-east-1", False, False, "https://api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("mx-future-9", False, False, "https://api.ecr.mx-future-9.amazonaws.com"),
    ],
)
def test_the_api_of_ecr_is_where_aws_says(
    region: str, fips: bool, dual_stack: bool, endpoint: str
) -> None:
    assert aws_endpoint("ecr", region, fips=fips, dual_stack=dual_stack) == endpoint


@pytest.mark.parametrize(
    "region", ["", "eu west", "a.test/", "eu-west-1.a.test", "EU-WEST-1", "eu"]
)
def test_a_region_that_is_none_is_told(region: str) -> None:
    with pytest.raises(InputError) as caught:
        aws_endpoint("ecr", region)
    assert caught.value.field == "region"
