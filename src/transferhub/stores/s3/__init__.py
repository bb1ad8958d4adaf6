"""Amazon S3 and compatible services."""

from transferhub.stores.s3.client import S3Store
from transferhub.stores.s3.credentials import (
    Anonymous,
    Credentials,
    CredentialSource,
    StaticCredentials,
)
from transferhub.stores.s3.finding import RegionFindingStore
from transferhub.stores.s3.providers import (
    PROVIDERS,
    SCHEMES,
    Addressing,
    Endpoint,
    EndpointOptions,
    Provider,
    find_provider,
    resolve_endpoint,
)
from transferhub.stores.s3.requests import S3Config
from transferhub.stores.s3.transport import TransportConfig

__all__ = [
    "PROVIDERS",
    "SCHEMES",
    "Addressing",
    "Anonymous",
    "CredentialSource",
    "Credentials",
    "Endpoint",
    "EndpointOptions",
    "Provider",
    "RegionFindingStore",
    "S3Config",
    "S3Store",
    "StaticCredentials",
    "TransportConfig",
    "find_provider",
    "resolve_endpoint",
]
