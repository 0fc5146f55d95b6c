"""Which operation of a document runs."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

from server.errors import BadRequest


class OneOperation(SchemaExtension):
    """The specification asks for `operationName` where a document has several; Strawberry would run the first."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        if not execution.pre_execution_errors and execution._provided_operation_name is None:
            assert execution.graphql_document is not None
            definitions = execution.graphql_document.definitions
            if sum(isinstance(definition, OperationDefinitionNode) for definition in definitions) > 1:
                refusal = BadRequest("The document has several operations: name the one to run by `operationName`.")
                execution.pre_execution_errors = [GraphQLError(str(refusal), original_error=refusal)]
        yield
