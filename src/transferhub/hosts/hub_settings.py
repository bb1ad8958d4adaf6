"""How a hub is set up, besides what every command knows."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from transferhub.errors import InputError
from transferhub.hosts.settings import Setting, Settings, read_path
from transferhub.hosts.sources import Reader
from transferhub.model.faults import raise_faults, suggest
from transferhub.model.people import Role
from transferhub.model.units import parse_count, parse_duration

_LAST_PORT = 65_535
_LONGEST_NAME = 64
_LEAST_KEPT = timedelta(hours=1)
_PORTS = {"http": 80, "https": 443}
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_FOREVER = "forever"
_NOBODY = "none"
ALL = "all"
ENVIRONMENT = "environment"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The settings of `dth up` and `dth worker`.

    Attributes:
        base: what every command knows: state, database, speed.
        host, port: where the server listens; port 0 takes a free one.
        public_url: how browsers reach it, without a slash at the end; "" where as it listens.
        behind_proxy: a proxy before it does TLS; only then are its X-Forwarded-* headers believed.
        tls_certificate, tls_key: PEM files; "" for no TLS.
        runs: carried at once by this host.
        name: of this host in the fleet.
        oidc_issuer: identity provider; "" for none.
        oidc_client: of the console, at the provider.
        oidc_audience: that tokens must be for; the client where none is given.
        oidc_scope: that the console asks for.
        oidc_logout_url: where the console sends who signs out; "" for nowhere.
        oidc_roles: by the name of a group.
        oidc_everyone: the role of who is in none of them; None lets them not in.
        key_file: of the stored credentials.
        vault_key: keys in place of the file; "" for none.
        allow_local: what of its machine tasks may use: absolute folders, "environment", or "all";
            None leaves it to `local_powers`.
        allow_metadata_endpoints: tasks may name link-local and metadata addresses.
        keep_runs: how long the history of ended runs stays; None is for ever. So are the others.
        metrics_open: whoever reaches the hub may read /metrics.
        origins: by name, where each value came from.
    """

    base: Settings
    key_file: Path
    host: str = "127.0.0.1"
    port: int = 8_420
    public_url: str = ""
    behind_proxy: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    runs: int = 4
    name: str = ""
    oidc_issuer: str = ""
    oidc_client: str = ""
    oidc_audience: str = ""
    oidc_scope: str = "openid profile email"
    oidc_logout_url: str = ""
    oidc_roles: Mapping[str, Role] = field(default_factory=dict)
    oidc_everyone: Role | None = None
    vault_key: str = field(default="", repr=False)
    allow_local: tuple[str, ...] | None = None
    allow_metadata_endpoints: bool = False
    keep_runs: timedelta | None = timedelta(days=365)
    keep_reports: timedelta | None = timedelta(days=90)
    keep_logs: timedelta | None = timedelta(days=30)
    keep_samples: timedelta | None = timedelta(days=90)
    log_format: LogFormat = LogFormat.CONSOLE
    metrics_open: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, **given: Any) -> HubSettings:
        """The settings of this process, given as to `Settings.tried`.

        Raises:
            InputError: InputErrors, where more than one thing is wrong.
        """
        base, faults = Settings.tried(**given)
        return cls._of(base, faults)

    @classmethod
    def of(cls, base: Settings) -> HubSettings:
        """The hub's settings from the same sources.

        Raises:
            InputError: InputErrors, where more than one thing is wrong.
        """
        return cls._of(base, [])

    @classmethod
    def _of(cls, base: Settings, faults: list[InputError]) -> HubSettings:
        given, origins = base.sources.read(READERS, faults)
        faults += _contradictions(given)
        raise_faults(faults)
        values = {
            "name": platform.node() or "unnamed",
            "key_file": base.state / "vault.keys",
            "oidc_audience": given.get("oidc_client", ""),
        } | given
        return cls(base=base, **values, origins=origins)

    @property
    def serves_others(self) -> bool:
        """Whether more than this machine reaches the hub."""
        return self.behind_proxy or not is_loopback(self.host)

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return bool(self.tls_certificate) or self.public_url.startswith("https:")

    @property
    def local_powers(self) -> tuple[str, ...]:
        """What of its machine tasks may use: by default all of it where the hub serves nobody but
        the user of this machine, else nothing."""
        if self.allow_local is not None:
            return self.allow_local
        return () if self.serves_others else (ALL,)

    def url(self, port: int) -> str:
        """Where people find the hub, which listens on `port`."""
        return self.public_url or self._url_of(_bracketed(self.host), port)

    def origins_of_browsers(self, port: int) -> frozenset[str]:
        """By which names browsers, and programs of this machine, may ask for the hub."""
        local = {self._url_of(name, port) for name in _LOOPBACK_NAMES}
        return frozenset(local | {self.url(port)})

    def _url_of(self, name: str, port: int) -> str:
        return f"{'https' if self.tls_certificate else 'http'}://{name}:{port}"

    def described(self) -> list[Setting]:
        """Every setting and its origin, for people."""
        return [
            Setting(name=name, value=_shown(name, self._told(name)), origin=origin)
            for name, origin in self.origins.items()
        ]

    def _told(self, name: str) -> object:
        return self.local_powers if name == "allow_local" else getattr(self, name)


