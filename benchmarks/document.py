"""docs/benchmarks.md: the measured part is written anew, the words around it stay."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.results import Result, render
from tests.servers.ministack import ministack_version
from tests.servers.postgres import postgres_version
from tests.servers.process import find_program

_PATH = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN = '<!-- {group}: written by `make bench ARGS="{group} --write"` -->'
_END = "<!-- end of {group} -->"


def write_document(group: str, results: Sequence[Result], *, runs: int) -> Path:
    """Writes the part of this group of benchmarks anew; returns the document's path."""
    text = _PATH.read_text()
    before, begin, rest = text.partition(_BEGIN.format(group=group))
    _, end, after = rest.partition(_END.format(group=group))
    if not begin or not end:
        raise ValueError(f"{_PATH} has lost the marks of {group}")
    parts = [before + begin, "", machine(group, runs), *(render(result) for result in results), end]
    _PATH.write_text("\n".join(parts) + after)
    return _PATH


def machine(group: str, runs: int) -> str:
    """When and on what this was measured."""
    cores = len(os.sched_getaffinity(0))
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    often = f"medians of {runs} runs of each in turn" if runs > 1 else "one run of each"
    versions = ", ".join(f"{name} {find()}" for name, find in _VERSIONS[group].items())
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {often}, on one machine with {cores} cores and"
        f" {gibibytes:.0f} GiB of memory, which servers, clients and proxies share. Linux, Python"
        f" {platform.python_version()}, {versions}.\n"
    )


def _seaweedfs() -> str:
    return _first_line("weed", "version").split()[3]


_VERSIONS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "transfer": {
        "SeaweedFS": _seaweedfs,
        "rclone": lambda: _first_line("rclone", "version").split()[1].lstrip("v"),
        "JuiceFS": lambda: _first_line("juicefs", "version").split()[2].partition("+")[0],
    },
    "hub": {
        "SeaweedFS": _seaweedfs,
        "SQLite": lambda: sqlite3.sqlite_version,
        "PostgreSQL": postgres_version,
    },
    "aws": {
        "SQLite": lambda: sqlite3.sqlite_version,
        "PostgreSQL": postgres_version,
        "ministack": ministack_version,
    },
    "images": {
        "docker-registry": lambda: _first_line("docker-registry", "--version").split()[-1],
        "skopeo": lambda: _first_line("skopeo", "--version").split()[-1],
    },
}


def _first_line(program: str, argument: str) -> str:
    path = find_program(program, install="scripts/setup bench")
    done = subprocess.run([path, argument], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
