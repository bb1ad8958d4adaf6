"""The loop of copies: several at once, and again what failed."""

from pathlib import Path

import pytest

from benchmarks.images.copiers import run_all
from benchmarks.usage import Command, CommandError

_FAILS_TWICE = 'echo x >> "$0"; [ "$(wc -l < "$0")" -gt 2 ]'


def test_what_fails_is_started_again_and_counted(tmp_path: Path) -> None:
    commands = [
        Command(arguments=["sh", "-c", _FAILS_TWICE, tmp_path / "tries"]),
        *[Command(arguments=["true"])] * 20,
    ]
    ran = run_all(commands, tmp_path, 10.0)
    assert ran.again == 2
    assert len((tmp_path / "tries").read_text().split()) == 3
    assert ran.usage.wall_s > 0
    assert ran.usage.cpu_s > 0


def test_what_always_fails_ends_the_benchmark(tmp_path: Path) -> None:
    command = Command(arguments=["sh", "-c", 'echo x >> "$0"; exit 1', tmp_path / "tries"])
    with pytest.raises(CommandError):
        run_all([command], tmp_path, 10.0)
    assert len((tmp_path / "tries").read_text().split()) == 5
