"""Where settings are given: flags, DTH_* variables, TOML files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from transferhub.errors import InputError
from transferhub.model.faults import suggest

MACHINE_FILE = Path("/etc/dth/dth.toml")

_ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)

_TABLES = frozenset({"oidc_roles"})
"""Settings that may be tables; they are mappings then."""

Reader = Callable[..., Any]
"""Reads a setting's text; raises InputError with the keyword argument `field`."""


@dataclass(frozen=True, slots=True)
class Given:
    """A setting as it was given.

    Attributes:
        typed: what to call it in a fault: "--port", "DTH_PORT", "/etc/dth/dth.toml: port".
        value: its text, or the table of a file.
        origin: "flag --port", "environment DTH_PORT" or "file /etc/dth/dth.toml".
    """

    typed: str
    value: str | Mapping[str, Any]
    origin: str


class Sources:
    """What was given. A flag wins over a variable, which wins over the user's file, which wins over
    the machine's. What is empty in a variable or file counts as not given.

    Attributes:
        faults: of the sources themselves: unknown variables and keys, files that cannot be read.
        passed_over: files that this user may not read, a sentence each.
        files: those that were read.
    """

    def __init__(self, flags: Mapping[str, str | None], env: Mapping[str, str]) -> None:
        self.faults: list[InputError] = []
        self.passed_over: list[str] = []
        self.files: list[Path] = []
        self._flags = flags
        self._env = env
        self._tables: list[tuple[Path, Mapping[str, Any]]] = []

    @classmethod
    def of(
        cls,
        flags: Mapping[str, str | None],
        env: Mapping[str, str],
        *,
        names: Collection[str],
        variables: Collection[str],
        machine_file: Path = MACHINE_FILE,
    ) -> Self:
        """Args:
        names: of all settings; each may stand in a file.
        variables: DTH_* variables that are known besides those of the settings.
        """
        sources = cls(flags, env)
        known = {variable_of(name) for name in names} | {*variables}
        sources.faults += _unknown_variables(env, known)
        named = sources.given("config")
        if named is not None:
            sources._read_file(Path(str(named.value)).expanduser().absolute(), names, named.typed)
        else:
            for path in (_user_file(env), machine_file):
                if path is not None:
                    sources._read_file(path, names)
        return sources

    def given(self, name: str) -> Given | None:
        flag, variable = f"--{name.replace('_', '-')}", variable_of(name)
        text = self._flags.get(name)
        if text is not None:
            return Given(flag, text, f"flag {flag}")
        if self._env.get(variable):
            return Given(variable, self._env[variable], f"environment {variable}")
        for path, table in self._tables:
            if table.get(name):
                return Given(f"{path}: {name}", table[name], f"file {path}")
        return None

    def read(
        self, readers: Mapping[str, Reader], faults: list[InputError]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The values that were given and could be read, and the origin of every setting."""
        values, origins = {}, dict.fromkeys(readers, "default")
        for name, reader in readers.items():
            given = self.given(name)
            if given is None:
                continue
            origins[name] = given.origin
            try:
                values[name] = reader(given.value, field=given.typed)
            except InputError as fault:
                faults.append(fault)
        return values, origins

    def _read_file(self, path: Path, names: Collection[str], typed: str = "") -> None:
        """Args:
        typed: what names the file; "" where it is read if it is there and may be read.
        """
        try:
            content = path.read_text(encoding="utf-8")
        except OSError as error:
            if typed or not isinstance(error, _ABSENT):
                sentence = f"{path} cannot be read: {error.strerror}"
                self.faults.append(InputError(typed or str(path), sentence))
            elif isinstance(error, PermissionError):
                self.passed_over.append(f"{path} was passed over: {error.strerror}")
        except UnicodeDecodeError:
            self.faults.append(InputError(str(path), "is not UTF-8"))
        else:
            self._parse(path, content, names)

    def _parse(self, path: Path, content: str, names: Collection[str]) -> None:
        # Loaded where there is a file: most starts need it not.
        import tomllib  # noqa: PLC0415

        try:
            table = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            self.faults.append(InputError(str(path), f"is no TOML: {error}"))
            return
        self.files.append(path)
        self.faults += _unknown_keys(path, table, names)
        self._tables.append((path, self._texts(path, table)))

    def _texts(self, path: Path, table: Mapping[str, Any]) -> Mapping[str, Any]:
        texts = {}
        for name, value in table.items():
            try:
                texts[name] = _text(name, value, field=f"{path}: {name}")
            except InputError as fault:
                self.faults.append(fault)
        return texts


def variable_of(name: str) -> str:
    return f"DTH_{name.upper()}"


def _text(name: str, value: object, *, field: str) -> str | Mapping[str, Any]:
    """A TOML value as it would be typed."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
        case Mapping() if name in _TABLES:
            return value
        case _:
            raise InputError(field, "must be a text, a number, true or false")


def _unknown_variables(env: Mapping[str, str], known: Collection[str]) -> Iterator[InputError]:
    for name in sorted(env):
        if name.startswith("DTH_") and name not in known:
            advice = suggest(name, sorted(known)) or "; unset it"
            yield InputError(name, f"there is no such setting{advice}")


def _unknown_keys(
    path: Path, table: Mapping[str, Any], names: Collection[str]
) -> Iterator[InputError]:
    for name in table:
        if name not in names:
            advice = suggest(name, sorted(names)) or "; remove it"
            yield InputError(f"{path}: {name}", f"there is no such setting{advice}")


def _user_file(env: Mapping[str, str]) -> Path | None:
    """Source: XDG Base Directory Specification, which passes over relative paths."""
    base, home = env.get("XDG_CONFIG_HOME", ""), env.get("HOME", "")
    if base.startswith("/"):
        return Path(base) / "dth" / "dth.toml"
    return Path(home) / ".config" / "dth" / "dth.toml" if home else None
