"""Reads a credentials file of registries: one login, logins by host, or Docker's own file."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from transferhub.errors import InputError
from transferhub.hosts.credentials import (
    ChosenCredentials,
    Origin,
    chosen_keys,
    parse_keys,
    parse_secret,
    read_private,
)
from transferhub.model.faults import raise_faults
from transferhub.plugins.images.reference import parse_host
from transferhub.registries.base import Login

ANY: Final = ""
"""In place of a host: the file tells one login, whatever it is for."""

_DOCKER = frozenset({"auths", "credsStore", "credHelpers"})
_WANTED = "user and password, or identity_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFile:
    """Attributes:
    by_host: a login, or keys of AWS for a host of Amazon ECR.
    helpers: programs that keep the logins which Docker's file leaves out, by host or ANY.
    warnings: what the user should mend, a sentence each.
    """

    path: str
    by_host: Mapping[str, Login | ChosenCredentials]
    helpers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def of(self, host: str) -> Login | ChosenCredentials | None:
        return self.by_host.get(host, self.by_host.get(ANY))

    def helper_of(self, host: str) -> str:
        """Where the login is kept instead; empty where the file says nothing."""
        return self.helpers.get(host, "")


class _Login(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    user: str = Field(default="", description="The name to sign in with.")
    password: str = Field(default="", repr=False, description="Its password.")
    identity_token: str = Field(default="", repr=False, description="In place of a password.")


def read_login_file(path: str, field_name: str) -> LoginFile:
    """The logins of a file, whose shape is told by its keys.

        {"user": U, "password": P} or {"identity_token": T}
        {"registries": {HOST: one of these, or keys of AWS}}
        {"auths": {HOST: {"auth": base64 of U:P}}}, as Docker and Podman write it

    Raises:
        InputError: it cannot be read, or says something else. Nothing of it is repeated.
    """
    content, warnings = read_private(path, field_name)
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InputError(field_name, f"it is not a JSON object with {_WANTED}")
    helpers: Mapping[str, str] = {}
    if "registries" in document:
        by_host = _by_host(document, path, field_name)
    elif _DOCKER & document.keys():
        by_host, helpers = _docker_logins(document, field_name), _helpers(document)
    else:
        by_host = {ANY: _entry(document, path, field_name)}
    return LoginFile(path=path, by_host=by_host, helpers=helpers, warnings=warnings)


def _by_host(
    document: Mapping[str, Any], path: str, field_name: str
) -> dict[str, Login | ChosenCredentials]:
    entries = document["registries"]
    if not isinstance(entries, dict) or len(document) > 1:
        raise InputError(field_name, "in the file, registries: holds logins by host, alone")
    found: dict[str, Login | ChosenCredentials] = {}
    faults = []
    for written, entry in entries.items():
        try:
            host = parse_host(written, field=field_name)
            found[host] = _entry(entry, path, field_name, where=f"{written}: ")
        except InputError as fault:
            faults.append(fault)
    raise_faults(faults)
    return found


def _entry(
    entry: Any,  # noqa: ANN401 - the edge
    path: str,
    field_name: str,
    *,
    where: str = "",
) -> Login | ChosenCredentials:
    content = json.dumps(entry).encode()
    if isinstance(entry, dict) and "access_key_id" in entry:
        keys = parse_keys(content, field_name, where=where)
        return chosen_keys(Origin.FILE, path, keys.model_dump())
    read = parse_secret(_Login, content, field_name, wanted=_WANTED, where=where)
    if not read.identity_token and not (read.user and read.password):
        raise InputError(field_name, f"in the file, {where}write {_WANTED}")
    return Login(**read.model_dump())


def _docker_logins(
    document: Mapping[str, Any], field_name: str
) -> dict[str, Login | ChosenCredentials]:
    found: dict[str, Login | ChosenCredentials] = {}
    faults = []
    for host, entry in _docker_entries(document):
        try:
            login = _docker_login(entry)
        except (TypeError, ValueError, AttributeError):
            sentence = f"in the file, auths: {host} holds no login as Docker writes it"
            faults.append(InputError(field_name, sentence))
        else:
            if login is not None:
                found.setdefault(host, login)
    raise_faults(faults)
    return found


def _docker_entries(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Those of whole registries: Docker Hub is written as https://index.docker.io/v1/, and a login
    for a part of a registry is left out."""
    auths = document.get("auths")
    for written, entry in auths.items() if isinstance(auths, dict) else ():
        name, _, path = written.removeprefix("https://").removeprefix("http://").partition("/")
        if path.strip("/") in {"", "v1", "v2"}:
            try:
                yield parse_host(name, field="auths"), entry
            except InputError:
                continue


def _docker_login(entry: Any) -> Login | None:  # noqa: ANN401 - the edge
    """None where a helper keeps it.

    Raises:
        ValueError, TypeError, AttributeError: it is no login.
    """
    user, password = entry.get("username", ""), entry.get("password", "")
    if auth := entry.get("auth", ""):
        user, _, password = b64decode(auth, validate=True).decode().partition(":")
    token = entry.get("identitytoken", "")
    if not all(isinstance(value, str) for value in (user, password, token)):
        raise TypeError
    if not token and not (user and password):
        if user or password:
            raise ValueError
        return None
    return Login(user=user, password=password.rstrip("\0"), identity_token=token)


def _helpers(document: Mapping[str, Any]) -> dict[str, str]:
    """Programs by the hosts whose logins they keep."""
    store = document.get("credsStore")
    found = {host: str(store) for host, entry in _docker_entries(document) if store and not entry}
    helpers = document.get("credHelpers")
    for written, helper in helpers.items() if isinstance(helpers, dict) else ():
        found[written] = str(helper)
    return found
