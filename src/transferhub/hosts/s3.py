"""Opens a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from transferhub.errors import InputError
from transferhub.hosts.credentials import ChosenCredentials, Origin
from transferhub.plugins.objects.location import Location
from transferhub.stores.s3 import (
    Addressing,
    Anonymous,
    Credentials,
    CredentialSource,
    Endpoint,
    EndpointOptions,
    S3Config,
    S3Store,
    StaticCredentials,
    TransportConfig,
    find_provider,
    resolve_endpoint,
)

READ_TIMEOUT = timedelta(seconds=60)


def open_s3(
    location: Location,
    chosen: ChosenCredentials,
    env: Mapping[str, str],
    *,
    timeout: timedelta = READ_TIMEOUT,
) -> S3Store:
    """The bucket of a location that has its environment's endpoint and region already.

    Raises:
        InputError: the endpoint, the region or an option is missing or wrong; its field is the
            location's, such as "source_region".
    """
    try:
        endpoint = _endpoint(location)
        config = S3Config(
            bucket=location.bucket,
            endpoint=endpoint,
            request_payer=location.request_payer,
            transport=TransportConfig(
                ca_bundle=Path(location.ca_bundle) if location.ca_bundle else None,
                proxy=location.proxy or proxy_of(endpoint.origin_of(location.bucket), env),
                read_timeout=timeout,
            ),
        )
        return S3Store(config, _credentials(chosen))
    except InputError as error:
        sentence = error.message.removeprefix(f"{error.field}: ")
        raise InputError(f"{location.environment}_{error.field}", sentence) from None


def _endpoint(location: Location) -> Endpoint:
    return resolve_endpoint(
        find_provider(location.provider_name),
        location.region,
        EndpointOptions(
            endpoint=location.endpoint,
            addressing=None if location.addressing == "auto" else Addressing(location.addressing),
            account=location.account,
            dual_stack=location.dual_stack,
            fips=location.fips,
            accelerate=location.accelerate,
        ),
        bucket=location.bucket,
    )


def _credentials(chosen: ChosenCredentials) -> CredentialSource:
    if chosen.origin in (Origin.NONE, Origin.ANONYMOUS):
        return Anonymous()
    given = Credentials(
        access_key=chosen.access_key, secret_key=chosen.secret_key, token=chosen.token
    )
    if chosen.origin in (Origin.FILE, Origin.VARIABLES) and not chosen.role_arn:
        return StaticCredentials(given)
    # A profile, a role and the AWS chain are botocore's to resolve; stores.s3 does not do so yet.
    raise InputError("credentials_file", f"cannot use {chosen.described}; give a file with keys")


def proxy_of(origin: str, env: Mapping[str, str]) -> str:
    """The proxy that https_proxy or http_proxy names for `origin`, "" where no_proxy lists it.

    Names in capitals count after these, but for HTTP_PROXY: as curl has it, that one may come from
    the header of a request that a web server handles.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    names = ("https_proxy", "HTTPS_PROXY") if parts.scheme == "https" else ("http_proxy",)
    proxy = _first(env, (*names, "all_proxy", "ALL_PROXY"))
    if not proxy or _is_excepted(host, _first(env, ("no_proxy", "NO_PROXY"))):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((env[name] for name in names if env.get(name)), "")


def _is_excepted(host: str, exceptions: str) -> bool:
    for exception in exceptions.replace(",", " ").split():
        name = exception.lower().removeprefix("*").lstrip(".")
        if exception == "*" or host == name or (name and host.endswith(f".{name}")):
            return True
        if "/" in name and _is_within(host, name):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
