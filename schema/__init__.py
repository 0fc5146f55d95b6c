"""The GraphQL face: build_schema() puts the type modules together."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext
from strawberry.types.execution import PreExecutionError

from execution import CompiledExecutor
from schema.deadline import Deadline
from schema.errors import MaskUnexpected, masked
from schema.hooks import HooksRunner
from schema.introspection import GuardIntrospection
from schema.limits.documents import Documents
from schema.limits.extension import Limits
from schema.metrics import OperationMetrics
from schema.operations import OneOperation
from schema.response_cache import ResponseCache
from schema.scalars import SCALARS
from server.errors import TimedOut

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
    def process_errors(self, errors: list[Any], execution_context: ExecutionContext | None = None) -> None:
        """Masks what the parser and the deadline raise, outside of MaskUnexpected's hooks."""
        if execution_context is not None:
            unparsed = execution_context.graphql_document is None
            request_id = getattr(execution_context.context, "request_id", None)
            errors[:] = [
                masked(error, request_id) if unparsed or isinstance(error.original_error, TimedOut) else error
                for error in errors
            ]

    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> HooksRunner:
        return HooksRunner(execution_context, extensions)

    async def _prepare_operation_async(self, context: Any, extensions_runner: Any) -> PreExecutionError | None:
        """Limits parses, and refuses, in `on_parse`: Strawberry would parse what is wrong once more."""
        try:
            return await super()._prepare_operation_async(context, extensions_runner)
        except GraphQLError as error:
            context.pre_execution_errors = [error]
            return PreExecutionError(data=None, errors=[error])


def build_schema(executor: Literal["compiled", "graphql-core"] = "compiled") -> Schema:
    """Each module offers some of the classes Queries, Mutations and Subscriptions."""
    modules = [importlib.import_module(name) for name in MODULES]

    def root(name: str, part: str) -> Any:
        parts = tuple(getattr(module, part) for module in modules if hasattr(module, part))
        merged: Any = merge_types(name, parts)
        merged.__strawberry_definition__.description = ROOTS[name]
        return merged

    documents = Documents()
    schema = Schema(
        query=root("Query", "Queries"),
        mutation=root("Mutation", "Mutations"),
        subscription=root("Subscription", "Subscriptions"),
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=CompiledExecutor if executor == "compiled" else None,
        extensions=[
            OperationMetrics,
            MaskUnexpected,
            lambda: Limits(documents),
            OneOperation,
            GuardIntrospection,
            Deadline,
            ResponseCache,
        ],
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
