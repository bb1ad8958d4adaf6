"""Where objects are: one bucket or folder, and how it is reached."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.field_faults import faults_of

Environment = Literal["source", "destination"]
Scheme = Literal["s3", "oss", "cos", "obs", "kodo", "gs", "r2", "b2", "minio", "wasabi", "file"]
Provider = Literal[
    "", "aws", "oss", "cos", "obs", "kodo", "gcs", "r2", "b2", "minio", "wasabi", "seaweedfs",
    "rclone", "other",
]  # fmt: skip

SCHEMES: tuple[str, ...] = (
    "s3", "oss", "cos", "obs", "kodo", "gs", "r2", "b2", "minio", "wasabi", "file",
)  # fmt: skip
WITHOUT_TAGS = frozenset({"file", "kodo", "gcs", "r2", "b2", "rclone"})
"""Providers whose S3 interface has no object tags."""

_MAX_KEY_BYTES = 1_024
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]")
_WHERE = ("scheme", "bucket", "prefix", "path")
_S3_ONLY = (
    "provider", "endpoint", "region", "credential", "profile", "credentials_file", "anonymous",
    "ca_bundle", "proxy", "request_payer", "dual_stack", "fips", "accelerate", "account",
)  # fmt: skip


class Location(BaseModel):
    """A bucket with a prefix, or a folder of a disk; holds no secret.

    A prefix is a folder: `s3://b/pre` means the keys that start with `pre/`. URLs are taken letter
    by letter; nothing in them is percent-decoded, because keys may hold `%`, `?` and `#`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Scheme = Field(description="Kind of store; file is a folder of this machine.")
    environment: Environment = Field(
        default="source",
        description="Whose variables apply: DTH_SOURCE_* or DTH_DESTINATION_*.",
    )
    provider: Provider = Field(
        default="", description='Preset of the store; "" chooses by the scheme.'
    )
    bucket: str = Field(default="", description='Name of the bucket; "" for file.')
    prefix: str = Field(
        default="", description='Start of all keys, with its slash; "" is the whole bucket.'
    )
    path: str = Field(default="", description='Absolute path of the folder; "" but for file.')
    endpoint: str = Field(
        default="", description='http:// or https:// and the host; "" is the provider\'s own.'
    )
    region: str = Field(default="", description='"" finds it out or takes the provider\'s default.')
    credential: str = Field(default="", description="Name of a credential that the hub stores.")
    profile: str = Field(default="", description="Named profile of the AWS configuration files.")
    credentials_file: str = Field(
        default="", description="Absolute path of a JSON file with the keys; never its content."
    )
    anonymous: bool = Field(default=False, description="Send unsigned requests.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto", description="Whether the bucket stands in the path or in the host name."
    )
    ca_bundle: str = Field(
        default="", description="Absolute path of PEM certificates to trust for TLS."
    )
    proxy: str = Field(default="", description="http:// URL of the proxy, without credentials.")
    request_payer: bool = Field(default=False, description="The requester pays.")
    dual_stack: bool = Field(default=False, description="Use AWS endpoints of IPv4 and IPv6.")
    fips: bool = Field(default=False, description="Use AWS endpoints validated by FIPS 140.")
    accelerate: bool = Field(default=False, description="Use S3 Transfer Acceleration.")
    account: str = Field(default="", description="Account id of Cloudflare R2.")

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        field: str,
        environment: Environment = "source",
        options: Mapping[str, object] | None = None,
    ) -> Self:
        """The location that `url` names.

        Args:
            field: named by faults; those of an option are named `<field>_<option>`.
            options: values of other fields, by name.

        Raises:
            InputError: InputErrors where there is more than one fault.
        """
        faults: list[InputError] = []
        parts: dict[str, str] = {"scheme": "file", "path": "/"}
        try:
            parts = split_url(url, field=field)
        except InputError as fault:
            faults.append(fault)
        values = {**(options or {}), **parts, "environment": environment}
        try:
            location = cls.model_validate(values)
        except ValidationError as error:
            raise_faults([*faults, *faults_of(error, cls.model_fields, f"{field}_")])
            raise
        if not faults:
            faults.extend(location.conflicts(field))
        raise_faults(faults)
        return location

    @classmethod
    def of(cls, fields: Mapping[str, Any], *, field: str, environment: Environment) -> Self:
        """From fields, or from a `url` and the other fields; the same faults as `parse`, and those
        of a field that says where it is are named `<field>.<name>`."""
        values = dict(fields)
        values.pop("environment", None)
        parts = {name: values.pop(name) for name in _WHERE if name in values}
        if "url" in values:
            raise_faults(
                InputError(f"{field}.{name}", "the url says it already; leave one of them out")
                for name, value in parts.items()
                if value
            )
            url = str(values.pop("url"))
        else:
            raise_faults(_part_faults(parts, field))
            url = _url(parts)
        return cls.parse(url, field=field, environment=environment, options=values)

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        return _web_address(value, "an endpoint") if value else ""

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: str) -> str:
        if value and urlsplit(value).path not in ("", "/"):
            raise ValueError(f"{value!r}: a proxy has nothing after its host and port")
        return _web_address(value, "a proxy") if value else ""

    @field_validator("credentials_file", "ca_bundle")
    @classmethod
    def _check_path(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    def conflicts(self, field: str) -> list[InputError]:
        """Options that do not go together, or not with this kind of store."""
        return list(_conflicts(self, field))

    @property
    def url(self) -> str:
        """For people, and for `parse`."""
        if self.scheme == "file":
            return f"file://{self.path}"
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    @property
    def provider_name(self) -> str:
        """The preset that applies: "aws", "gcs", "other" …, or "file"."""
        if self.provider:
            return self.provider
        match self.scheme:
            case "s3":
                return "other" if self.endpoint else "aws"
            case "gs":
                return "gcs"
            case _:
                return self.scheme

    @property
    def login(self) -> Literal["none", "needed"]:
        """Whether credentials are needed, unless it is read by everybody."""
        return "none" if self.scheme == "file" else "needed"

    @property
    def addresses(self) -> dict[str, str]:
        """URLs that it is reached at, "" for none, by the end of the field's name."""
        return {"_endpoint": self.endpoint, "_proxy": self.proxy}

    @property
    def files(self) -> dict[str, str]:
        """Paths on this machine that it uses, "" for none, by the end of the field's name; ""
        is the location itself."""
        if self.scheme == "file":
            return {"": self.path}
        return {"_credentials_file": self.credentials_file, "_ca_bundle": self.ca_bundle}

    @property
    def server(self) -> tuple[str, ...]:
        """Equal where both locations are on one server."""
        if self.scheme == "file":
            return ("file",)
        return (self.endpoint.lower() or self.provider_name, "" if self.endpoint else self.account)

    @property
    def place(self) -> tuple[str, ...]:
        """Equal for locations whose `root` can be compared. Bucket names are unique on a server."""
        return self.server if self.scheme == "file" else (*self.server, self.bucket)

    @property
    def root(self) -> str:
        """What stands before each key in `place`: the prefix, or the folder with its slash."""
        if self.scheme == "file":
            return self.path.rstrip("/") + "/"
        return self.prefix


def split_url(url: str, *, field: str) -> dict[str, str]:
    """`scheme` with `bucket` and `prefix`, or with `path`.

    Raises:
        InputError: says what to write instead.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    _refuse_unwritable(url, field)
    if not separator:
        raise InputError(field, _without_scheme(url))
    if scheme in ("http", "https"):
        raise InputError(
            field,
            "a web address does not say what is bucket and what is key;"
            f" write s3://BUCKET/PREFIX, and the server with --{field}-endpoint",
        )
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise InputError(field, f"there is no scheme {scheme}://; there are {known}")
    if scheme == "file":
        return {"scheme": scheme, "path": _file_path(rest, field)}
    bucket, _, prefix = rest.partition("/")
    fault = _bucket_fault(bucket, scheme)
    if fault:
        raise InputError(field, fault)
    if len(prefix.encode()) > _MAX_KEY_BYTES:
        raise InputError(field, f"the prefix is longer than {_MAX_KEY_BYTES} bytes, as no key is")
    return {"scheme": scheme, "bucket": bucket, "prefix": as_folder(prefix)}


def as_folder(prefix: str) -> str:
    """The prefix with its slash; "" stays.

    >>> as_folder("logs")
    'logs/'
    """
    return f"{prefix}/" if prefix and not prefix.endswith("/") else prefix


def _refuse_unwritable(url: str, field: str) -> None:
    try:
        url.encode()
    except UnicodeEncodeError:
        raise InputError(field, "it is not valid UTF-8") from None
    if "\0" in url:
        raise InputError(field, "it holds a zero byte")


def _without_scheme(text: str) -> str:
    if not text:
        return "is empty; write a location such as s3://BUCKET/PREFIX or file:///FOLDER"
    if _DRIVE.match(text) or "\\" in text:
        return _windows(text)
    if text.startswith("/"):
        return f"for a folder write file://{text}"
    if text.startswith("~"):
        return f'for a folder write "file://$HOME{text[1:]}"'
    relative = text.removeprefix("./")
    folder = f'"file://$PWD/{relative}"' if relative not in ("", ".") else '"file://$PWD"'
    if text.startswith("."):
        return f"for a folder write {folder}"
    return f"{text!r} has no scheme; write s3://{text} for a bucket, or {folder} for a folder"


def _windows(path: str) -> str:
    return f"{path!r} is a path of Windows; give the absolute path of a Linux folder, as file:///FOLDER"


def _file_path(rest: str, field: str) -> str:
    if _DRIVE.match(rest):
        raise InputError(field, _windows(rest))
    if rest in ("", "localhost"):
        raise InputError(field, "file:// names no folder; write file:///FOLDER")
    rest = rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
    if not rest.startswith("/"):
        raise InputError(
            field,
            f"file:// needs an absolute path; write file:///{rest}"
            f' or, for a folder of this one, "file://$PWD/{rest.removeprefix("./")}"',
        )
    return "/" + posixpath.normpath(rest).lstrip("/")


def _bucket_fault(bucket: str, scheme: str) -> str:
    """Looser than any provider's rules: the server has the last word."""
    if not bucket:
        return f"names no bucket; write {scheme}://BUCKET/PREFIX"
    if "@" in bucket:  # what stands before it may be a secret, so nothing is repeated
        return "credentials do not belong into a location; use a credentials file or a profile"
    if bucket.startswith("arn:"):
        return "an ARN is no bucket name; write the access point's alias instead"
    if ":" in bucket:
        return (
            f"{bucket!r} is no bucket name; write {scheme}://BUCKET/PREFIX,"
            " and the server as the endpoint"
        )
    if not _BUCKET.fullmatch(bucket):
        return f"{bucket!r} is no bucket name: up to 255 letters, digits, dots, dashes, underscores"
    return ""


def _web_address(value: str, what: str) -> str:
    """The address without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"{what} is http:// or https:// with a host and, at most, a port"
        ) from None
    if "@" in value:
        raise ValueError(f"{what} holds no credentials here")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(
            f"{value!r}: {what} is http:// or https:// with a host and, at most, a port"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"{value!r}: {what} has no query")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _part_faults(parts: Mapping[str, Any], field: str) -> Iterator[InputError]:
    """What is wrong with a scheme, a bucket, a prefix and a path, each by itself."""
    scheme = str(parts.get("scheme", ""))
    if scheme not in SCHEMES:
        yield InputError(f"{field}.scheme", f"write one of {', '.join(SCHEMES)}")
        return
    is_file = scheme == "file"
    for name in ("bucket", "prefix") if is_file else ("path",):
        if parts.get(name):
            yield InputError(f"{field}.{name}", f"a {scheme}:// location has none")
    fault = "" if is_file else _bucket_fault(str(parts.get("bucket", "")), scheme)
    if fault:
        yield InputError(f"{field}.bucket", fault)
    name = "path" if is_file else "prefix"
    try:
        split_url(_url({**parts, "bucket": "bucket"}), field=f"{field}.{name}")
    except InputError as error:
        yield error


def _url(values: Mapping[str, Any]) -> str:
    if values.get("scheme") == "file":
        return f"file://{values.get('path', '')}"
    return f"{values.get('scheme', '')}://{values.get('bucket', '')}/{values.get('prefix', '')}"


def _conflicts(location: Location, field: str) -> Iterator[InputError]:
    if location.scheme == "file":
        for name in _S3_ONLY:
            if getattr(location, name):
                yield InputError(f"{field}_{name}", "a file:// location has none")
        return
    yield from _access_conflicts(location, field)
    for name in ("dual_stack", "fips", "accelerate"):
        if getattr(location, name) and (location.provider_name != "aws" or location.endpoint):
            yield InputError(f"{field}_{name}", "is for Amazon S3's own endpoints")
    if location.fips and location.accelerate:
        yield InputError(f"{field}_fips", "S3 Transfer Acceleration has no FIPS endpoint")
    if location.account and location.provider_name != "r2":
        yield InputError(f"{field}_account", "is for Cloudflare R2")


def _access_conflicts(location: Location, field: str) -> Iterator[InputError]:
    if location.anonymous and location.profile:
        yield InputError(f"{field}_profile", "anonymous access uses no profile")
    if location.anonymous and location.credentials_file:
        yield InputError(f"{field}_credentials_file", "anonymous access uses no credentials")
    if location.profile and location.credentials_file:
        yield InputError(f"{field}_profile", "give a profile or a credentials file, not both")
    if location.credential:
        for name in ("anonymous", "profile", "credentials_file"):
            if getattr(location, name):
                words = name.replace("_", " ")
                yield InputError(
                    f"{field}_{name}", f"a stored credential is named; no {words} then"
                )
