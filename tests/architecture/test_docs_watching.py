"""docs/operations/logs.md and metrics.md list exactly what the source can tell."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from transferhub.api.metrics import ROUTES
from transferhub.hosts.logs import MISSED, OUTSIDE
from transferhub.metrics.prometheus import Prometheus

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "src" / "transferhub"
OPERATIONS = REPOSITORY / "docs" / "operations"

ACTION = re.compile(r"^\| `([a-z_.*]+)` \| [a-z, ]+ \| .+ \|$", re.MULTILINE)
METRIC = re.compile(r"^\| `(dth_[a-z_]+)` \| (gauge|counter|histogram) \| .+ \|$", re.MULTILINE)


Function = ast.FunctionDef | ast.AsyncFunctionDef


def actions_in(source: str) -> set[str]:
    """The actions of log lines: what stands at "action" in dictionaries, also where a variable or a
    parameter stands there."""
    tree = ast.parse(source)
    scopes = [node for node in ast.walk(tree) if isinstance(node, Function)]
    found = {text for value in action_values(tree) for text in texts(value)}
    for scope in scopes:
        for value in action_values(scope):
            if isinstance(value, ast.Name):
                found |= {*assigned(scope, value.id), *given(tree, scope, value.id)}
    return found


def action_values(scope: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "action":
                    yield value


def texts(value: ast.expr) -> Iterator[str]:
    """What an expression can be; `*` stands for what is only known later."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)
        case ast.JoinedStr(values=parts):
            yield "".join(str(at.value) if isinstance(at, ast.Constant) else "*" for at in parts)


def assigned(scope: Function, variable: str) -> Iterator[str]:
    """What a function gives to a variable, by itself or among others."""
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == variable:
                yield from texts(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for at, value in zip(names, values, strict=True):
                    if isinstance(at, ast.Name) and at.id == variable:
                        yield from texts(value)


def given(tree: ast.Module, function: Function, parameter: str) -> Iterator[str]:
    """What the calls of a function in its module give for a parameter."""
    names = [at.arg for at in function.args.args if at.arg != "self"]
    if parameter not in names:
        return
    place = names.index(parameter)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) == function.name and node.args[place:]:
            yield from texts(node.args[place])


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def nameless(source: str) -> list[int]:
    """Lines that log something without saying what it is."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in LOGS
        and "extra" not in [at.arg for at in node.keywords]
    ]


LOGS = {f"log.{verb}" for verb in ("debug", "info", "warning", "error", "exception")}


def source_actions() -> set[str]:
    found = set().union(*(actions_in(path.read_text()) for path in PACKAGE.rglob("*.py")))
    return found | {OUTSIDE, MISSED}


def documented_actions() -> Counter[str]:
    return Counter(ACTION.findall((OPERATIONS / "logs.md").read_text()))


def test_every_action_is_documented_once() -> None:
    assert documented_actions() == Counter(source_actions())


def test_every_line_of_a_log_has_an_action() -> None:
    places = {path: nameless(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {str(path): lines for path, lines in places.items() if lines} == {}
    assert nameless('log.info("x")\nlog.info("x", extra={})\nmath.log.info') == [1]


def test_every_metric_is_documented_once() -> None:
    prometheus = Prometheus("1", acts=lambda: True, routes=ROUTES)
    page = METRIC.findall((OPERATIONS / "metrics.md").read_text())
    assert sorted(page) == sorted(prometheus.kinds().items())


def test_alerts_and_rules_are_of_metrics_that_exist() -> None:
    text = (OPERATIONS / "metrics.md").read_text()
    names = Prometheus("1", acts=lambda: True, routes=ROUTES).kinds().keys()
    used = {
        at for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for at in METRICS(block)
    }
    assert used
    assert {name.removesuffix("_bucket") for name in used} <= names


METRICS = re.compile(r"\bdth_[a-z_]+").findall


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('log.info("x", extra={"action": "a"})', {"a"}),
        ('log.info("x", extra={"action": "a" if y else "b"})', {"a", "b"}),
        ('log.info("x", extra={"action": f"a.{name}"})', {"a.*"}),
        (
            'def f(action):\n    return {"action": action}\nf("a")\nself.f("b" if y else "c")',
            set("abc"),
        ),
        ('def f(action):\n    return {"action": action}\ng("a")', set()),
        (
            'def f():\n    a, b = "x", "y"\n    a = "z"\n    return {"action": a}',
            {"x", "z"},
        ),
        ('{"action": entry.action, "other": "b"}', set()),
    ],
)
def test_actions_are_found_in_all_their_forms(source: str, found: set[str]) -> None:
    assert actions_in(source) == found
