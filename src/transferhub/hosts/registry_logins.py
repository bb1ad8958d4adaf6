"""Who asks at a registry: chosen here, shown by the registry's client.

The stored credential or credentials file that the location names; else DTH_SOURCE_USER and
DTH_SOURCE_PASSWORD, or those of the destination; else nobody, whom public registries let read.
Amazon ECR gives its logins to keys of AWS, which are chosen as those of a bucket are.

The registries of a `public` source are many, and any image may name one more. Each is shown only
the login that a credentials file tells for its host; where no file is named, those of Amazon ECR
are asked with keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from transferhub.errors import InputError
from transferhub.hosts.credentials import (
    ChosenCredentials,
    Lent,
    choose_credentials,
    lent_fields,
    side_values,
    variable,
)
from transferhub.hosts.login_file import ANY, LoginFile, read_login_file
from transferhub.plugins.images.ecr import EcrHost
from transferhub.plugins.images.registry_location import PUBLIC, RegistryLocation
from transferhub.registries.base import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLogin:
    """Who asks at one registry. Its `repr` shows no secret.

    Attributes:
        described: for people, without secrets.
        login: to show; None: anonymous, or what Amazon ECR gives for `keys`.
        keys: of AWS; None where a registry is not asked through Amazon ECR.
        warnings: what the user should mend, a sentence each.
    """

    described: str
    login: Login | None = None
    keys: ChosenCredentials | None = None
    warnings: tuple[str, ...] = ()


ANONYMOUS = ChosenLogin(described="anonymous")


class Logins:
    """Who asks at the registries of a location."""

    def __init__(
        self, location: RegistryLocation, env: Mapping[str, str], lent: Lent | None = None
    ) -> None:
        """Args:
        lent: by a hub; None where there is none.

        Raises:
            InputError: a file cannot be used.
        """
        self._location = location
        self._env = env
        self._lent = lent
        self._file: LoginFile | None = None
        if location.scheme != "ecr" and location.credentials_file and not location.anonymous:
            self._file = read_login_file(location.credentials_file, self._file_field)
        if location.scheme == PUBLIC and self._file is not None and ANY in self._file.by_host:
            raise InputError(
                self._file_field,
                "in the file, it is not said which registry the login is for; write"
                ' {"registries": {"HOST": {"user": …, "password": …}}}',
            )

    @property
    def _file_field(self) -> str:
        return f"{self._location.environment}_credentials_file"

    def at(self, host: str = "") -> ChosenLogin:
        """Who asks at a host; at the location's own where it is "".

        Raises:
            InputError: a stored credential or the file holds nothing for it, or only a part of the
                variables is set.
        """
        location = self._location
        if location.scheme == PUBLIC:
            return self._at_public(host)
        if location.scheme == "ecr":
            return _by_keys(choose_credentials(location, self._env, self._lent))
        if location.anonymous:
            return ANONYMOUS
        if location.credential:
            return self._stored()
        if self._file is not None:
            return self._from_file(self._file, location.host)
        return self._from_variables() or ANONYMOUS

    def described(self) -> ChosenLogin:
        """As `at`; of a public source, what is known of any of its hosts."""
        if self._location.scheme != PUBLIC:
            return self.at()
        name = variable(self._location, "USER")
        unused = (
            f"{name} is shown to no registry, because a public source has many; give logins by host"
            " in a credentials file"
        )
        warnings = (unused,) if self._env.get(name) else ()
        if self._file is None:
            return replace(ANONYMOUS, warnings=warnings)
        hosts = ", ".join(sorted(self._file.by_host)) or "no registry"
        return ChosenLogin(
            described=f"{self._file.path} for {hosts}; anonymous elsewhere",
            warnings=(*self._file.warnings, *warnings),
        )

    def _at_public(self, host: str) -> ChosenLogin:
        location = self._location
        if location.anonymous:
            return ANONYMOUS
        if self._file is not None:
            known = self._file.of(host) is not None or self._file.helper_of(host)
            return self._from_file(self._file, host) if known else ANONYMOUS
        if EcrHost.parse(host) is not None:
            return _by_keys(choose_credentials(location, self._env, self._lent))
        if location.credential and "access_key_id" not in lent_fields(location, self._lent):
            raise InputError(
                f"{location.environment}_credential",
                f"{location.credential!r} is a login for one registry, and a public source has"
                " many; make that registry the source",
            )
        return ANONYMOUS

    def _stored(self) -> ChosenLogin:
        location, name = self._location, self._location.credential
        fields = lent_fields(location, self._lent)
        if "user" in fields:
            login = Login(user=fields["user"], password=fields["password"])
        elif "token" in fields:
            login = Login(identity_token=fields["token"])
        else:
            raise InputError(
                f"{location.environment}_credential",
                f"{name!r} holds keys of AWS, which Amazon ECR alone takes; a credential of kind"
                " login is needed",
            )
        return _by_login(f"stored credential {name}", login)

    def _from_file(self, file: LoginFile, host: str) -> ChosenLogin:
        found = file.of(host)
        if found is None:
            helper = file.helper_of(host)
            kept = f"; docker-credential-{helper} keeps it, which is not asked" if helper else ""
            raise InputError(
                self._file_field, f"{file.path!r} holds no login for {host}{kept}; write it there"
            )
        if isinstance(found, Login):
            return replace(_by_login(file.path, found), warnings=file.warnings)
        if EcrHost.parse(host) is None:
            raise InputError(
                self._file_field,
                f"{file.path!r} holds keys of AWS for {host}, which Amazon ECR alone takes; write"
                " user and password",
            )
        return replace(_by_keys(found), warnings=file.warnings)

    def _from_variables(self) -> ChosenLogin | None:
        user, password = side_values(self._location, self._env, needed=("USER", "PASSWORD"))
        if not user:
            return None
        return _by_login(variable(self._location, "USER"), Login(user=user, password=password))


def _by_login(origin: str, login: Login) -> ChosenLogin:
    who = f"user {login.user}" if login.user else "an identity token"
    return ChosenLogin(described=f"{origin}, {who}", login=login)


def _by_keys(chosen: ChosenCredentials) -> ChosenLogin:
    return ChosenLogin(described=chosen.described, keys=chosen, warnings=chosen.warnings)
