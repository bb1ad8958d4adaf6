import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from transferhub.api.graph import Graph, GraphLimits
from transferhub.errors import (
    AccessError,
    ConflictError,
    DeniedError,
    InputError,
    MoveError,
    SignInError,
    StateError,
    TooManyError,
    TransferHubError,
    VaultError,
)
from transferhub.model.faults import raise_faults

SCHEMA = """
type Query {
  things(first: Int! = 10): [Thing!]!
  fails(how: String!): Thing
}
type Mutation { rename(name: String!): Thing! take(input: ShelfInput!): Thing! }
input ShelfInput {
  label: String! size: Float color: Color inner: ShelfInput all: [ShelfInput!]
}
enum Color { RED BLUE }
type Thing { name: String! caller: String! parts(first: Int! = 10): [Thing!] }
"""

Arguments = Mapping[str, Any]
Caller = object


class Shelf:
    def __init__(self) -> None:
        self.name = "thing"


def thing(shelf: Shelf, caller: Caller) -> dict[str, Any]:
    return {"name": shelf.name, "caller": str(caller), "parts": None}


async def things(shelf: Shelf, arguments: Arguments, caller: Caller) -> Any:
    return [thing(shelf, caller)] * arguments["first"]


async def fails(shelf: Shelf, arguments: Arguments, caller: Caller) -> Any:
    match arguments["how"]:
        case "input":
            raise InputError("name", "is too long")
        case "inputs":
            raise_faults([InputError("name", "is too long"), InputError("size", "is missing")])
        case "conflict":
            raise ConflictError("was changed")
        case _:
            raise RuntimeError("the secret is hunter2")


async def rename(shelf: Shelf, arguments: Arguments, caller: Caller) -> Any:
    shelf.name = arguments["name"]
    return thing(shelf, caller)


async def take(shelf: Shelf, arguments: Arguments, caller: Caller) -> Any:
    return thing(shelf, caller)


def graph(**limits: int) -> Graph[Shelf, Any]:
    return Graph(
        SCHEMA,
        queries={"things": things, "fails": fails},
        mutations={"rename": rename, "take": take},
        limits=GraphLimits(**limits),
    )


async def asked(query: str, *, of: Graph[Shelf, Any] | None = None, **variables: Any) -> Any:
    request = {"query": query, "variables": variables}
    return await (of or graph()).answer(request, Shelf(), "me")


async def failed(query: str, *, of: Graph[Shelf, Any] | None = None, **variables: Any) -> Any:
    (error,) = (await asked(query, of=of, **variables))["errors"]
    return error


async def test_resolvers_get_the_service_the_arguments_and_the_caller() -> None:
    answer = await asked("query ($n: Int!) { things(first: $n) { name caller } }", n=2)
    assert answer == {"data": {"things": [{"name": "thing", "caller": "me"}] * 2}}


async def test_mutations_change_the_service() -> None:
    answer = await asked('mutation { rename(name: "new") { name } }')
    assert answer == {"data": {"rename": {"name": "new"}}}


async def test_an_error_has_a_code_and_its_sentence() -> None:
    error = await failed('{ fails(how: "conflict") { name } }')
    assert (error["message"], error["extensions"]) == ("was changed", {"code": "conflict"})
    assert error["path"] == ["fails"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConflictError("x"), "conflict"),
        (StateError("x"), "state"),
        (StateError("x", code="state_full"), "state_full"),
        (MoveError("x"), "wrong_state"),
        (AccessError("x"), "forbidden"),
        (SignInError("x"), "sign_in"),
        (TooManyError("x", wait=timedelta(seconds=1)), "too_many"),
        (VaultError("x"), "vault"),
        (DeniedError("x"), "denied"),
        (InputError("name", "x", code="no_task"), "no_task"),
    ],
)
async def test_every_kind_of_error_has_its_code(error: TransferHubError, code: str) -> None:
    async def raises(shelf: Shelf, arguments: Arguments, caller: Caller) -> Any:
        raise error

    failing: Graph[Shelf, Any] = Graph(
        SCHEMA, queries={"things": raises}, mutations={"rename": raises}
    )
    for query in ("{ things { name } }", 'mutation { rename(name: "x") { name } }'):
        told = await failed(query, of=failing)
        assert (told["extensions"]["code"], told["message"]) == (code, error.message)


async def test_an_input_error_names_its_field() -> None:
    error = await failed('{ fails(how: "input") { name } }')
    assert error["extensions"] == {
        "code": "bad_input",
        "field": "name",
        "fields": [{"field": "name", "message": "name: is too long"}],
    }


async def test_all_faults_of_an_input_are_told_at_once() -> None:
    error = await failed('{ fails(how: "inputs") { name } }')
    assert [fault["field"] for fault in error["extensions"]["fields"]] == ["name", "size"]


async def test_what_nobody_expected_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        error = await failed('{ fails(how: "bug") { name } }')
    reference = error["extensions"]["reference"]
    assert error["extensions"]["code"] == "internal"
    assert "hunter2" not in str(error)
    (record,) = caplog.records
    assert record.__dict__["reference"] == reference
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    "query",
    [
        "{ things { nothing } }",
        "{ things {",
        "{ things(n: 1) { name } }",
        "subscription { things }",
    ],
)
async def test_a_request_that_is_no_request_is_refused(query: str) -> None:
    errors = (await asked(query))["errors"]
    assert {error["extensions"]["code"] for error in errors} == {"bad_request"}


