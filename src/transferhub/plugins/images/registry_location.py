"""Where images are: one registry, or a folder of its repositories, and how it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.field_faults import faults_of
from transferhub.plugins.images.ecr import EcrHost
from transferhub.plugins.images.reference import DOCKER_HUB, check_repository, parse_host

Environment = Literal["source", "destination"]
Scheme = Literal["registry", "ecr", "public"]

PUBLIC: Final = "public"
"""Written for a source where each image names its own registry."""

_ECR = "ecr://"
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+)+-[0-9]+", re.ASCII)
_ACCOUNT = re.compile(r"(?:[0-9]{12})?", re.ASCII)
_WHERE = ("scheme", "host", "prefix")
_ECR_ONLY = ("account", "region", "endpoint", "profile")
_IDENTITIES = ("credential", "profile", "credentials_file", "anonymous")


class RegistryLocation(BaseModel):
    """A registry with a prefix; holds no secret.

    Written `HOST[/PREFIX]`, `ecr://REGION[/PREFIX]` (the host is asked of Amazon ECR), or `public`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Scheme = Field(
        default="registry",
        description="Kind of registry; public is a source where each image names its own.",
    )
    environment: Environment = Field(
        default="source",
        description="Whose variables apply: DTH_SOURCE_* or DTH_DESTINATION_*.",
    )
    host: str = Field(
        default="", description='Host and port; "" for public, and where ECR is asked for it.'
    )
    prefix: str = Field(
        default="", description='Folder of repositories, with its slash; "" is the whole registry.'
    )
    account: str = Field(
        default="", description='AWS account of an ECR registry; "" is that of the credentials.'
    )
    region: str = Field(default="", description="AWS region of an ECR registry.")
    endpoint: str = Field(
        default="",
        description="http:// or https:// and the host of ECR's API, such as a private endpoint's.",
    )
    credential: str = Field(default="", description="Name of a credential that the hub stores.")
    profile: str = Field(default="", description="Named profile of the AWS configuration files.")
    credentials_file: str = Field(
        default="", description="Absolute path of a JSON file with the keys; never its content."
    )
    anonymous: bool = Field(default=False, description="Sign in to nothing.")
    ca_bundle: str = Field(
        default="", description="Absolute path of PEM certificates to trust for TLS."
    )
    proxy: str = Field(default="", description="http:// URL of the proxy, without credentials.")
    plain_http: bool = Field(default=False, description="Reach the registry without TLS.")

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        field: str,
        environment: Environment = "source",
        options: Mapping[str, object] | None = None,
    ) -> Self:
        """The registry that `text` names.

        Args:
            field: named by faults; those of an option are named `<field>_<option>`.
            options: values of other fields, by name.

        Raises:
            InputError: InputErrors where there is more than one fault.
        """
        faults: list[InputError] = []
        parts: dict[str, str] = {"scheme": "public"}
        try:
            parts = _split(text, field)
        except InputError as fault:
            faults.append(fault)
        try:
            values = {**parts, **_given(options, parts), "environment": environment}
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
        """From fields, or from a `url` and the other fields; the same faults as `parse`."""
        values = dict(fields)
        values.pop("environment", None)
        where = {name: str(values.pop(name)) for name in _WHERE if name in values}
        if where.get("scheme", "") not in ("", *get_args(Scheme)):
            raise InputError(f"{field}_scheme", f"is none of {', '.join(get_args(Scheme))}")
        url = values.pop("url", None)
        if url is None:
            url = _text(where, str(values.get("region", "")))
        elif any(where.values()):
            raise InputError(field, "has a url and its parts; leave one of them out")
        return cls.parse(str(url), field=field, environment=environment, options=values)

    @field_validator("endpoint", "proxy")
    @classmethod
    def _check_address(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (url.scheme not in ("http", "https") or not url.hostname):
            raise ValueError(f"{value!r} is no address; write https:// and the host")
        if url.username or url.password:
            raise ValueError("an address holds no credentials; leave them out")
        if url.path not in ("", "/") or url.query or url.fragment:
            raise ValueError(f"{value!r}: there is nothing after the host and its port")
        return value.rstrip("/")

    @field_validator("credentials_file", "ca_bundle")
    @classmethod
    def _check_path(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    @field_validator("account")
    @classmethod
    def _check_account(cls, value: str) -> str:
        if _ACCOUNT.fullmatch(value) is None:
            raise ValueError(f"{value[:40]!r} is no AWS account; write its 12 digits")
        return value

    def conflicts(self, field: str) -> list[InputError]:
        """Options that do not go together, or not with this kind of registry."""
        return list(_conflicts(self, field))

    @property
    def url(self) -> str:
        """For people, and for `parse`."""
        return _text({"scheme": self.scheme, "host": self.host, "prefix": self.prefix}, self.region)

    @property
    def login(self) -> Literal["optional", "needed"]:
        """Whether credentials are needed: Amazon ECR lets nobody unknown in."""
        return "needed" if self.scheme == "ecr" else "optional"

    @property
    def addresses(self) -> dict[str, str]:
        """URLs that it is reached at, "" for none, by the end of the field's name; "" is the
        registry itself."""
        host = f"https://{self.host}" if self.host else ""
        return {"": host, "_endpoint": self.endpoint, "_proxy": self.proxy}

    @property
    def files(self) -> dict[str, str]:
        """Paths on this machine that it uses, "" for none, by the end of the field's name."""
        return {"_credentials_file": self.credentials_file, "_ca_bundle": self.ca_bundle}

    @property
    def place(self) -> tuple[str, ...]:
        """Equal for locations whose `root` can be compared."""
        if self.scheme == "ecr":
            return ("ecr", self.account, self.region)
        return (self.host or PUBLIC,)

    @property
    def root(self) -> str:
        """What stands before each repository in `place`."""
        return self.prefix


def _given(options: Mapping[str, object] | None, parts: Mapping[str, str]) -> dict[str, object]:
    """Options, without those that are empty where the text says more."""
    given = dict(options or {})
    return {name: value for name, value in given.items() if value or not parts.get(name)}


def _split(text: str, field: str) -> dict[str, str]:
    """Raises InputError: says what to write instead."""
    if not text:
        raise InputError(field, "is empty; write a registry such as ghcr.io/team or ecr://REGION")
    if text == PUBLIC:
        return {"scheme": "public"}
    if text.startswith(_ECR):
        region, _, prefix = text.removeprefix(_ECR).partition("/")
        if _REGION.fullmatch(region) is None:
            raise InputError(
                field, f"{text[:80]!r} names no AWS region; write one such as ecr://eu-west-1"
            )
        return {"scheme": "ecr", "region": region, "prefix": _folder(prefix, field)}
    written, _, prefix = text.partition("/") if "://" not in text else (text, "", "")
    host = parse_host(written, field=field)
    ecr = EcrHost.parse(host)
    parts = {"scheme": "registry", "host": host, "prefix": _folder(prefix, field)}
    if ecr is not None:
        parts |= {"scheme": "ecr", "account": ecr.account, "region": ecr.region}
    return parts


def _folder(prefix: str, field: str) -> str:
    name = prefix.removesuffix("/")
    if not name:
        return ""
    if ":" in name or "@" in name:
        raise InputError(
            field, f"{prefix[:80]!r} is an image; name the registry here, and the image with images"
        )
    check_repository(name, field=field)
    return f"{name}/"


def _text(parts: Mapping[str, str], region: str) -> str:
    host, prefix = parts.get("host", ""), parts.get("prefix", "")
    if parts.get("scheme") == "ecr" and not host:
        return f"{_ECR}{region}/{prefix}".removesuffix("/")
    if not host:
        return PUBLIC if parts.get("scheme") == "public" else ""
    return f"{host}/{prefix}".removesuffix("/")


def _conflicts(location: RegistryLocation, field: str) -> Iterator[InputError]:
    if location.scheme != "ecr":
        for name in _ECR_ONLY:
            if getattr(location, name):
                yield InputError(f"{field}_{name}", "only Amazon ECR has one; leave it out")
    elif location.anonymous:
        yield InputError(
            f"{field}_anonymous", "a private registry of Amazon ECR is read by nobody unknown"
        )
    else:
        yield from _strays(location, field)
    given = [name for name in _IDENTITIES if getattr(location, name)]
    if len(given) > 1:
        yield InputError(f"{field}_{given[1]}", f"{given[0]} is given too; leave one of them out")
    if location.plain_http and location.ca_bundle:
        yield InputError(f"{field}_ca_bundle", "plain_http uses no certificates; leave it out")
    if location.plain_http and location.host in ("", DOCKER_HUB) and location.scheme != "ecr":
        yield InputError(f"{field}_plain_http", "is only for a registry of your own, by its host")


def _strays(location: RegistryLocation, field: str) -> Iterator[InputError]:
    """What is said of ECR beside its host, and is not what the host says."""
    says = EcrHost.parse(location.host) if location.host else None
    for name in ("account", "region"):
        told = getattr(says, name, "")
        if told and getattr(location, name) != told:
            yield InputError(f"{field}_{name}", f"the host says {told}; leave it out")
