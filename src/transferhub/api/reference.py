"""Writes the reference of the API: `python -m transferhub.api.reference > docs/graphql.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_specified_scalar_type,
    print_ast,
)

from transferhub.api.hub_graph import open_graph

_HEAD = """\
# GraphQL

Programs and the console steer a hub with GraphQL, at `POST /graphql`. [The API](api.md) says how
they come in, and how pages, errors and limits work. This page is written from the schema,
`src/transferhub/api/schema.graphql`, which is also what the server serves to tools that ask.
"""

_SECTIONS: Mapping[str, tuple[str, type[GraphQLNamedType], str]] = {
    "Types": ("type", GraphQLObjectType, "What answers are made of."),
    "Inputs": ("input", GraphQLInputObjectType, "What arguments are made of."),
    "Enums": ("enum", GraphQLEnumType, "Values that are chosen from."),
    "Scalars": ("scalar", GraphQLScalarType, "Values that are not GraphQL's own."),
}


def page(schema: GraphQLSchema) -> str:
    """The page, in Markdown."""
    assert schema.query_type
    assert schema.mutation_type
    roots = (schema.query_type, schema.mutation_type)
    others = [
        kind
        for name, kind in sorted(schema.type_map.items())
        if kind not in roots and not name.startswith("__") and not is_specified_scalar_type(kind)
    ]
    lines = [_HEAD]
    for title, root in zip(("Queries", "Mutations"), roots, strict=True):
        lines += [f"## {title}", "", _flat(root.description), ""]
        for name, field in root.fields.items():
            lines += _operation(name, field)
    for title, (_, kind, sentence) in _SECTIONS.items():
        lines += [f"## {title}", "", sentence, ""]
        for named in others:
            if isinstance(named, kind):
                lines += _named(named)
    return "\n".join(lines).rstrip() + "\n"


def _operation(name: str, field: GraphQLField) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield f"{_flat(field.description)} Gives {_link(field)}."
    yield ""
    if field.args:
        yield from _table("argument", "type", field.args.items())


def _named(kind: GraphQLNamedType) -> Iterator[str]:
    yield f"### {_heading(kind)}"
    yield ""
    yield _flat(kind.description)
    yield ""
    match kind:
        case GraphQLObjectType() | GraphQLInputObjectType():
            yield from _table("field", "type", kind.fields.items())
        case GraphQLEnumType():
            yield "| value | meaning |"
            yield "|---|---|"
            for name, value in kind.values.items():
                yield f"| `{name}` | {_flat(value.description)} |"
            yield ""


def _table(
    what: str,
    of: str,
    rows: Iterable[tuple[str, GraphQLField | GraphQLInputField | GraphQLArgument]],
) -> Iterator[str]:
    yield f"| {what} | {of} | meaning |"
    yield "|---|---|---|"
    for name, row in rows:
        yield f"| `{name}` | {_link(row)} | {_flat(row.description)}{_default(row)} |"
    yield ""


def _link(field: GraphQLField | GraphQLInputField | GraphQLArgument) -> str:
    named = get_named_type(field.type)
    written = f"`{field.type}`"
    if is_specified_scalar_type(named):
        return written
    return f"[{written}](#{_heading(named).lower().replace(' ', '-')})"


def _heading(named: GraphQLNamedType) -> str:
    """Types are headed otherwise than the fields that give them."""
    words = (word for word, kind, _ in _SECTIONS.values() if isinstance(named, kind))
    return f"{next(words)} {named.name}"


def _default(field: GraphQLField | GraphQLInputField | GraphQLArgument) -> str:
    node = field.ast_node
    default = getattr(node, "default_value", None)
    return "" if default is None else f" Default: `{print_ast(default)}`."


def _flat(text: str | None) -> str:
    """For a cell of a table."""
    return (text or "").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page(open_graph().schema))
