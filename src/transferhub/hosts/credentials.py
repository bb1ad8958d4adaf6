"""Which credentials a location is reached with: chosen here, resolved by the store.

The stored credential, credentials file or profile that the location names; else the DTH_SOURCE_*
or DTH_DESTINATION_* variables; else the usual AWS chain (AWS_* variables, AWS configuration files,
SSO, web identity, the role of the container or machine). Anonymous locations use none.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.field_faults import faults_of
from transferhub.plugins.objects.location import Location

SIDE_VARIABLES = frozenset(
    f"DTH_{side}_{name}"
    for side in ("SOURCE", "DESTINATION")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ENDPOINT", "REGION")
)
"""Every variable that speaks of one side."""

_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


class Origin(StrEnum):
    NONE = "none"  # a folder needs none
    ANONYMOUS = "anonymous"
    STORED = "stored"  # lent by a hub
    FILE = "file"
    VARIABLES = "variables"
    PROFILE = "profile"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCredentials:
    """Where credentials come from, and the keys themselves if that is STORED, FILE or VARIABLES.

    Attributes:
        described: for people, without secrets.
        warnings: what the user should mend, a sentence each.
    """

    origin: Origin
    described: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    role_arn: str = ""
    external_id: str = ""
    profile: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """What a hub gives whoever reaches the places of a task. It goes through pipes only.

    Attributes:
        credentials: fields of stored credentials, by name.
        guarded: link-local addresses and metadata services are not connected to.
    """

    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    guarded: bool = True

    @property
    def secrets(self) -> frozenset[str]:
        """What of it may be seen nowhere."""
        return frozenset(
            value
            for fields in self.credentials.values()
            for name, value in fields.items()
            if name not in _SEEN
        )


_SEEN = frozenset({"access_key_id", "role_arn", "external_id"})


class _File(BaseModel):
    """The JSON of a credentials file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    access_key_id: str = Field(min_length=1, description="The access key.")
    secret_access_key: str = Field(min_length=1, repr=False, description="Its secret.")
    session_token: str = Field(default="", repr=False, description="Of temporary keys.")
    role_arn: str = Field(default="", description="Role to assume with the keys.")
    external_id: str = Field(default="", description="That the role's trust policy asks for.")


def variable(location: Location, name: str) -> str:
    """The variable of the location's side.

    >>> variable(Location(scheme="s3", environment="source"), "REGION")
    'DTH_SOURCE_REGION'
    """
    return f"DTH_{location.environment.upper()}_{name}"


def choose_credentials(
    location: Location, env: Mapping[str, str], lent: Lent | None = None
) -> ChosenCredentials:
    """What the location and the environment say.

    Args:
        lent: by a hub; None where there is none.

    Raises:
        InputError: a file or a stored credential cannot be used, or only a part of the variables is
            set.
    """
    if location.scheme == "file":
        return ChosenCredentials(origin=Origin.NONE, described="none needed")
    if location.anonymous:
        return ChosenCredentials(origin=Origin.ANONYMOUS, described="anonymous, unsigned requests")
    if location.credential:
        return _from_hub(location, lent)
    if location.credentials_file:
        return _from_file(location)
    if location.profile:
        return ChosenCredentials(
            origin=Origin.PROFILE,
            described=f"profile {location.profile} of the AWS configuration files",
            profile=location.profile,
        )
    return _from_variables(location, env) or ChosenCredentials(
        origin=Origin.CHAIN,
        described="the usual AWS chain: AWS_* variables, configuration files, SSO, role",
    )


def _from_hub(location: Location, lent: Lent | None) -> ChosenCredentials:
    name, field_name = location.credential, f"{location.environment}_credential"
    if lent is None:
        raise InputError(
            field_name,
            f"{name!r} is stored in a hub, which lends it to its own runs alone; here give a"
            " credentials file or a profile",
        )
    fields = lent.credentials.get(name)
    if fields is None:
        raise InputError(field_name, f"there is no stored credential {name!r}")
    if "access_key_id" not in fields:
        raise InputError(
            field_name, f"{name!r} holds no access key; a bucket needs a credential of kind keys"
        )
    return _of_keys(Origin.STORED, f"stored credential {name}", fields)


def _from_variables(location: Location, env: Mapping[str, str]) -> ChosenCredentials | None:
    names = [variable(location, n) for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
    key, secret, token = (env.get(name, "") for name in names)
    if not (key or secret or token):
        return None
    raise_faults(
        InputError(name, f"is not set, while {_first_set(names, env)} is; set both or neither")
        for name, value in ((names[0], key), (names[1], secret))
        if not value
    )
    return ChosenCredentials(
        origin=Origin.VARIABLES,
        described=f"{names[0]}, access key {masked_key(key)}",
        access_key=key,
        secret_key=secret,
        token=token,
    )


def _first_set(names: list[str], env: Mapping[str, str]) -> str:
    return next(name for name in names if env.get(name))


def _from_file(location: Location) -> ChosenCredentials:
    path = Path(location.credentials_file)
    field_name = f"{location.environment}_credentials_file"
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(field_name, f"{str(path)!r} cannot be read: {error.strerror}") from None
    read = _parse_file(content, field_name)
    warnings = []
    if mode & _OTHERS_MAY_READ:
        warnings.append(f"other users may read {path}, which holds a secret; run chmod 600 on it")
    return _of_keys(Origin.FILE, str(path), read.model_dump(), tuple(warnings))


def _of_keys(
    origin: Origin, name: str, fields: Mapping[str, str], warnings: tuple[str, ...] = ()
) -> ChosenCredentials:
    key, role = fields["access_key_id"], fields.get("role_arn", "")
    then = f", then role {role}" if role else ""
    return ChosenCredentials(
        origin=origin,
        described=f"{name}, access key {masked_key(key)}{then}",
        access_key=key,
        secret_key=fields["secret_access_key"],
        token=fields.get("session_token", ""),
        role_arn=role,
        external_id=fields.get("external_id", ""),
        warnings=warnings,
    )


def _parse_file(content: bytes, field_name: str) -> _File:
    """Nothing of the content is repeated in an error: any of it may be a secret."""
    try:
        read = _File.model_validate_json(content)
    except ValidationError as error:
        faults = faults_of(error, _File.model_fields)
        if any(not fault.field for fault in faults):
            raise InputError(
                field_name, "it is not a JSON object with access_key_id and secret_access_key"
            ) from None
        raise_faults(InputError(field_name, f"in the file, {fault.message}") for fault in faults)
        raise
    if read.external_id and not read.role_arn:
        raise InputError(field_name, "in the file, external_id: needs role_arn")
    return read


def masked_key(access_key: str) -> str:
    """Enough of an access key to know it by.

    >>> masked_key("AKIAIOSFODNN7EXAMPLE")
    'AKIA…MPLE'
    """
    shown = 4
    return f"{access_key[:shown]}…{access_key[-shown:]}" if len(access_key) > 3 * shown else "…"
