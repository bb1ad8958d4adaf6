"""Refuses arguments of another type than the schema's, and names the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from graphql import (
    ArgumentNode,
    DirectiveNode,
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    ValidationContext,
    ValidationRule,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    is_input_type,
    is_required_argument,
    type_from_ast,
)
from graphql.utilities import validate_input_literal, validate_input_value
from graphql.validation import (
    ProvidedRequiredArgumentsRule,
    ValuesOfCorrectTypeRule,
)

from transferhub.errors import InputError
from transferhub.model.faults import suggest

REPLACED = frozenset({ProvidedRequiredArgumentsRule, ValuesOfCorrectTypeRule})
"""GraphQL's own rules, in whose place this one stands."""

INPUT = "input"
"""The argument whose fields are named without it."""

_OF_A_FIELD = re.compile(
    r"Expected value of type '\w+' (to include required|not to include unknown) field '([^']*)'"
)

Path = Sequence[str | int]
OnError = Callable[[GraphQLError, list[str | int]], None]


class ArgumentRule(ValidationRule):
    """What it says never quotes a value: it may be a secret."""

    variables: ClassVar[Mapping[str, Any]] = {}
    operation: ClassVar[str | None] = None

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._defined: list[VariableDefinitionNode] = []
        self._used: dict[str, Path] = {}

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
        if self.operation is None or (node.name and node.name.value == self.operation):
            self._defined.extend(node.variable_definitions or ())

    def enter_variable(self, node: VariableNode, *where: Any) -> None:
        _, parent, _, ancestors = where
        path = _path_of([*ancestors, parent])
        if path:
            self._used.setdefault(node.name.value, path)

    def leave_field(self, node: FieldNode, *_: object) -> None:
        field = self.context.get_field_def()
        self._require(node, field.args if field else {})

    def leave_directive(self, node: DirectiveNode, *_: object) -> None:
        directive = self.context.get_directive()
        self._require(node, directive.args if directive else {})

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        argument = self.context.get_argument()
        if argument is not None:
            self._check_literal(node.value, argument.type, [node.name.value])

    def leave_document(self, *_: object) -> None:
        for node in self._defined:
            self._check_variable(node)

    def _require(
        self, node: FieldNode | DirectiveNode, arguments: Mapping[str, GraphQLArgument]
    ) -> None:
        given = {argument.name.value for argument in node.arguments or ()}
        for name, argument in arguments.items():
            if is_required_argument(argument) and name not in given:
                self._refuse(node, [name], "is missing")

    def _check_variable(self, node: VariableDefinitionNode) -> None:
        name, kind = node.variable.name.value, type_from_ast(self.context.schema, node.type)
        if not is_input_type(kind):
            return  # another rule's to refuse
        path = self._used.get(name, [name])
        if node.default_value is not None:
            self._check_literal(node.default_value, kind, path)
        if name in self.variables:
            validate_input_value(self.variables[name], kind, self._on_error(node, kind, path))
        elif isinstance(kind, GraphQLNonNull) and node.default_value is None:
            self._refuse(node, path, "is missing")

    def _check_literal(self, node: ValueNode, kind: GraphQLInputType, path: Path) -> None:
        validate_input_literal(node, kind, self._on_error(node, kind, path))

    def _on_error(self, node: Node, kind: GraphQLInputType, path: Path) -> OnError:
        def on_error(error: GraphQLError, inner: Path) -> None:
            more, sentence = _told(kind, inner, error.message)
            self._refuse(node, [*path, *more], sentence)

        return on_error

    def _refuse(self, node: Node, path: Path, sentence: str) -> None:
        fault = InputError(field_of(path), sentence)
        self.report_error(GraphQLError(fault.message, node, original_error=fault))


def argument_rule(variables: Mapping[str, Any], operation: str | None) -> type[ArgumentRule]:
    """The rule for a request with these variables, which asks for the operation of this name."""
    members = {"variables": variables, "operation": operation}
    return type("RequestArgumentRule", (ArgumentRule,), members)


def field_of(path: Path) -> str:
    """The name of what stands at `path` in the arguments, as whoever wrote it knows it.

    >>> field_of(["input", "spec", "source", "bucket"]), field_of(["id"])
    ('spec.source.bucket', 'id')
    """
    first, *others = path
    shown = others if first == INPUT and others else path
    return ".".join(str(part)[:80] for part in shown)


def _path_of(ancestors: Sequence[Any]) -> list[str]:
    """The argument and the input fields around a node, from outside."""
    return [
        node.name.value for node in ancestors if isinstance(node, ArgumentNode | ObjectFieldNode)
    ]


def _told(kind: GraphQLInputType, path: Path, message: str) -> tuple[Path, str]:
    """Where in a value of `kind` a fault is, and what it is."""
    at = _type_at(kind, path)
    of_field = _OF_A_FIELD.match(message)
    if of_field is None:
        return path, _sentence(at, message)
    verb, name = of_field.groups()
    if verb.startswith("to"):
        return [*path, name], "is missing"
    named = get_named_type(at)
    known = named.fields if isinstance(named, GraphQLInputObjectType) else {}
    return [*path, name], f"there is no such field{suggest(name, known)}"


def _type_at(kind: GraphQLInputType, path: Path) -> GraphQLInputType:
    for part in path:
        while isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLList) and isinstance(part, int):
            kind = kind.of_type
        elif isinstance(part, str):
            named = get_named_type(kind)
            assert isinstance(named, GraphQLInputObjectType)
            kind = named.fields[part].type
    return kind


def _sentence(kind: GraphQLInputType, message: str) -> str:
    if message.startswith("Expected value of non-null type"):
        return "must not be null"
    named = get_named_type(kind)
    if isinstance(named, GraphQLEnumType):
        return f"is none of {', '.join(named.values)}"
    return f"is no {named.name}"
