import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers.hub import HubClient

REPOSITORY = Path(__file__).parents[2]
ENDS_WITHIN_SECONDS = 60
FADES_WITHIN_SECONDS = 5


class Demo:
    """The demo as a person runs it, but smaller, in a session and a temporary folder of its own."""

    def __init__(self, folder: Path, *options: str, path: str = os.defpath) -> None:
        self.folder = folder
        # Where the tests run in the background, a shell had them ignore it, and what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "demo/demo.py", "--objects", "100", *options],
            cwd=REPOSITORY,
            env={
                "PATH": path,
                "HOME": str(folder / "home"),
                "TMPDIR": str(folder),
                # What a person may have set for other work must not get in the way.
                "AWS_PROFILE": "elsewhere",
                "DTH_NONSENSE": "1",
                "http_proxy": "http://127.0.0.1:9",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def read_until(self, start: str) -> str:
        """Its lines up to one that starts so."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(start):
                return "".join(lines)
        raise AssertionError(f"it ended before it wrote {start!r}: {''.join(lines)}")

    def press(self, number: signal.Signals) -> None:
        """Signals the whole foreground group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def rest(self, typed: str = "") -> str:
        """What it writes until it ends."""
        return self.process.communicate(typed, timeout=ENDS_WITHIN_SECONDS)[0]

    def processes(self) -> list[int]:
        """Those of its session, however they are related."""
        return [pid for pid in _pids() if _session_of(pid) == self.process.pid]

    def left(self) -> tuple[list[int], list[str]]:
        """Processes and temporary files; what was killed is given a moment to go."""
        deadline = time.monotonic() + FADES_WITHIN_SECONDS
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.processes(), sorted(path.name for path in self.folder.iterdir())


def _pids() -> Iterator[int]:
    yield from (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _session_of(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, session = fields[0], int(fields[3])
    return None if state == "Z" else session


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of a short name: below it are sockets of the hub, whose paths end at 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


@pytest.fixture
def demos(folder: Path) -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        for pid in demo.processes():
            os.kill(pid, signal.SIGKILL)
        demo.process.wait()
        for pipe in (demo.process.stdin, demo.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.mark.registries
def test_the_demo_shows_every_step_leaves_the_console_open_and_then_nothing(
    demos: list[Demo], folder: Path
) -> None:
    demo = Demo(folder, "--keep")
    demos.append(demo)
    output = demo.read_until("export DTH_STATE=")
    assert "picked up run" in output
    assert "succeeded, 160 of 160 copied" in output
    assert "succeeded, 40 of 40 copied" in output
    assert "nothing was deleted" in output
    assert "Both sides are equal: 175 objects" in output
    assert "Another client (botocore) finds the same" in output
    assert "succeeded, 13 of 13 copied" in output
    assert "succeeded, 2 of 2 copied" in output
    assert "Another client finds the same: 14 tags and their digests." in output
    [(url, link)] = re.findall(r"^  (http://\S+/)#token=(\S+)$", output, re.MULTILINE)
    assert see_console(url, link) == {
        "Photos to the backup": "SUCCEEDED",
        "Images to the mirror": "SUCCEEDED",
    }
    output = demo.rest(typed="\n")
    assert demo.process.returncode == 0, output
    assert demo.left() == ([], [])


def see_console(url: str, link: str) -> dict[str, str]:
    """The page is there, and the link signs in at the hub whose tasks it shows: each with the
    state of its latest run."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/")
    assert b"Data Transfer Hub" in connection.getresponse().read()
    connection.close()
    client = HubClient(url, link)
    tasks = client.graph("{ tasks { items { name latestRun { state } } } }")["tasks"]["items"]
    client.close()
    return {task["name"]: task["latestRun"]["state"] for task in tasks}


def test_without_a_registry_the_demo_says_how_to_get_one_and_leaves_images_out(
    demos: list[Demo], folder: Path
) -> None:
    demo = Demo(folder, path=str(folder / "empty"))
    demos.append(demo)
    output = demo.rest()
    assert demo.process.returncode == 0, output
    assert "images are left out of this demo: docker-registry is not" in output
    assert "apt-get install docker-registry" in output
    assert "Container images" not in output


def test_an_interrupted_demo_leaves_nothing(demos: list[Demo], folder: Path) -> None:
    demo = Demo(folder)
    demos.append(demo)
    demo.read_until("mutation startRun")
    demo.press(signal.SIGINT)
    output = demo.rest()
    assert demo.process.returncode == 130, output
    assert "nothing is left" in output
    assert demo.left() == ([], [])


def test_a_terminated_demo_leaves_nothing(demos: list[Demo], folder: Path) -> None:
    demo = Demo(folder)
    demos.append(demo)
    demo.read_until("destination  http")
    demo.press(signal.SIGTERM)
    output = demo.rest()
    assert demo.process.returncode == 143, output
    assert demo.left() == ([], [])
