"""What is known of each provider of S3 storage, as data.

Sources: the providers' own pages on their S3 compatibility and endpoints, and the quirks that
rclone's provider table records.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from transferhub.errors import InputError
from transferhub.stores.s3.keys import ANY_KEY, FOLDERS, PATHS, KeyRules


class Addressing(StrEnum):
    """Where the bucket's name stands."""

    PATH = "path"  # https://host/bucket/key
    VIRTUAL = "virtual"  # https://bucket.host/key


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider of S3 storage.

    Attributes:
        name: as in `--provider`.
        scheme: of the URLs that name it, as in `oss://bucket/prefix`.
        endpoint: template with `{region}` or `{account}`; "" where the user must give one.
        region: signs and stands in the endpoint where the user gives none; "" where one must be
            given.
        addressing: the style that every bucket of it can be reached by.
        signs_payload: over plain HTTP a body's SHA-256 must be signed.
        url_encoding: honours `encoding-type=url`, which keeps control characters in XML.
        list_version: 1 where ListObjectsV2 is missing or does not work.
        md5_etags: the ETag of a PutObject is the body's MD5, where no key encrypts it.
        md5_multipart_etags: the ETag of an upload is the MD5 of its parts' MD5s, and their number.
        tags: object tagging works.
        batch_delete: DeleteObjects works.
        server_copy: CopyObject works.
        part_copy: UploadPartCopy works.
        ordered: lists in byte order.
        keys: the keys that it holds exactly.
        loses: names of Attributes fields that it takes and does not keep, and says nothing of.
        puts_empty_metadata: a PutObject keeps user metadata that has no value.
    """

    name: str
    scheme: str = "s3"
    endpoint: str = ""
    region: str = ""
    addressing: Addressing = Addressing.VIRTUAL
    signs_payload: bool = False
    url_encoding: bool = True
    list_version: int = 2
    md5_etags: bool = True
    md5_multipart_etags: bool = True
    tags: bool = True
    batch_delete: bool = True
    server_copy: bool = True
    part_copy: bool = True
    ordered: bool = True
    keys: KeyRules = ANY_KEY
    loses: frozenset[str] = frozenset()
    puts_empty_metadata: bool = True


AWS = Provider(
    name="aws",
    endpoint="https://s3.{region}.{suffix}",
    region="us-east-1",
    signs_payload=True,
)
OTHER = Provider(name="other", region="us-east-1", addressing=Addressing.PATH)
SEAWEEDFS = Provider(
    name="seaweedfs",
    region="us-east-1",
    addressing=Addressing.PATH,
    ordered=False,
    keys=FOLDERS,
    puts_empty_metadata=False,
)

RCLONE = Provider(
    name="rclone",
    region="us-east-1",
    addressing=Addressing.PATH,
    md5_multipart_etags=False,
    tags=False,
    server_copy=False,
    part_copy=False,
    keys=PATHS,
    loses=frozenset({"expires"}),
)

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        provider.name: provider
        for provider in (
            AWS,
            Provider(
                name="oss",
                scheme="oss",
                endpoint="https://oss-{region}.aliyuncs.com",
                md5_multipart_etags=False,
            ),
            Provider(
                name="cos",
                scheme="cos",
                endpoint="https://cos.{region}.myqcloud.com",
                list_version=1,
                md5_multipart_etags=False,
            ),
            Provider(
                name="kodo",
                scheme="kodo",
                endpoint="https://s3-{region}.qiniucs.com",
                region="cn-east-1",
                addressing=Addressing.PATH,
                url_encoding=False,
                md5_multipart_etags=False,
                tags=False,
            ),
            Provider(
                name="obs",
                scheme="obs",
                endpoint="https://obs.{region}.myhuaweicloud.com",
                url_encoding=False,
                list_version=1,
            ),
            Provider(
                name="gcs",
                scheme="gs",
                endpoint="https://storage.googleapis.com",
                region="auto",
                addressing=Addressing.PATH,
                md5_multipart_etags=False,
                tags=False,
                batch_delete=False,
                part_copy=False,
            ),
            Provider(
                name="r2",
                scheme="r2",
                endpoint="https://{account}.r2.cloudflarestorage.com",
                region="auto",
                addressing=Addressing.PATH,
                md5_multipart_etags=False,
                tags=False,
            ),
            Provider(
                name="b2",
                scheme="b2",
                endpoint="https://s3.{region}.backblazeb2.com",
                md5_multipart_etags=False,
                tags=False,
            ),
            Provider(name="minio", region="us-east-1", addressing=Addressing.PATH),
            Provider(
                name="wasabi", endpoint="https://s3.{region}.wasabisys.com", region="us-east-1"
            ),
            SEAWEEDFS,
            RCLONE,
            OTHER,
        )
    }
)

SCHEMES: Mapping[str, Provider] = MappingProxyType(
    {
        provider.scheme: provider
        for provider in reversed(tuple(PROVIDERS.values()))
        if provider.endpoint
    }
)
"""The provider that a URL scheme names; `s3` is Amazon's unless an endpoint is given."""

