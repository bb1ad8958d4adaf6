"""`dth up` as a server of its own, and a client of its GraphQL."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers.process import Scoped, ServerError, ServerProcess

LINK = re.compile(r"sign in once.*?(http://\S+)#token=(\S+)")
_TIMEOUT_S = 60


class HubError(Exception):
    """The hub refused; `code` is one of docs/errors.md."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class HubClient:
    """Signs in with a link, and asks over one connection."""

    def __init__(self, url: str, link: str) -> None:
        """Raises HubError where the link was used, or the hub cannot be reached."""
        self.url = url
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)
        self._headers = {"content-type": "application/json", "origin": url.rstrip("/")}
        self._ask("/session", {"link": link})

    def graph(self, query: str, **variables: Any) -> Any:
        """The answer's data.

        Raises:
            HubError
        """
        return self._ask("/graphql", {"query": query, "variables": variables})["data"]

    def close(self) -> None:
        self._connection.close()

    def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            self._connection.request("POST", path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()
            raise HubError(f"the hub at {self.url} gave no answer: {error!r}") from error
        if cookie := answer.getheader("set-cookie"):
            self._headers["cookie"] = cookie.partition(";")[0]
        for fault in told.get("errors", ()):
            raise HubError(fault["message"], fault.get("extensions", {}).get("code", ""))
        return told


class HubServer(Scoped):
    """A hub on a free port of loopback, whose state is the folder `state`."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        name: str = "hub",
    ) -> None:
        self.folder = folder
        self.url = ""
        self._begun = 0  # bytes of the log before this start
        self.process = ServerProcess(
            [_program(), "up", "--port=0", *options],
            folder=folder,
            environment={"DTH_STATE": str(folder / "state"), **(environment or {})},
            ready=self._answers,
            name=name,
        )

    def start(self) -> None:
        self._begun = len(self._log())
        self.process.start()
        self.url = self._link()[0]

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """All of its processes at once, as a machine that loses power."""
        self.process.kill()

    def client(self) -> HubClient:
        """Signs in with the link that this start printed, which works once."""
        return HubClient(*self._link())

    def said(self) -> Sequence[str]:
        """The lines of this start."""
        return self._log()[self._begun :].decode(errors="replace").splitlines()

    def _answers(self) -> bool:
        return any(LINK.search(line) for line in self.said())

    def _link(self) -> tuple[str, str]:
        for line in self.said():
            if found := LINK.search(line):
                return found[1], found[2]
        raise ServerError(f"the hub printed no link:\n{self.process.log_tail()}")

    def _log(self) -> bytes:
        return self.process.log_path.read_bytes() if self.process.log_path.exists() else b""


class WorkerServer(Scoped):
    """`dth worker`: a process of a hub in PostgreSQL, as on a machine of its own."""

    def __init__(
        self, folder: Path, *options: str, name: str, environment: Mapping[str, str]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = ServerProcess(
            [_program(), "worker", f"--name={name}", *options],
            folder=folder,
            environment={"DTH_STATE": str(folder / "state"), **environment},
            ready=self._takes_runs,
            name=f"worker-{name}",
            stop_within_s=30,
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def _takes_runs(self) -> bool:
        return b"takes up to" in self.process.log_path.read_bytes()


def _program() -> Path:
    return Path(sys.executable).with_name("dth")
