"""Older programs go on with tables that a newer one has upgraded."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from transferhub.state.sql.revision import COMPATIBLE_SINCE, HEAD
from transferhub.state.sql.upgrades import MIGRATIONS

VERSIONS = MIGRATIONS / "versions"


def faults(source: str) -> Iterator[str]:
    """What in a migration may break a program that does not know it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="op"), attr=name)) if (
                name.startswith(("drop_", "alter_", "rename_")) or name == "batch_alter_table"
            ):
                yield f"line {node.lineno}: {name}"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="op"), attr="create_index"),
                args=[_, ast.Constant(value=table), *_],
                keywords=[*options],
            ) if is_unique(options) and table not in created(tree):
                yield f"line {node.lineno}: a unique index, which may refuse what is written"
            case _:
                continue


def is_unique(options: list[ast.keyword]) -> bool:
    return any(each.arg == "unique" and ast.unparse(each.value) == "True" for each in options)


def created(tree: ast.Module) -> set[object]:
    """Tables that the migration makes itself."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "op.create_table"
        for name in (ast.literal_eval(node.args[0]),)
    }


def later_migrations() -> list[Path]:
    found = sorted(VERSIONS.glob("0*.py"))
    return [path for path in found if COMPATIBLE_SINCE < path.name.partition("_")[0] <= HEAD]


def test_what_came_since_only_adds() -> None:
    found = {path.name: [*faults(path.read_text())] for path in later_migrations()}
    advice = "add only, or raise COMPATIBLE_SINCE in state/sql/revision.py to the migration's own"
    assert {name: what for name, what in found.items() if what} == {}, advice


def test_the_tables_are_compatible_with_this_program() -> None:
    assert COMPATIBLE_SINCE <= HEAD


@pytest.mark.parametrize(
    "source",
    [
        'op.drop_column("runs", "state")',
        'op.alter_column("runs", "state", nullable=False)',
        'op.create_index("x", "runs", ["state"], unique=True)',
        'with op.batch_alter_table("runs") as runs: pass',
    ],
)
def test_what_may_break_an_older_program_is_noticed(source: str) -> None:
    assert [*faults(source)] != []


def test_what_only_adds_is_let_through() -> None:
    assert [*faults('op.add_column("runs", c)\nop.create_index("x", "runs", ["state"])')] == []
    new = 'op.create_table("new")\nop.create_index("x", "new", ["state"], unique=True)'
    assert [*faults(new)] == []