def check_exposure(settings: HubSettings, *, has_users: bool) -> None:
    """Lets a hub serve others than this machine only where that is safe.

    Args:
        has_users: there is a local user who can sign in.

    Raises:
        InputError: InputErrors, naming each setting that is missing.
    """
    if not settings.serves_others:
        return
    faults = []
    if not settings.tls_certificate and not settings.behind_proxy:
        faults.append(
            InputError(
                "--host",
                f"{settings.host} can be reached from elsewhere, and passwords would cross the"
                " network in the clear: give --tls-certificate and --tls-key; or, where a proxy in"
                " front does TLS, --behind-proxy",
            )
        )
    if not settings.public_url:
        faults.append(
            InputError(
                "--public-url",
                "is needed: say how browsers reach the hub, such as https://hub.example.com;"
                " requests by other names are refused",
            )
        )
    elif not settings.is_secure:
        faults.append(InputError("--public-url", "must begin with https://"))
    if not has_users and not settings.oidc_issuer:
        faults.append(
            InputError(
                "--host",
                "others could reach a hub that has no users: make one first, with"
                " `dth user create NAME --role admin` on this machine, or set oidc_issuer",
            )
        )
    raise_faults(faults)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _contradictions(given: Mapping[str, Any]) -> Iterator[InputError]:
    for name, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if name in given and other not in given:
            yield InputError(other, f"is needed beside {name}")
    if "tls_certificate" in given and given.get("behind_proxy"):
        yield InputError("behind_proxy", "a proxy does TLS, or tls_certificate; not both")
    oidc = sorted(name for name in given if name.startswith("oidc_"))
    if oidc and "oidc_issuer" not in given:
        yield InputError("oidc_issuer", f"is needed beside {oidc[0]}")
    if "oidc_issuer" in given:
        if "oidc_client" not in given:
            yield InputError("oidc_client", "is needed beside oidc_issuer")
        if not given.get("oidc_roles") and not given.get("oidc_everyone"):
            yield InputError(
                "oidc_roles", "is needed, or oidc_everyone: without them nobody may come in"
            )


def _shown(name: str, value: object) -> str:
    match name, value:
        case "vault_key", _:
            return "given, and not shown" if value else "none: keys are in key_file"
        case "oidc_roles", Mapping():
            return ", ".join(f"{group}={role}" for group, role in value.items()) or _NOBODY
        case "oidc_everyone", None:
            return _NOBODY
        case _, None:
            return _FOREVER
        case _, bool():
            return "yes" if value else "no"
        case _, timedelta():
            return f"{value / timedelta(days=1):g}d"
        case _, tuple():
            return ", ".join(value) or _NOBODY
        case _:
            return str(value) or _NOBODY


def _host(text: str, *, field: str) -> str:
    host = text.strip().strip("[]")
    if not host or "/" in host or (host.count(":") == 1):
        raise InputError(field, f"{text!r} is no address; write one such as 127.0.0.1 or 0.0.0.0")
    return host


def _port(text: str, *, field: str) -> int:
    port = parse_count(text, field=field)
    if port > _LAST_PORT:
        raise InputError(field, f"{port} is none; ports end at {_LAST_PORT}")
    return port


