"""Who may read the schema by introspection: signed-in callers, where the setting admits it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphql import BREAK, DocumentNode, FieldNode, GraphQLError, Visitor, VisitorAction, visit
from strawberry.extensions import SchemaExtension

from schema.context import Context
from server.errors import Failure, Forbidden, Unauthenticated

META_FIELDS = {"__schema", "__type"}
_MAY_INTROSPECT = re.compile(r"__(?:schema|type)\b")


class GuardIntrospection(SchemaExtension):
    """Not graphql-core's own rule: that is part of validation, whose outcome is kept for all callers."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        # A name cannot be written otherwise in GraphQL: most documents are done with after this search.
        if not execution.pre_execution_errors and _MAY_INTROSPECT.search(execution.query or ""):
            refusal = self._refusal(execution.context)
            assert execution.graphql_document is not None
            if refusal is not None and introspects(execution.graphql_document):
                execution.pre_execution_errors = [GraphQLError(str(refusal), original_error=refusal)]
        yield

    def _refusal(self, context: Context) -> Failure | None:
        if not context.settings.introspection:
            return Forbidden("Introspection is off on this server: use its published schema.")
        return Unauthenticated("Sign in to read the schema.") if context.caller is None else None


def introspects(document: DocumentNode) -> bool:
    search = _Search()
    visit(document, search)
    return search.found


class _Search(Visitor):
    found = False

    def enter_field(self, node: FieldNode, *_: object) -> VisitorAction:
        self.found = node.name.value in META_FIELDS
        return BREAK if self.found else None
