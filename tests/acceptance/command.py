"""The real `dth` in a process of its own, as a person would start it.

Secrets reach it through DTH_SOURCE_* and DTH_DESTINATION_* or through credentials files, never
through its arguments; whatever it prints and keeps is searched for them.
"""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.endpoint import Endpoint

TIMEOUT_S = 90.0
_SIDES = ("source", "destination")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dth:
    """`dth` with a state folder, a home and an environment of its own.

    Attributes:
        folder: holds the state, the home and the output of what was started.
        endpoints: by side, "source" and "destination".
        variables: further ones; they win.
        secrets: never to be seen, besides those of the endpoints.
    """

    folder: Path
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def between(self, source: Endpoint | None, destination: Endpoint | None) -> Self:
        """The same, with credentials and addresses in the variables of each side; None is a folder
        or has them elsewhere."""
        given = {"source": source, "destination": destination}
        return replace(self, endpoints={side: it for side, it in given.items() if it is not None})

    def having(self, *secrets: str, **variables: str) -> Self:
        """The same with more variables, and more secrets to look out for."""
        return replace(
            self,
            variables={**self.variables, **variables},
            secrets=(*self.secrets, *secrets),
        )

    def environment(self) -> dict[str, str]:
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONWARNINGS": "error",
            "DTH_STATE": str(self.state),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for side, endpoint in self.endpoints.items():
            environment |= endpoint.environment(side)
        return {**environment, **self.variables}

    def __call__(self, *words: object, timeout_s: float = TIMEOUT_S, given: str = "") -> Ended:
        """Runs a command to its end; `given` is its standard input."""
        with self.start(*words, given=given) as running:
            return running.wait(timeout_s)

    def well(
        self, *words: object, code: int = 0, timeout_s: float = TIMEOUT_S, given: str = ""
    ) -> Ended:
        """Runs a command that must end with this exit code."""
        ended = self(*words, timeout_s=timeout_s, given=given)
        assert ended.code == code, str(ended)
        return ended

    def transfer(self, source: object, destination: object, *words: object, code: int = 0) -> Any:
        """The JSON document of a transfer that must end with this exit code."""
        return self.well("transfer", source, destination, "--json", *words, code=code).json

    def start(self, *words: object, given: str = "") -> "Running":
        """Starts a command and returns while it works; for use in a `with`."""
        return Running(self, [sys.executable, "-m", "transferhub.cli", *map(str, words)], given)

    def assert_no_secret(self, ended: Ended) -> None:
        """In what was printed and in every file under the state folder."""
        secrets = {*self.secrets, *(each.secret_access_key for each in self.endpoints.values())}
        for secret in secrets:
            assert secret not in ended.out, f"stdout holds a secret: {secret}"
            assert secret not in ended.err, f"stderr holds a secret: {secret}"
            for path in self.state.rglob("*"):
                if path.is_file():
                    assert secret.encode() not in path.read_bytes(), f"{path} holds a secret"


def report_rows(path: str | Path) -> dict[str, dict[str, str]]:
    """The rows of a report, by key."""
    text = gzip.decompress(Path(path).read_bytes()).decode()
    return {row["key"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


class Running:
    """A command at work. The `with` that it is used in kills what has not ended by then."""

    def __init__(self, dth: Dth, words: list[str], given: str = "") -> None:
        self._dth = dth
        # Files, not pipes: nobody has to read them while the command works.
        self._in, self._out, self._err = (tempfile.TemporaryFile(dir=dth.folder) for _ in range(3))  # noqa: SIM115 - closed in __exit__
        self._in.write(given.encode())
        self._in.seek(0)
        self.process = subprocess.Popen(
            words,
            stdin=self._in,
            stdout=self._out,
            stderr=self._err,
            env=dth.environment(),
            cwd=dth.folder,
            start_new_session=True,
        )

    @property
    def out(self) -> str:
        """Standard output so far."""
        return _content(self._out)

    @property
    def err(self) -> str:
        """Standard error so far."""
        return _content(self._err)

    def interrupt(self) -> None:
        """Ctrl-C in a terminal: every process of the command gets it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """`kill -9` of the command, whose worker processes are left to themselves."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """`kill -9` of the command and of its worker processes at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def wait(self, timeout_s: float = TIMEOUT_S) -> Ended:
        """Its end, in which no secret is to be seen.

        Raises:
            AssertionError: it has not ended by then.
        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(
                f"dth has not ended after {timeout_s:g} s\n{self.out}\n{self.err}"
            ) from None
        ended = Ended(code=code, out=self.out, err=self.err)
        self._dth.assert_no_secret(ended)
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_all()
        self.process.wait()
        for file in (self._in, self._out, self._err):
            file.close()


def _content(file: Any) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()
