"""docs/errors.md lists exactly the error codes that the source can give."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from transferhub.engine.retry import FATAL_CODES, PATIENT_CODES

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "src" / "transferhub"

ROW = re.compile(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
CODE = re.compile(r"[a-z]+(?:_[a-z]+)*")


def codes_in(source: str) -> set[str]:
    """Codes that `source` names as a class's own, as an argument, or in a table of errors."""
    return {code for node in ast.walk(ast.parse(source)) for code in codes_of(node)}


def codes_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(id="default_code"), value=value) if value:
            yield from texts(value)
        case ast.Assign(targets=[ast.Name(id="default_code")], value=value):
            yield from texts(value)
        case ast.keyword(arg="code" | "error_code", value=value):
            yield from texts(value)
        case ast.Tuple(elts=[ast.Name(id=kind), second, *_]) if kind.endswith("Error"):
            yield from texts(second)
        case ast.Tuple(elts=[_, ast.Constant(value=str(code)), what, advice]):
            if CODE.fullmatch(code) and is_sentence(what) and is_sentence(advice):
                yield code
        case ast.For(target=ast.Tuple(elts=names), iter=ast.Tuple(elts=rows), body=body):
            used = code_variables(body)
            for at, variable in enumerate(names):
                if isinstance(variable, ast.Name) and variable.id in used:
                    yield from (text for row in rows for text in texts(item_of(row, at)))


def texts(value: ast.expr) -> Iterator[str]:
    """The strings that an expression can be; "" stands for no code of its own."""
    match value:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)


def code_variables(body: list[ast.stmt]) -> set[str]:
    """Names of the variables that are given as an argument `code`."""
    return {
        node.value.id
        for line in body
        for node in ast.walk(line)
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Name)
    }


def item_of(row: ast.expr, at: int) -> ast.expr:
    return row.elts[at] if isinstance(row, ast.Tuple) else row


def is_sentence(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and " " in str(value.value)


def source_codes() -> set[str]:
    return set().union(*(codes_in(path.read_text()) for path in PACKAGE.rglob("*.py")))


def documented_codes() -> Counter[str]:
    text = (REPOSITORY / "docs" / "errors.md").read_text()
    return Counter(code for code, *_ in ROW.findall(text))


def test_every_code_of_the_source_is_documented() -> None:
    assert source_codes() - documented_codes().keys() == set()


def test_every_documented_code_exists() -> None:
    assert documented_codes().keys() - source_codes() == set()


def test_every_code_is_documented_once() -> None:
    assert {code: count for code, count in documented_codes().items() if count > 1} == {}


def test_the_engine_judges_only_codes_that_exist() -> None:
    assert (FATAL_CODES | PATIENT_CODES) - source_codes() == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('class A(B):\n    default_code = "a"', {"a"}),
        ('class A(B):\n    default_code: ClassVar[str] = "a"', {"a"}),
        ('raise StateError("x", code="a_b")', {"a_b"}),
        ('raise StateError("x", code="a" if y else "b")', {"a", "b"}),
        ('return DeniedError, "wrong", advice', {"wrong"}),
        ("return DeniedError, None, advice", set()),
        ('ROWS = (("53100", "state_full", "is full", "free some"),)', {"state_full"}),
        ('for a, b in (("x", 1), ("y", 2)):\n    raise E("s", code=a)', {"x", "y"}),
        ('for a, b in (("x", 1), ("y", 2)):\n    call(a)', set()),
        ('call(code="")', set()),
    ],
)
def test_a_code_is_found_however_it_is_written(source: str, found: set[str]) -> None:
    assert codes_in(source) == found
