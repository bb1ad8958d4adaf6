"""How this installation is set up: read once, from flags, then the environment, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError
from transferhub.hosts.credentials import SIDE_VARIABLES
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
        origin: "flag --state", "environment DTH_STATE" or "default".
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. Each is a flag `--name` and a variable `DTH_NAME`; the flag wins.

    Attributes:
        state: folder that remembers runs, absolute.
        database: URL of a PostgreSQL server, "" for SQLite in `state`; may hold a password.
        processes, concurrency, listers, memory, attempts, bandwidth, requests: see Tuning.
        lease, patience, timeout: see Tuning.
        log: least level of log lines.
        prices: path of a price table, "" for the packaged one.
        origins: by name, where each value came from.
    """

    state: Path
    database: str = field(default="", repr=False)
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

    @classmethod
    def load(
        cls,
        *,
        env: Mapping[str, str] | None = None,
        processors: int | None = None,
        **flags: str | None,
    ) -> Settings:
        """The settings of this process.

        Args:
            env: None reads the process's own environment.
            processors: how many this process may use; None asks the system.
            flags: by the name of the setting, as typed; None where it was not given.

        Raises:
            InputError: InputErrors, naming each flag or variable, where it is more than one fault.
        """
        env = os.environ if env is None else env
        faults = list(_unknown_variables(env))
        values: dict[str, Any] = {
            "state": _default_state(env),
            "processes": processors or len(os.sched_getaffinity(0)),
        }
        origins = dict.fromkeys(_READERS, "default")
        for name, (typed, text) in _given(flags, env).items():
            try:
                values[name] = _READERS[name](text, field=typed)
            except InputError as fault:
                faults.append(fault)
            origins[name] = f"flag {typed}" if typed.startswith("-") else f"environment {typed}"
        if values["state"] is None and origins["state"] == "default":
            faults.append(InputError("--state", "is needed, since HOME is not set"))
        raise_faults(faults)
        return cls(**values, origins=origins)

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
            Setting(name=name, value=_shown(name, getattr(self, name)), origin=self.origins[name])
            for name in _READERS
        ]


def masked_url(url: str) -> str:
    """The URL without its password.

    >>> masked_url("postgresql://me:secret@db/dth")
    'postgresql://me:***@db/dth'
    """
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", url))


def _shown(name: str, value: object) -> str:
    match name, value:
        case "database", str(url):
            return masked_url(url) if url else "SQLite in the state folder"
        case _, None:
            return "no limit"
        case "prices", "":
            return "the list prices in this package"
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


def _given(flags: Mapping[str, str | None], env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What was given, by setting: as what it was typed, and the text. An empty variable is none."""
    given = {}
    for name in _READERS:
        flag = flags.get(name)
        variable = f"DTH_{name.upper()}"
        if flag is not None:
            given[name] = (f"--{name}", flag)
        elif env.get(variable):
            given[name] = (variable, env[variable])
    return given


def _unknown_variables(env: Mapping[str, str]) -> Iterator[InputError]:
    known = {f"DTH_{name.upper()}" for name in _READERS} | SIDE_VARIABLES
    for name in sorted(env):
        if name.startswith("DTH_") and name not in known:
            close = get_close_matches(name, sorted(known), n=1)
            advice = f"did you mean {close[0]}?" if close else "unset it"
            yield InputError(name, f"there is no such setting; {advice}")


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


def _path(text: str, *, field: str) -> Path:
    if not text:
        raise InputError(field, "is empty; name a folder")
    return Path(text).expanduser().absolute()


def _database(text: str, *, field: str) -> str:
    scheme = text.partition("://")[0].partition("+")[0]
    if scheme not in ("postgresql", "postgres", "sqlite") or "://" not in text:
        # The text may hold a password, so it is not repeated.
        raise InputError(field, "is no database; write postgresql://USER@HOST/DATABASE")
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
    return str(_path(text, field=field))


_READERS: Mapping[str, Callable[..., Any]] = {
    "state": _path,
    "database": _database,
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
