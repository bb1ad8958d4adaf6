"""How this installation is set up: flags, then variables, then files, then defaults; read once."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError
from transferhub.hosts.credentials import SIDE_VARIABLES
from transferhub.hosts.sources import MACHINE_FILE, Reader, Sources
from transferhub.model.faults import raise_faults
from transferhub.model.units import (
    format_bytes,
    parse_bandwidth,
    parse_bytes,
    parse_count,
    parse_duration,
    parse_rate,
)

_USER_PASSWORD = re.compile(r"(://[^/?#@:]*:)[^?#]*@")
_QUERY_PASSWORD = re.compile(r"([?&][^=&#]*password[^=&#]*=)[^&#]*", re.IGNORECASE)

_LOGIN = re.compile(r"(://[^:/?#@]+)@")
_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH

HUB_NAMES = frozenset(
    {
        "host", "port", "public_url", "behind_proxy", "tls_certificate", "tls_key", "runs", "name",
        "oidc_issuer", "oidc_client", "oidc_audience", "oidc_scope", "oidc_logout_url",
        "oidc_roles", "oidc_everyone", "key_file", "allow_local", "allow_metadata_endpoints",
        "keep_runs",
        "keep_reports", "keep_logs", "keep_samples", "log_format", "metrics_open",
    }
)  # fmt: skip
"""The settings of a hub, which `hub_settings` reads; every command knows them by name."""

FAR_VARIABLES = frozenset({"DTH_SERVER", "DTH_TOKEN", "DTH_TOKEN_FILE", "DTH_CA_BUNDLE"})
"""What names a hub elsewhere, to the commands that can work there."""

_VARIABLES = SIDE_VARIABLES | FAR_VARIABLES | {"DTH_CONFIG", "DTH_VAULT_KEY"}

_LEAST_MEMORY = 16 << 20
_MOST_PROCESSES = 1_024


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value for `dth doctor`, its secrets masked.

    Attributes:
        origin: "flag --state", "environment DTH_STATE", "file /etc/dth/dth.toml" or "default".
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. Each is a variable `DTH_NAME`, a key `name` of a TOML file and, where a command
    has it, a flag `--name`; the flag wins, then the variable.

    Attributes:
        state: folder that remembers runs, absolute.
        database: URL of a PostgreSQL server, "" for SQLite in `state`; may hold a password.
        ledger: aws://NAME where the state is on AWS, and no database is used; else "".
        database_password_file: holds the password of the database's user, and nothing else.
        processes, concurrency, listers, memory, attempts, bandwidth, requests: see Tuning.
        lease, patience, timeout: see Tuning.
        log: least level of log lines.
        prices: path of a price table, "" for the packaged one.
        origins: by name, where each value came from.
        sources: of these and all other settings.
        warnings: what the user should mend, a sentence each.
    """

    state: Path
    database: str = field(default="", repr=False)
    ledger: str = ""
    database_password_file: str = ""
    processes: int = 1
    concurrency: int = 64
    listers: int = 32
    memory: int = 256 << 20
    attempts: int = 5
    bandwidth: int | None = None
    requests: float | None = None
    lease: timedelta = timedelta(minutes=2)
    patience: timedelta = timedelta(minutes=5)
    timeout: timedelta = timedelta(minutes=1)
    log: LogLevel = LogLevel.WARNING
    prices: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    sources: Sources = field(default_factory=lambda: Sources({}, {}), repr=False, compare=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """The settings of this process, given as to `tried`.

        Raises:
            InputError: InputErrors, naming each flag, variable or key, where it is more than one
                fault.
        """
        settings, faults = cls.tried(**given)
        raise_faults(faults)
        return settings

    @classmethod
    def tried(
        cls,
        *,
        env: Mapping[str, str] | None = None,
        processors: int | None = None,
        machine_file: Path = MACHINE_FILE,
        **flags: str | None,
    ) -> tuple[Settings, list[InputError]]:
        """The settings, with defaults for what is wrong; and what is.

        Args:
            env: None reads the process's own environment.
            processors: how many this process may use; None asks the system.
            machine_file: read after the user's own, where it is there.
            flags: by the name of the setting, as typed; None where it was not given. `config` names
                a file that is read in place of the two.
        """
        env = os.environ if env is None else env
        sources = Sources.of(
            flags,
            env,
            names=READERS.keys() | HUB_NAMES,
            variables=_VARIABLES,
            machine_file=machine_file,
        )
        faults = [*sources.faults]
        given, origins = sources.read(READERS, faults)
        state = given.get("state") or _default_state(env)
        if state is None and origins["state"] == "default":
            faults.append(InputError("--state", "is needed, since HOME is not set"))
        given |= {"state": state or Path(), "database": _with_password(given, sources, faults)}
        if given.get("ledger") and flags.get("database") is not None:
            faults.append(InputError("--database", "is not used beside a ledger; leave it out"))
        given.setdefault("processes", processors or len(os.sched_getaffinity(0)))
        warnings = (*sources.passed_over, *_warnings(sources))
        return cls(**given, origins=origins, sources=sources, warnings=warnings), faults

    def tuning(self) -> Tuning:
        return Tuning(
            processes=self.processes,
            as_needed=self.origins.get("processes") == "default",
            concurrency=self.concurrency,
            listers=self.listers,
            memory_bytes=self.memory,
            bandwidth=self.bandwidth,
            requests=self.requests,
            attempts=self.attempts,
            lease=self.lease,
            patience=self.patience,
            timeout=self.timeout,
        )

    def described(self) -> list[Setting]:
        """Every setting and its origin, for people."""
        return [
            Setting(name=name, value=_shown(name, getattr(self, name)), origin=origin)
            for name, origin in self.origins.items()
        ]


def masked_url(url: str) -> str:
    """The URL without its password.

    >>> masked_url("postgresql://me:secret@db/dth")
    'postgresql://me:***@db/dth'
    """
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", url))


_WITHOUT = {"prices": "the list prices in this package", "ledger": "in the database"}
"""What holds where a setting is empty."""


def _shown(name: str, value: object) -> str:
    match name, value:
        case "database", str(url):
            return masked_url(url) if url else "SQLite in the state folder"
        case _, None:
            return "no limit"
        case _, "":
            return _WITHOUT.get(name, "none")
        case "memory", int(size):
            return f"{size >> 20}MiB"
        case "bandwidth", int(size):
            return f"{format_bytes(size)}/s"
        case "requests", float(rate) | int(rate):
            return f"{rate:g}/s"
        case _, timedelta():
            return f"{value.total_seconds():g}s"
        case _:
            return str(value)


def _with_password(values: Mapping[str, Any], sources: Sources, faults: list[InputError]) -> str:
    """The database's URL, with the password of `database_password_file` where that is given."""
    url, path = values.get("database", ""), values.get("database_password_file", "")
    given = sources.given("database_password_file")
    if not path or given is None:
        return str(url)
    try:
        password = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(InputError(given.typed, f"{path} cannot be read: {_reason(error)}"))
        return str(url)
    if not password or not _LOGIN.search(url):
        why = "needs a database such as postgresql://USER@HOST/DATABASE, without a password"
        faults.append(InputError(given.typed, why if password else f"{path} is empty"))
        return str(url)
    return _LOGIN.sub(lambda login: f"{login[1]}:{quote(password, safe='')}@", url, count=1)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "it failed" if isinstance(error, OSError) else "it is not UTF-8"


def _warnings(sources: Sources) -> Iterator[str]:
    given = sources.given("database")
    if given is None or masked_url(str(given.value)) == given.value:
        return
    where = "put it into DTH_DATABASE, a file that database_password_file names, or ~/.pgpass"
    if given.origin.startswith("flag"):
        yield f"--database holds a password, which other users of this machine can see: {where}"
    for path in sources.files:
        if given.origin == f"file {path}" and path.stat().st_mode & _OTHERS_MAY_READ:
            yield f"{path} holds a password, and other users may read it: run chmod 600 on it"


def _default_state(env: Mapping[str, str]) -> Path | None:
    """Source: XDG Base Directory Specification, which passes over relative paths."""
    base = env.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "dth"
    home = env.get("HOME", "")
    return Path(home) / ".local" / "state" / "dth" if home else None


def _bandwidth(text: str, *, field: str) -> int:
    """A rate without a unit would be bytes, which nobody means."""
    if text.strip().removesuffix("/s").strip().replace(".", "", 1).isdecimal():
        raise InputError(field, f"{text!r} has no unit; write it such as {text.strip('/s ')}MB/s")
    return parse_bandwidth(text, field=field)


def read_path(text: str, *, field: str) -> Path:
    if not text:
        raise InputError(field, "is empty; name a place")
    return Path(text).expanduser().absolute()


def _database(text: str, *, field: str) -> str:
    scheme = text.partition("://")[0].partition("+")[0]
    if scheme not in ("postgresql", "postgres", "sqlite") or "://" not in text:
        # The text may hold a password, so it is not repeated.
        raise InputError(field, "is no database; write postgresql://USER@HOST/DATABASE")
    return text


def _ledger(text: str, *, field: str) -> str:
    # Loaded where there is one: most starts need no client of AWS.
    from transferhub.state.aws.connection import parse_place  # noqa: PLC0415

    parse_place(text, field=field)
    return text


def _processes(text: str, *, field: str) -> int:
    count = _at_least_one(text, field=field)
    if count > _MOST_PROCESSES:
        raise InputError(field, f"must be at most {_MOST_PROCESSES:,}")
    return count


def _at_least_one(text: str, *, field: str) -> int:
    count = parse_count(text, field=field)
    if count < 1:
        raise InputError(field, "must be at least 1")
    return count


def _memory(text: str, *, field: str) -> int:
    size = parse_bytes(text, field=field)
    if size < _LEAST_MEMORY:
        raise InputError(field, f"{text!r} is too little to copy with; give at least 16MiB")
    return size


def _log(text: str, *, field: str) -> LogLevel:
    try:
        return LogLevel(text.lower())
    except ValueError:
        levels = ", ".join(LogLevel)
        raise InputError(field, f"{text!r} is no level; write one of {levels}") from None


def _file(text: str, *, field: str) -> str:
    return str(read_path(text, field=field))


READERS: Mapping[str, Reader] = {
    "state": read_path,
    "database": _database,
    "ledger": _ledger,
    "database_password_file": _file,
    "processes": _processes,
    "concurrency": _at_least_one,
    "listers": _at_least_one,
    "memory": _memory,
    "attempts": _at_least_one,
    "bandwidth": _bandwidth,
    "requests": parse_rate,
    "lease": parse_duration,
    "patience": parse_duration,
    "timeout": parse_duration,
    "log": _log,
    "prices": _file,
}
"""Every setting, and what reads its text."""