def _origin(text: str, *, field: str) -> str:
    """Such as https://hub.example.com: where the hub begins, in the letters that browsers send."""
    url = _url(text, field=field)
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InputError(field, f"{text!r} goes on after its host: give the hub a name of its own")
    host = _bracketed(parts.hostname or "")
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _url(text: str, *, field: str) -> str:
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username is not None:
        raise InputError(field, f"{text!r} is no address such as https://hub.example.com")
    return text.strip()


def _provider(text: str, *, field: str) -> str:
    """Exactly as the provider writes itself: a slash at the end counts."""
    parts = urlsplit(_url(text, field=field))
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(field, f"{text!r} must begin with https://")
    return text.strip()


def _switch(text: str, *, field: str) -> bool:
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise InputError(field, f"{text!r} is neither true nor false")


def _file(text: str, *, field: str) -> str:
    path = read_path(text, field=field)
    if not path.is_file():
        raise InputError(field, f"there is no file {path}")
    return str(path)


def _words(text: str, *, field: str) -> str:
    words = text.strip()
    if not words or not words.isprintable():
        raise InputError(field, f"{text!r} is nothing that can be read")
    return words


def _name(text: str, *, field: str) -> str:
    name = _words(text, field=field)
    if len(name) > _LONGEST_NAME:
        raise InputError(field, f"is longer than {_LONGEST_NAME} characters")
    return name


def _kept(text: str, *, field: str) -> timedelta | None:
    if text.strip().lower() == _FOREVER:
        return None
    kept = parse_duration(text, field=field)
    if kept < _LEAST_KEPT:
        raise InputError(field, f"{text!r} is too short: write 1h or more, or {_FOREVER}")
    return kept


def _roles(value: str | Mapping[str, Any], *, field: str) -> Mapping[str, Role]:
    """Of a table, or of GROUP=ROLE with commas between them; a group may hold a `=` itself."""
    if isinstance(value, str):
        pairs = [pair.strip().rpartition("=") for pair in value.split(",") if pair.strip()]
        if not pairs or not all(group for group, _, _ in pairs):
            raise InputError(field, f"{value!r} is no list; write admins=admin,staff=viewer")
        value = {group.strip(): role for group, _, role in pairs}
    return {group: _role(str(role), field=field) for group, role in value.items()}


def _role(text: str, *, field: str) -> Role:
    try:
        return Role(text.strip().lower())
    except ValueError:
        hint = suggest(text, list(Role)) or f"; write one of {', '.join(Role)}"
        raise InputError(field, f"{text!r} is no role{hint}") from None


def _role_or_none(text: str, *, field: str) -> Role | None:
    return None if text.strip().lower() == _NOBODY else _role(text, field=field)


def _powers(text: str, *, field: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if words == (_NOBODY,):
        return ()
    for word in words:
        if word not in (ALL, ENVIRONMENT) and not word.startswith("/"):
            raise InputError(
                field,
                f"{word!r} is nothing that can be allowed: write absolute folders and"
                f" {ENVIRONMENT}, with commas between them; or {ALL}, or {_NOBODY}",
            )
    return words


def _log_format(text: str, *, field: str) -> LogFormat:
    try:
        return LogFormat(text.strip().lower())
    except ValueError:
        raise InputError(field, f"{text!r} is no format; write {' or '.join(LogFormat)}") from None


READERS: Mapping[str, Reader] = {
    "host": _host,
    "port": _port,
    "public_url": _origin,
    "behind_proxy": _switch,
    "tls_certificate": _file,
    "tls_key": _file,
    "runs": parse_count,
    "name": _name,
    "oidc_issuer": _provider,
    "oidc_client": _words,
    "oidc_audience": _words,
    "oidc_scope": _words,
    "oidc_logout_url": _url,
    "oidc_roles": _roles,
    "oidc_everyone": _role_or_none,
    "key_file": read_path,
    "vault_key": _words,
    "allow_local": _powers,
    "allow_metadata_endpoints": _switch,
    "keep_runs": _kept,
    "keep_reports": _kept,
    "keep_logs": _kept,
    "keep_samples": _kept,
    "log_format": _log_format,
    "metrics_open": _switch,
}
"""Every setting of a hub, and what reads its text."""
