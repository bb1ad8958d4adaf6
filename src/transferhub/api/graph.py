"""A GraphQL schema with its resolvers: a request in, an answer out."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ariadne import MutationType, QueryType, ScalarType, graphql, make_executable_schema
from ariadne.validation import cost_validator
from ariadne.validation.query_cost import CostValidator
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    TypeInfo,
    parse,
    validate,
)
from graphql.validation import ASTValidationRule

from transferhub.api.argument_rule import REPLACED, argument_rule
from transferhub.api.depth import depth_rule
from transferhub.errors import InputError, TransferHubError

log = logging.getLogger(__name__)

Service = TypeVar("Service")
Caller = TypeVar("Caller")

_PAGE_ARGUMENTS = ("first", "points")
"""A field with one of these arguments gives so many things, and costs so often what one costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLimits:
    """What one request may ask for.

    Attributes:
        tokens: words and signs of its document.
        depth: fields within fields.
        cost: fields that may be answered, those in pages counted once for each thing of a page.
    """

    tokens: int = 2_000
    depth: int = 12
    cost: int = 20_000


Resolver = Callable[[Service, Mapping[str, Any], Caller], Awaitable[Any]]
"""Answers one field of Query or Mutation with JSON values.

It takes nothing of GraphQL's own, so that the same function answers for AppSync.
"""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Service, Caller]):
    service: Service
    caller: Caller


class Graph(Generic[Service, Caller]):
    """Executes requests against one schema."""

    def __init__(
        self,
        schema: str,
        *,
        queries: Mapping[str, Resolver[Service, Caller]],
        mutations: Mapping[str, Resolver[Service, Caller]],
        scalars: Sequence[ScalarType] = (),
        weights: Mapping[str, int] | None = None,
        limits: GraphLimits | None = None,
    ) -> None:
        """Args:
        schema: all of it, in the schema definition language.
        weights: what the fields of Query and Mutation cost that take more than a look.
        """
        self._limits = limits or GraphLimits()
        query, mutation = QueryType(), MutationType()
        for bindable, resolvers in ((query, queries), (mutation, mutations)):
            for name, resolver in resolvers.items():
                bindable.set_field(name, _bound(resolver))
        self._schema = make_executable_schema(schema, query, mutation, *scalars)
        self._costs = _costs(self._schema, weights or {})

    @property
    def schema(self) -> GraphQLSchema:
        return self._schema

    async def answer(
        self, request: Mapping[str, Any], service: Service, caller: Caller
    ) -> Mapping[str, Any]:
        """The answer's JSON document.

        Args:
            request: `query` and, where there are any, `variables` and `operationName`.
        """
        _, answer = await graphql(
            self._schema,
            request,
            context_value=_Asked(service, caller),
            query_parser=self._parse,
            validation_rules=self._rules,
            query_validator=_validated,
            error_formatter=_told,
            logger=_SILENT,
        )
        return answer

    def _parse(self, _: object, request: Mapping[str, Any]) -> DocumentNode:
        return parse(request["query"], max_tokens=self._limits.tokens)

    def _rules(
        self, _: object, document: DocumentNode, request: Mapping[str, Any]
    ) -> Sequence[Any]:
        variables = request.get("variables") or {}
        return (
            depth_rule(self._limits.depth),
            argument_rule(variables, request.get("operationName")),
            cost_validator(
                self._limits.cost,
                default_cost=1,
                variables=variables,
                cost_map=self._costs,
            ),
        )


# Errors are answers; those that nobody expected are logged where they are told.
_SILENT = logging.getLogger(f"{__name__}.graphql")
_SILENT.addFilter(lambda _: False)


def _validated(
    schema: GraphQLSchema,
    document_ast: DocumentNode,
    rules: Collection[type[ASTValidationRule]] | None = None,
    max_errors: int | None = None,
    type_info: TypeInfo | None = None,  # noqa: ARG001 - the signature is ariadne's
) -> list[GraphQLError]:
    kept = [rule for rule in rules or () if rule not in REPLACED]
    costs = [rule for rule in kept if issubclass(rule, CostValidator)]
    others = [rule for rule in kept if rule not in costs]
    # The cost of what makes no sense is another fault of the same thing.
    return validate(schema, document_ast, others, max_errors) or validate(
        schema, document_ast, costs, max_errors
    )


def _bound(resolver: Resolver[Service, Caller]) -> Callable[..., Awaitable[Any]]:
    async def resolve(_: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:  # noqa: ANN401
        asked: _Asked[Service, Caller] = info.context
        return await resolver(asked.service, arguments, asked.caller)

    return resolve


def _costs(schema: GraphQLSchema, weights: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    roots = (schema.query_type, schema.mutation_type)
    return {
        name: {
            field_name: {
                "complexity": weights.get(field_name, 1) if kind in roots else 1,
                "multipliers": [name for name in _PAGE_ARGUMENTS if name in field.args],
            }
            for field_name, field in kind.fields.items()
        }
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
    }


def _told(error: GraphQLError, _: bool) -> dict[str, Any]:  # noqa: FBT001 - GraphQL's own shape
    """The error as it is answered: with a stable code, and the field where it is of one."""
    told: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        refused = InputError("query", error.message, code="bad_request")
        return {**told, "extensions": _extensions(refused)}
    if isinstance(cause, TransferHubError):
        return {**told, "message": cause.message, "extensions": _extensions(cause)}
    reference = os.urandom(4).hex()
    log.error(
        "a request failed",
        exc_info=cause,
        extra={"action": "request_failed", "reference": reference},
    )
    message = f"Something went wrong on the server; its log says what, under {reference}."
    return {**told, "message": message, "extensions": {"code": "internal", "reference": reference}}


def _extensions(error: TransferHubError) -> Mapping[str, Any]:
    extensions: dict[str, Any] = {"code": error.code}
    if isinstance(error, InputError):
        extensions["field"] = error.field
        extensions["fields"] = [
            {"field": fault.field, "message": fault.message}
            for fault in getattr(error, "faults", (error,))
        ]
    return extensions
