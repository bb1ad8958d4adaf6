"""Hosts of Amazon ECR's private registries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from transferhub.errors import InputError

_SUFFIXES: Final = {
    "amazonaws.com": "aws",
    "amazonaws.com.cn": "aws-cn",
    "amazonaws.eu": "aws-eusc",
    "c2s.ic.gov": "aws-iso",
    "sc2s.sgov.gov": "aws-iso-b",
    "cloud.adc-e.uk": "aws-iso-e",
    "csp.hci.ic.gov": "aws-iso-f",
    "on.aws": "aws",
    "on.amazonwebservices.com.cn": "aws-cn",
    "on.amazonwebservices.eu": "aws-eusc",
    "on.aws.ic.gov": "aws-iso",
    "on.aws.scloud": "aws-iso-b",
    "on.cloud-aws.adc-e.uk": "aws-iso-e",
    "on.aws.hci.ic.gov": "aws-iso-f",
}
"""Partitions by the end of a host, as botocore's partitions.json names them."""

_ENDS = "|".join(re.escape(suffix) for suffix in _SUFFIXES)
_REGION = r"(?P<region>[a-z0-9]+(?:-[a-z0-9]+)+)"
_HOST = re.compile(
    rf"(?P<account>[0-9]{{12}})\.dkr[.-]ecr(?P<fips>-fips)?\.{_REGION}\.(?P<suffix>{_ENDS})",
    re.ASCII,
)
_PRIVATE_HOST = re.compile(
    rf"(?:(?P<account>[0-9]{{12}})\.)?vpce-[a-z0-9-]+\.dkr\.ecr(?P<fips>-fips)?\.{_REGION}"
    rf"\.vpce\.(?P<suffix>{_ENDS})",
    re.ASCII,
)
_GOVCLOUD = "us-gov-"

MIN_NAME_LENGTH: Final = 2
MAX_NAME_LENGTH: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EcrHost:
    """What a host of Amazon ECR says. To ask it, its own `GetAuthorizationToken` names the host.

    Attributes:
        account: "" where the host of a private endpoint leaves it out.
        private: a VPC endpoint by its own name; one with private DNS has an ordinary host.
    """

    account: str
    region: str
    partition: str
    fips: bool = False
    dual_stack: bool = False
    private: bool = False

    @classmethod
    def parse(cls, host: str) -> Self | None:
        """None where the host is no private registry of ECR: `public.ecr.aws` is none."""
        name = host.lower().removesuffix(":443")
        match = _HOST.fullmatch(name) or _PRIVATE_HOST.fullmatch(name)
        if match is None:
            return None
        partition = _SUFFIXES[match["suffix"]]
        if partition == "aws" and match["region"].startswith(_GOVCLOUD):
            partition = "aws-us-gov"
        return cls(
            account=match["account"] or "",
            region=match["region"],
            partition=partition,
            fips=match["fips"] is not None,
            dual_stack=match["suffix"].startswith("on."),
            private=match.re is _PRIVATE_HOST,
        )


def check_ecr_repository(repository: str, *, field: str) -> None:
    """Raises InputError where ECR takes no repository of a name that other registries may take."""
    length = len(repository)
    if not MIN_NAME_LENGTH <= length <= MAX_NAME_LENGTH:
        raise InputError(
            field,
            f"{repository[:80]!r} has {length} characters; a repository of Amazon ECR has"
            f" {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH}",
        )