# Longest prefix first. Source: botocore's partitions.json.
_AWS_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)
_AWS_SUFFIX = "amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """What the user may say of an endpoint beside the provider's name and the region.

    Attributes:
        endpoint: URL of another endpoint of the provider; "" takes the provider's own.
        addressing: None takes the provider's own.
        account: the account id that R2's endpoint holds.
        dual_stack: AWS: reached over IPv6 too.
        fips: AWS: validated cryptography.
        accelerate: AWS: Transfer Acceleration, which the bucket must have been given.
    """

    endpoint: str = ""
    addressing: Addressing | None = None
    account: str = ""
    dual_stack: bool = False
    fips: bool = False
    accelerate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a provider is reached: an origin, and how buckets stand in its addresses.

    Attributes:
        origin: scheme, host and port, in lower case and without a slash at the end.
        base_path: what stands before the bucket in a path: "" or "/storage/v1/s3".
    """

    provider: Provider
    origin: str
    base_path: str = ""
    region: str
    addressing: Addressing

    @property
    def url(self) -> str:
        return self.origin + self.base_path

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https:")

    def origin_of(self, bucket: str) -> str:
        if self.addressing is Addressing.PATH:
            return self.origin
        scheme, _, host = self.origin.partition("://")
        return f"{scheme}://{bucket}.{host}"

    def path_of(self, bucket: str) -> str:
        """What stands before the slash and the key."""
        if self.addressing is Addressing.PATH:
            return f"{self.base_path}/{bucket}"
        return self.base_path


def recognised(header: Callable[[str], str]) -> Provider | None:
    """The provider that an answer betrays, of those whose quirks would do harm unknown.

    Args:
        header: gives a header's value by its name in lower case.
    """
    if header("server").startswith("SeaweedFS"):
        return SEAWEEDFS
    # The library under `rclone serve s3` calls itself AmazonS3, and allows this of its own.
    if "x-amz-meta-filename" in header("access-control-allow-headers"):
        return RCLONE
    return None


def find_provider(name: str) -> Provider:
    try:
        return PROVIDERS[name]
    except KeyError:
        known = ", ".join(PROVIDERS)
        raise InputError("provider", f"{name!r} is not known; it is one of {known}") from None


def resolve_endpoint(
    provider: Provider, region: str, options: EndpointOptions, *, bucket: str = ""
) -> Endpoint:
    """The endpoint that the user means.

    Args:
        region: "" takes the provider's default.
        bucket: decides the addressing where its name does not go with a host name.

    Raises:
        InputError: names the field that is missing or wrong.
    """
    region = region or provider.region
    url = options.endpoint or _own_url(provider, region, options)
    origin, base_path = _split(url)
    return Endpoint(
        provider=provider,
        origin=origin,
        base_path=base_path,
        region=region or "us-east-1",
        addressing=_addressing(provider, origin, options, bucket),
    )


def _own_url(provider: Provider, region: str, options: EndpointOptions) -> str:
    if not provider.endpoint:
        raise InputError("endpoint", f"the provider {provider.name!r} needs one")
    if provider.name == "aws":
        return _aws_url(region, options)
    if "{account}" in provider.endpoint and not options.account:
        raise InputError("endpoint", f"{provider.name!r} needs one, such as {provider.endpoint}")
    if "{region}" in provider.endpoint and not region:
        raise InputError("region", f"the provider {provider.name!r} needs one")
    if not _is_label(region) or not _is_label(options.account or "a"):
        raise InputError("region", f"{region!r} is not the name of a region")
    return provider.endpoint.format(region=region, account=options.account)


def _aws_url(region: str, options: EndpointOptions) -> str:
    """Source: AWS General Reference, "Amazon S3 endpoints"."""
    if not _is_label(region):
        raise InputError("region", f"{region!r} is not the name of a region")
    suffix = next((end for start, end in _AWS_SUFFIXES if region.startswith(start)), _AWS_SUFFIX)
    in_china = region.startswith("cn-")
    if options.fips and (in_china or options.accelerate):
        where = "AWS in China" if in_china else "Transfer Acceleration"
        raise InputError("fips", f"{where} has no FIPS endpoint")
    if options.accelerate:
        if in_china:
            raise InputError("accelerate", "AWS in China has no Transfer Acceleration")
        dual = ".dualstack" if options.dual_stack else ""
        return f"https://s3-accelerate{dual}.{suffix}"
    host = "s3-fips" if options.fips else "s3"
    if options.dual_stack:
        host += ".dualstack"
    return f"https://{host}.{region}.{suffix}"


def _split(url: str) -> tuple[str, str]:
    """Origin and base path of an endpoint's URL."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise InputError("endpoint", f"{url!r} has no valid port") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError("endpoint", f"{url!r} is not a URL such as https://s3.example.com")
    if parts.username or parts.query or parts.fragment:
        raise InputError("endpoint", "it holds a scheme, a host and a port; no user and no query")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own_port = {"http": 80, "https": 443}[parts.scheme]
    shown = "" if port in (None, own_port) else f":{port}"
    return f"{parts.scheme}://{host}{shown}", parts.path.rstrip("/")


def _addressing(
    provider: Provider, origin: str, options: EndpointOptions, bucket: str
) -> Addressing:
    if options.accelerate:
        return Addressing.VIRTUAL
    if options.addressing is not None:
        return options.addressing
    # A certificate for *.host does not hold for a name with dots; upper case is lost in host names.
    if "." in bucket or bucket != bucket.lower() or "_" in bucket or _is_address(origin):
        return Addressing.PATH
    return provider.addressing


def _is_address(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_label(name: str) -> bool:
    return name.isascii() and name.replace("-", "").isalnum()
