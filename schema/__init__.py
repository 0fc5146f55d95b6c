"""The GraphQL face: build_schema() puts the type modules together."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Literal

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined
from strawberry.exceptions import MissingQueryError
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from execution import CompiledExecutor
from schema.limits.documents import Documents
from schema.operations import Operation
from schema.scalars import SCALARS

MODULES = (
    "schema.users",
    "schema.business_units",
    "schema.roles",
    "schema.access",
    "schema.projects",
    "schema.planning.grid",
    "schema.planning.reports",
    "schema.planning.cells",
    "schema.planning.assignments",
    "schema.planning.capacities",
    "schema.planning.contracts",
    "schema.planning.absences",
    "schema.planning.months",
    "schema.planning.settings",
    "schema.planning.changes",
    "schema.sync.runs",
    "schema.sync.mappings",
    "schema.sync.conflicts",
    "schema.audit",
)


ROOTS = {
    "Query": "Everything that can be read. Each field says in `@requires` which permission it needs.",
    "Mutation": "Everything that can be changed. Each field takes one `input` and answers what became of it: what the "
    "caller can correct stands in `problems`, and then nothing was changed.",
    "Subscription": "What can be watched, over WebSocket (graphql-transport-ws), server-sent events or multipart.",
}


class Schema(strawberry.Schema):
    """Strawberry's, whose operations run as schema/operations.py has it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.documents = Documents()

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,  # noqa: ARG002 — Strawberry's signature: ours has no root value
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Raises what Strawberry does for a request that names no operation, or one of a kind that is not allowed."""
        if not query:
            raise MissingQueryError
        operation = Operation(self, context_value, query, variable_values, operation_name, operation_extensions)
        return await operation.result(tuple(allowed_operation_types or OperationType))

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,  # noqa: ARG002
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> AsyncGenerator[ExecutionResult, None]:
        operation = Operation(self, context_value, query or "", variable_values, operation_name, operation_extensions)
        return operation.results(tuple(allowed_operation_types or OperationType))


def build_schema(executor: Literal["compiled", "graphql-core"] = "compiled") -> Schema:
    """Each module offers some of the classes Queries, Mutations and Subscriptions."""
    modules = [importlib.import_module(name) for name in MODULES]

    def root(name: str, part: str) -> Any:
        parts = tuple(getattr(module, part) for module in modules if hasattr(module, part))
        merged: Any = merge_types(name, parts)
        merged.__strawberry_definition__.description = ROOTS[name]
        return merged

    schema = Schema(
        query=root("Query", "Queries"),
        mutation=root("Mutation", "Mutations"),
        subscription=root("Subscription", "Subscriptions"),
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=CompiledExecutor if executor == "compiled" else None,
    )
    _drop_null_defaults(schema._schema)
    return schema


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """Strawberry prints a Python default of None as `= null`, which reads as if leaving out and null were the same.

    Without it an argument that is left out does not reach the resolver, and Python's default stands in as before.
    """
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            inputs: list[Any] = [*named.fields.values()]
        elif isinstance(named, GraphQLObjectType):
            inputs = [argument for field in named.fields.values() for argument in field.args.values()]
        else:
            continue
        for each in inputs:
            if each.default_value is None:
                each.default_value = Undefined
