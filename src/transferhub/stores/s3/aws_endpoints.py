"""Where the services of AWS are, as botocore knows it of every partition.

Only imported when such a place is needed: see `chain`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from transferhub.errors import InputError

_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+", re.ASCII)


def aws_endpoint(service: str, region: str, *, fips: bool = False, dual_stack: bool = False) -> str:
    """The URL of a service's API. A region that botocore does not know is one of the partition that
    its name begins like, or of AWS's first one.

    Args:
        service: as botocore names it, such as "ecr".
        fips: validated cryptography.
        dual_stack: reached over IPv6 too.

    Raises:
        InputError: no region has such a name, or its partition has no such endpoint.
    """
    if not _REGION.fullmatch(region):
        raise InputError("region", f"write {region!r} as a region, such as eu-west-1")
    try:
        found = _provider(service).resolve_endpoint(
            Region=region, UseFIPS=fips, UseDualStack=dual_stack
        )
    except BotoCoreError as error:
        raise InputError("region", f"{region} has no such endpoint of {service}: {error}") from None
    return str(found.url)


@cache
def _provider(service: str) -> Any:  # noqa: ANN401 - botocore has no types
    loader = create_loader()
    rules = loader.load_service_model(service, "endpoint-rule-set-1")
    return EndpointProvider(rules, loader.load_data("partitions"))
