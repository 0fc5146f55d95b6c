"""Who may read the schema by introspection: signed-in callers, where the setting admits it at all."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from graphql import (
    BREAK,
    DocumentNode,
    FieldNode,
    GraphQLError,
    StringValueNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)
from strawberry.extensions import SchemaExtension

from schema.context import Context
from server.errors import Failure, Forbidden, Unauthenticated

_MAY_INTROSPECT = re.compile(r"__(?:schema|type)\b")


class GuardIntrospection(SchemaExtension):
    """Not graphql-core's own rule: that is part of validation, whose outcome is kept for all callers."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        # A name cannot be written otherwise in GraphQL: most documents are done with after this search.
        if not execution.pre_execution_errors and _MAY_INTROSPECT.search(execution.query or ""):
            refusal = self._refusal(execution.context)
            assert execution.graphql_document is not None
            if refusal is not None and self._introspects(execution.graphql_document):
                execution.pre_execution_errors = [GraphQLError(str(refusal), original_error=refusal)]
        yield

    def _refusal(self, context: Context) -> Failure | None:
        if not context.settings.introspection:
            return Forbidden("Introspection is off on this server: use its published schema.")
        return Unauthenticated("Sign in to read the schema.") if context.caller is None else None

    def _introspects(self, document: DocumentNode) -> bool:
        types, variables = self.execution_context.schema._schema.type_map, self.execution_context.variables or {}
        search = _Search(types, variables)
        visit(document, search)
        return search.found


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
