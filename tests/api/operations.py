"""Writes operations out of the schema, so that tests name only what they give."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from transferhub.api.hub_graph import open_graph

SCHEMA = open_graph().schema
_DEEPEST = 5


def fields_of(kind: str) -> Mapping[str, GraphQLField]:
    """Those of `query` or `mutation`."""
    root = SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type
    assert root
    found: Mapping[str, GraphQLField] = root.fields
    return found


def written(kind: str, name: str, variables: Mapping[str, Any]) -> str:
    """The operation with these variables, asking for everything."""
    field = fields_of(kind)[name]
    declared = ", ".join(f"${at}: {field.args[at].type}" for at in variables)
    passed = ", ".join(f"{at}: ${at}" for at in variables)
    head = f"{kind} ({declared})" if variables else kind
    arguments = f"({passed})" if variables else ""
    return f"{head} {{ {name}{arguments}{selection(field)} }}"


def selection(field: GraphQLField, depth: int = 0) -> str:
    named = get_named_type(field.type)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, GraphQLObjectType)
    inner = (f"{at}{selection(of, depth + 1)}" for at, of in named.fields.items())
    return f" {{ {' '.join(inner)} }}"


def inputs_of(mutation: str) -> Iterator[str]:
    """Every argument of a mutation and every field within one, as errors name them."""
    for name, argument in fields_of("mutation")[mutation].args.items():
        yield name
        prefix = "" if name == "input" else f"{name}."
        yield from (f"{prefix}{inner}" for inner in _within(argument))


def _within(of: Any) -> Iterator[str]:
    named = get_named_type(of.type)
    if not isinstance(named, GraphQLInputObjectType):
        return
    start = "0." if _is_list(of) else ""
    for name, field in named.fields.items():
        yield f"{start}{name}"
        yield from (f"{start}{name}.{inner}" for inner in _within(field))


def _is_list(of: GraphQLArgument) -> bool:
    kind = of.type.of_type if isinstance(of.type, GraphQLNonNull) else of.type
    return isinstance(kind, GraphQLList)
