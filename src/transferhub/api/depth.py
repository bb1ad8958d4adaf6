"""How deep a request may ask."""

from __future__ import annotations

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)


def depth_rule(most: int) -> type[ValidationRule]:
    """A rule that refuses operations with more than `most` fields within each other. What asks for
    the schema is let through: it is as deep as the tools that ask."""

    class DepthRule(ValidationRule):
        def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
            if _depth(node.selection_set, self.context, frozenset()) > most:
                self.report_error(
                    GraphQLError(f"The request is more than {most} fields deep; ask less.", node)
                )

    return DepthRule


def _depth(
    selection: SelectionSetNode | None, context: ValidationContext, within: frozenset[str]
) -> int:
    """Args:
    within: fragments that this is a part of: one that holds itself is another rule's to refuse.
    """
    if selection is None:
        return 0
    return max((_depth_of(node, context, within) for node in selection.selections), default=0)


def _depth_of(node: Node, context: ValidationContext, within: frozenset[str]) -> int:
    if isinstance(node, FragmentSpreadNode):
        name = node.name.value
        fragment = context.get_fragment(name)
        if fragment is None or name in within:
            return 0
        return _depth(fragment.selection_set, context, within | {name})
    if isinstance(node, FieldNode):
        if node.name.value in ("__schema", "__type"):
            return 0
        return 1 + _depth(node.selection_set, context, within)
    return _depth(getattr(node, "selection_set", None), context, within)
