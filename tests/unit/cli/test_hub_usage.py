"""Commands of a hub that cannot even begin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.fake_host import dth


def test_the_server_stands_before_the_command() -> None:
    ended = dth("task", "list", "--server", "https://hub")
    assert ended.code == 2
    assert ended.err.splitlines()[0] == ("dth: --server stands before the command: dth --server …")


@pytest.mark.parametrize("words", [("transfer", "file:///a", "file:///b"), ("doctor",), ("up",)])
def test_what_works_here_alone_takes_no_server(words: tuple[str, ...]) -> None:
    ended = dth("--server", "https://hub", *words)
    assert ended.code == 2
    assert f"dth {words[0]} works on this machine; leave --server out." in ended.err


def test_a_command_that_is_misspelt() -> None:
    ended = dth("task", "expor")
    assert ended.code == 2
    assert "Did you mean 'export'?" in ended.err


@pytest.mark.parametrize(
    ("words", "option"), [("task apply", "--file"), ("task create file:///a file:///b", "--name")]
)
def test_an_option_that_must_be_given_is_named(words: str, option: str) -> None:
    ended = dth(*words.split())
    assert ended.code == 2
    assert ended.err.splitlines()[0] == f"dth: {option} is missing."


@pytest.mark.parametrize("words", ["task list", "task export", "user list", "task apply -f /none"])
def test_without_the_parts_of_a_hub_it_says_what_to_install(words: str, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['yaml'] = sys.modules['argon2'] = None;"
        "from transferhub.cli import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *words.split()],
        env={**os.environ, "DTH_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr == (
        'dth: This needs the parts of a hub: pip install "data-transfer-hub[hub]"\n'
    )
