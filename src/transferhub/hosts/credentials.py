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
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.field_faults import faults_of

Secret = TypeVar("Secret", bound=BaseModel)


class Side(Protocol):
    """One side of a task, as far as it says who asks there: an object store or a registry."""

    @property
    def scheme(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def anonymous(self) -> bool: ...
    @property
    def credential(self) -> str: ...
    @property
    def credentials_file(self) -> str: ...
    @property
    def profile(self) -> str: ...


SIDE_VARIABLES = frozenset(
    f"DTH_{side}_{name}"
    for side in ("SOURCE", "DESTINATION")
    for name in (
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "USER",
        "PASSWORD",
        "ENDPOINT",
        "REGION",
    )
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


_SEEN = frozenset({"access_key_id", "role_arn", "external_id", "user"})


class KeysFile(BaseModel):
    """The JSON of a credentials file that holds keys of AWS."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    access_key_id: str = Field(min_length=1, description="The access key.")
    secret_access_key: str = Field(min_length=1, repr=False, description="Its secret.")
    session_token: str = Field(default="", repr=False, description="Of temporary keys.")
    role_arn: str = Field(default="", description="Role to assume with the keys.")
    external_id: str = Field(default="", description="That the role's trust policy asks for.")


def variable(location: Side, name: str) -> str:
    """The variable of the location's side, such as DTH_SOURCE_REGION."""
    return f"DTH_{location.environment.upper()}_{name}"


def choose_credentials(
    location: Side, env: Mapping[str, str], lent: Lent | None = None
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


def _from_hub(location: Side, lent: Lent | None) -> ChosenCredentials:
    fields = lent_fields(location, lent)
    if "access_key_id" not in fields:
        raise InputError(
            f"{location.environment}_credential",
            f"{location.credential!r} holds no access key; a credential of kind keys is needed",
        )
    return chosen_keys(Origin.STORED, f"stored credential {location.credential}", fields)


def lent_fields(location: Side, lent: Lent | None) -> Mapping[str, str]:
    """What a hub lends of the stored credential that the location names.

    Raises:
        InputError: nothing.
    """
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
    return fields


def _from_variables(location: Side, env: Mapping[str, str]) -> ChosenCredentials | None:
    key, secret, token = side_values(
        location, env, needed=("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), optional=("SESSION_TOKEN",)
    )
    if not key:
        return None
    return ChosenCredentials(
        origin=Origin.VARIABLES,
        described=f"{variable(location, 'ACCESS_KEY_ID')}, access key {masked_key(key)}",
        access_key=key,
        secret_key=secret,
        token=token,
    )


def side_values(
    location: Side,
    env: Mapping[str, str],
    *,
    needed: tuple[str, ...],
    optional: tuple[str, ...] = (),
) -> list[str]:
    """What the variables of the location's side hold: each "", or at least all that are needed.

    Raises:
        InputError: one that is needed is not set, while another one is.
    """
    names = [variable(location, name) for name in (*needed, *optional)]
    values = [env.get(name, "") for name in names]
    if any(values):
        raise_faults(
            InputError(name, f"is not set, while {_first_set(names, env)} is; set both or neither")
            for name, value in zip(names[: len(needed)], values, strict=False)
            if not value
        )
    return values


def _first_set(names: list[str], env: Mapping[str, str]) -> str:
    return next(name for name in names if env.get(name))


def _from_file(location: Side) -> ChosenCredentials:
    field_name = f"{location.environment}_credentials_file"
    content, warnings = read_private(location.credentials_file, field_name)
    keys = parse_keys(content, field_name)
    return chosen_keys(Origin.FILE, location.credentials_file, keys.model_dump(), warnings)


def read_private(path: str, field_name: str) -> tuple[bytes, tuple[str, ...]]:
    """A file that holds a secret, and a warning where others may read it.

    Raises:
        InputError: it cannot be read.
    """
    try:
        content = Path(path).read_bytes()
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise InputError(field_name, f"{path!r} cannot be read: {error.strerror}") from None
    if mode & _OTHERS_MAY_READ:
        warning = f"other users may read {path}, which holds a secret; run chmod 600 on it"
        return content, (warning,)
    return content, ()


def chosen_keys(
    origin: Origin, name: str, fields: Mapping[str, str], warnings: tuple[str, ...] = ()
) -> ChosenCredentials:
    """Args:
    name: what holds the keys, for people.
    fields: those of a KeysFile.
    """
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


def parse_keys(content: bytes, field_name: str, *, where: str = "") -> KeysFile:
    """Raises InputError as `parse_secret`."""
    wanted = "access_key_id and secret_access_key"
    read = parse_secret(KeysFile, content, field_name, wanted=wanted, where=where)
    if read.external_id and not read.role_arn:
        raise InputError(field_name, f"in the file, {where}external_id: needs role_arn")
    return read


def parse_secret(
    model: type[Secret], content: bytes, field_name: str, *, wanted: str, where: str = ""
) -> Secret:
    """What a JSON object holds. Nothing of it is repeated in an error: any of it may be a secret.

    Args:
        wanted: its fields, for people.
        where: it lies in the file, with a colon and a space; "" for all of it.

    Raises:
        InputError: what is wrong with it.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        faults = faults_of(error, model.model_fields)
        if any(not fault.field for fault in faults):
            raise InputError(
                field_name, f"{where or 'it '}is not a JSON object with {wanted}"
            ) from None
        raise_faults(
            InputError(field_name, f"in the file, {where}{fault.message}") for fault in faults
        )
        raise


def masked_key(access_key: str) -> str:
    """Enough of an access key to know it by.

    >>> masked_key("AKIAIOSFODNN7EXAMPLE")
    'AKIA…MPLE'
    """
    shown = 4
    return f"{access_key[:shown]}…{access_key[-shown:]}" if len(access_key) > 3 * shown else "…"
