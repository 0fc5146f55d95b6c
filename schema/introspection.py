"""Who may read the schema by introspection: signed-in callers, where the setting admits it at all."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from graphql import (
    BREAK,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    StringValueNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)

from schema.context import Context
from server.errors import Failure, Forbidden, Unauthenticated

_MAY_INTROSPECT = re.compile(r"__(?:schema|type)\b")


def refusal(
    schema: GraphQLSchema, document: DocumentNode, text: str, variables: Mapping[str, Any], context: Context
) -> GraphQLError | None:
    """Not graphql-core's own rule: that is part of validation, whose outcome is kept for all callers."""
    # A name cannot be written otherwise in GraphQL: most documents are done with after this search.
    if not _MAY_INTROSPECT.search(text) or (failure := _failure(context)) is None:
        return None
    search = _Search(schema.type_map, variables)
    visit(document, search)
    return GraphQLError(str(failure), original_error=failure) if search.found else None


def _failure(context: Context) -> Failure | None:
    if not context.settings.introspection:
        return Forbidden("Introspection is off on this server: use its published schema.")
    return Unauthenticated("Sign in to read the schema.") if context.caller is None else None


class _Search(Visitor):
    """`__type` of a name that no type has answers null, and tells no more than a fragment on that name would: it is
    how the public audits of GraphQL over HTTP try variables out."""

    def __init__(self, types: Container[str], variables: Mapping[str, Any]) -> None:
        super().__init__()
        self._types, self._variables = types, variables
        self.found = False

    def enter_field(self, node: FieldNode, *_: object) -> VisitorAction:
        name = node.name.value
        self.found = name == "__schema" or (name == "__type" and self._is_known(node))
        return BREAK if self.found else None

    def _is_known(self, node: FieldNode) -> bool:
        value = next((argument.value for argument in node.arguments or ()), None)
        if isinstance(value, StringValueNode):
            return value.value in self._types
        given = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
        return not isinstance(given, str) or given in self._types
