import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "src" / "transferhub"
TESTS = REPOSITORY / "tests"

BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}
MAY_READ_ENVIRONMENT = ("cli/", "hosts/", "testing.py")
ENVIRONMENT_NAMES = {"environ", "environb", "getenv", "getenvb"}
MAX_FILE_LINES = 650


def python_files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.py"))


def environment_reads(source: str) -> list[int]:
    """Lines that reach for the environment through the os module."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in ENVIRONMENT_NAMES:
                lines.append(node.lineno)
            case ast.ImportFrom(module="os", names=names) if any(
                alias.name in ENVIRONMENT_NAMES for alias in names
            ):
                lines.append(node.lineno)
    return lines


def mock_imports(source: str) -> list[int]:
    """Lines that import unittest.mock or one of its relatives."""
    mocks = {"unittest.mock", "mock", "pytest_mock"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                imported = {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                imported = {module} | {f"{module}.{alias.name}" for alias in names}
            case _:
                continue
        if imported & mocks:
            lines.append(node.lineno)
    return lines


def test_no_module_or_package_has_a_banned_name() -> None:
    modules = (path.relative_to(PACKAGE).with_suffix("") for path in python_files(PACKAGE))
    assert [str(module) for module in modules if BANNED_NAMES & set(module.parts)] == []


def test_only_hosts_and_cli_read_the_environment() -> None:
    reads = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in python_files(PACKAGE)
        if not str(path.relative_to(PACKAGE)).startswith(MAY_READ_ENVIRONMENT)
        for line in environment_reads(path.read_text())
    ]
    assert reads == []


def test_no_source_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in python_files(PACKAGE)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_test_imports_a_mock() -> None:
    imports = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in python_files(TESTS)
        for line in mock_imports(path.read_text())
    ]
    assert imports == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "from os import path, getenv as ask",
    ],
)
def test_a_read_of_the_environment_is_noticed(source: str) -> None:
    assert environment_reads(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import unittest.mock",
        "import unittest.mock as fake",
        "from unittest import mock",
        "from unittest.mock import patch",
    ],
)
def test_an_import_of_a_mock_is_noticed(source: str) -> None:
    assert mock_imports(source) != []