TAKE = "mutation ($i: ShelfInput!) { take(input: $i) { name } }"


@pytest.mark.parametrize(
    ("query", "variables", "field", "sentence"),
    [
        ("query ($n: Int!) { things(first: $n) { name } }", {"n": "s3cret"}, "first", "is no Int"),
        ("query ($n: Int!) { things(first: $n) { name } }", {}, "first", "is missing"),
        ('query ($n: Int = "x") { things(first: $n) { name } }', {}, "first", "is no Int"),
        ('{ things(first: "s3cret") { name } }', {}, "first", "is no Int"),
        ("{ things(first: null) { name } }", {}, "first", "must not be null"),
        ("{ fails { name } }", {}, "how", "is missing"),
        ("{ me: things @include { name } }", {}, "if", "is missing"),
        (TAKE, {"i": {}}, "label", "is missing"),
        (TAKE, {"i": {"label": None}}, "label", "must not be null"),
        (TAKE, {"i": 5}, "input", "is no ShelfInput"),
        (TAKE, {"i": {"label": "x", "size": "s3cret"}}, "size", "is no Float"),
        (TAKE, {"i": {"label": "x", "lable": "y"}}, "lable", "did you mean label?"),
        (TAKE, {"i": {"label": "x", "color": "s3cret"}}, "color", "is none of RED, BLUE"),
        (TAKE, {"i": {"label": "x", "inner": {"label": 1}}}, "inner.label", "is no String"),
        (TAKE, {"i": {"label": "x", "all": [{"label": "x"}, {}]}}, "all.1.label", "is missing"),
        (
            'mutation ($s: Float) { take(input: {label: "x", size: $s}) { name } }',
            {"s": "s3cret"},
            "size",
            "is no Float",
        ),
        (
            "query ($n: Int!) { ...f } fragment f on Query { things(first: $n) { name } }",
            {"n": "s3cret"},
            "first",
            "is no Int",
        ),
        (
            'mutation { take(input: {label: "x", color: "RED"}) { name } }',
            {},
            "color",
            "is none of",
        ),
        (
            'mutation { take(input: {label: "x", inner: {}}) { name } }',
            {},
            "inner.label",
            "missing",
        ),
    ],
)
async def test_an_argument_of_another_type_is_named_and_not_quoted(
    query: str, variables: Any, field: str, sentence: str
) -> None:
    error = await failed(query, **variables)
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("bad_input", field)
    assert sentence in error["message"]
    assert "s3cret" not in str(error)


async def test_only_the_operation_that_is_asked_for_needs_its_variables() -> None:
    query = "query a { things { name } } query b ($n: Int!) { things(first: $n) { name } }"
    request = {"query": query, "operationName": "a"}
    assert "errors" not in await graph().answer(request, Shelf(), "me")
    answer = await graph().answer({**request, "operationName": "b"}, Shelf(), "me")
    assert answer["errors"][0]["extensions"]["field"] == "first"


def nested(depth: int) -> str:
    return (
        "{ things(first: 1) " + "{ parts(first: 1) " * (depth - 2) + "{ name }" + "}" * (depth - 1)
    )


@pytest.mark.parametrize("query", [nested(6), f"query {{ ...q }} fragment q on Query {nested(6)}"])
async def test_a_request_that_is_too_deep_is_refused(query: str) -> None:
    assert "errors" not in await asked(query, of=graph(depth=6))
    error = await failed(query, of=graph(depth=5))
    assert "more than 5 fields deep" in error["message"]


async def test_fragments_that_hold_each_other_are_refused() -> None:
    query = "{ things { ...a } } fragment a on Thing { ...b } fragment b on Thing { ...a }"
    error = await failed(query)
    assert error["extensions"]["code"] == "bad_request"


async def test_pages_within_pages_cost_as_much_as_they_hold() -> None:
    query = "query ($n: Int!) { things(first: $n) { parts(first: 100) { name } } }"
    assert "errors" not in await asked(query, n=10)
    answer = await asked(query, n=1_000)
    assert any("cost" in error["message"].lower() for error in answer["errors"])


async def test_what_weighs_more_costs_more() -> None:
    heavy = Graph(
        SCHEMA,
        queries={"things": things, "fails": fails},
        mutations={"rename": rename, "take": take},
        weights={"fails": 30},
        limits=GraphLimits(cost=100),
    )

    async def codes(count: int) -> set[str]:
        fields = (f't{n}: fails(how: "conflict") {{ name }}' for n in range(count))
        errors = (await asked(f"{{ {' '.join(fields)} }}", of=heavy))["errors"]
        return {error["extensions"]["code"] for error in errors}

    assert (await codes(3), await codes(4)) == ({"conflict"}, {"bad_request"})


async def test_aliases_cost_as_much_as_fields() -> None:
    query = "{ " + " ".join(f"t{n}: things(first: 1) {{ name }}" for n in range(50)) + " }"
    assert "errors" not in await asked(query)
    assert "errors" in await asked(query, of=graph(cost=50))


async def test_a_document_that_is_too_long_is_refused() -> None:
    error = await failed("{ things { " + "name " * 3_000 + "} }")
    assert "token" in error["message"]


async def test_the_schema_can_be_asked_for() -> None:
    from graphql import get_introspection_query  # noqa: PLC0415

    assert "errors" not in await asked(get_introspection_query())
