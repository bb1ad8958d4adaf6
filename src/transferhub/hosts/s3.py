"""Opens a bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from transferhub.errors import InputError
from transferhub.hosts.credentials import ChosenCredentials, Origin
from transferhub.plugins.objects.location import Location
from transferhub.stores.base import ObjectStore
from transferhub.stores.s3 import (
    Addressing,
    Anonymous,
    Credentials,
    CredentialSource,
    Endpoint,
    EndpointOptions,
    RegionFindingStore,
    S3Config,
    S3Store,
    StaticCredentials,
    TransportConfig,
    find_provider,
    resolve_endpoint,
)

_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def open_s3(
    location: Location,
    chosen: ChosenCredentials,
    env: Mapping[str, str],
    *,
    timeout: timedelta,
    guarded: bool = False,
) -> ObjectStore:
    """The bucket of a location that has its environment's endpoint and region already.

    Where it has no region, the bucket's own is found out when the assumed one is wrong.

    Args:
        guarded: link-local addresses and metadata services are not connected to.

    Raises:
        InputError: the endpoint, the region or an option is missing or wrong; its field is the
            location's, such as "source_region".
    """
    region = _region(location, chosen, env)

    def opened(region: str) -> S3Store:
        endpoint = _endpoint(location, region)
        config = S3Config(
            bucket=location.bucket,
            endpoint=endpoint,
            request_payer=location.request_payer,
            transport=TransportConfig(
                ca_bundle=Path(location.ca_bundle) if location.ca_bundle else None,
                proxy=location.proxy or proxy_of(endpoint.origin_of(location.bucket), env),
                read_timeout=timeout,
                refuses=refuses_of(guarded=guarded),
            ),
        )
        return S3Store(config, credential_source(chosen, endpoint.region))

    try:
        store = opened(region)
    except InputError as error:
        sentence = error.message.removeprefix(f"{error.field}: ")
        raise InputError(f"{location.environment}_{error.field}", sentence) from None
    return store if location.region else RegionFindingStore(store, opened)


def refuses_of(*, guarded: bool) -> Callable[[str], bool] | None:
    """What a transport is not to connect to.

    Args:
        guarded: link-local addresses and metadata services are not connected to.
    """
    if not guarded:
        return None
    from transferhub.control.endpoints import is_refused  # noqa: PLC0415 - of a hub alone

    return is_refused


def _region(location: Location, chosen: ChosenCredentials, env: Mapping[str, str]) -> str:
    """The location's region, or for Amazon S3 the one that AWS's own tools would take."""
    if location.region or location.provider_name != "aws":
        return location.region
    if chosen.origin in {Origin.PROFILE, Origin.CHAIN}:
        return usual_region(env, chosen.profile)
    return _first(env, _REGIONS)


def usual_region(env: Mapping[str, str], profile: str = "") -> str:
    """The region that AWS's own tools would take: a profile that was named wins over variables."""
    named = _first(env, _REGIONS)
    if named and not profile:
        return named
    from transferhub.stores.s3.chain import (  # noqa: PLC0415 - it loads botocore, see there
        configured_region,
    )

    return configured_region(profile) or named


def _endpoint(location: Location, region: str) -> Endpoint:
    return resolve_endpoint(
        find_provider(location.provider_name),
        region,
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


def credential_source(chosen: ChosenCredentials, region: str) -> CredentialSource:
    """What gives the credentials that were chosen; `region` is where a role is asked for."""
    match chosen.origin:
        case Origin.NONE | Origin.ANONYMOUS:
            return Anonymous()
        case Origin.STORED | Origin.FILE | Origin.VARIABLES:
            given = Credentials(
                access_key=chosen.access_key, secret_key=chosen.secret_key, token=chosen.token
            )
            return _resolved(chosen, given, region) if chosen.role_arn else StaticCredentials(given)
        case Origin.PROFILE | Origin.CHAIN:
            return _resolved(chosen, None, region)
        case _:
            assert_never(chosen.origin)


def _resolved(chosen: ChosenCredentials, keys: Credentials | None, region: str) -> CredentialSource:
    from transferhub.stores.s3.chain import (  # noqa: PLC0415 - it loads botocore, see there
        ResolvedCredentials,
        Role,
    )

    role = Role(arn=chosen.role_arn, external_id=chosen.external_id) if chosen.role_arn else None
    return ResolvedCredentials(profile=chosen.profile, keys=keys, role=role, region=region)


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
