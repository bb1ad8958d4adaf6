"""Clients of AWS's services beside S3, at the place that the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from transferhub.aws.client import AwsClient, Service
from transferhub.hosts.credentials import ChosenCredentials
from transferhub.hosts.s3 import credential_source
from transferhub.stores.s3.transport import TransportConfig


def service_endpoint(
    service: Service,
    region: str,
    env: Mapping[str, str],
    *,
    fips: bool = False,
    dual_stack: bool = False,
) -> str:
    """AWS's own, or the one that the usual variables name (AWS_ENDPOINT_URL_ECR and its like).

    Raises:
        InputError: no region has such a name, or its partition has no such endpoint.
    """
    named = env.get(f"AWS_ENDPOINT_URL_{service.name.upper()}") or env.get("AWS_ENDPOINT_URL")
    if named:
        return named
    from transferhub.stores.s3.aws_endpoints import (  # noqa: PLC0415 - it loads botocore
        aws_endpoint,
    )

    return aws_endpoint(service.name, region, fips=fips, dual_stack=dual_stack)


def open_service(
    service: Service,
    endpoint: str,
    *,
    region: str,
    chosen: ChosenCredentials,
    transport: TransportConfig,
    patience: timedelta,
) -> AwsClient:
    """Asks nobody yet. Close it.

    Raises:
        InputError: there is no such profile, or the CA bundle or the proxy cannot be used.
    """
    return AwsClient(
        service,
        endpoint=endpoint,
        region=region,
        credentials=credential_source(chosen, region),
        transport=transport,
        patience=patience,
    )
